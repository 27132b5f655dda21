"""Optional packages, which only some features need and which an extra installs: `pip install "vallecli[zh]"`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

from vallecli.errors import ExtraMissing


@contextmanager
def extra(name: str, purpose: str) -> Iterator[None]:
    """Import packages of an extra in the body; raises ExtraMissing if one is not installed.

    `name` is the extra, `purpose` the subject of the error message: "Chinese", "transcription".
    """
    try:
        # Old packages cause warnings in new Python versions, and some print to stdout, which is for data.
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    except ModuleNotFoundError as error:
        raise ExtraMissing(name, purpose, error.name or str(error)) from error
