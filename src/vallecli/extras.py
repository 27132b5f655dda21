"""Packages that only some checkpoints need, and that are installed as an extra: `pip install "vallecli[zh]"`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

from vallecli.errors import ExtraMissing


@contextmanager
def extra(name: str, purpose: str) -> Iterator[None]:
    """Import packages of an extra inside; ExtraMissing tells what to install where they are not there."""
    try:
        # Old sources hold what later Pythons warn of, and some packages greet on stdout, which is for our data.
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    except ModuleNotFoundError as error:
        raise ExtraMissing(name, purpose, error.name or str(error)) from error
