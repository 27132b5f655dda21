"""Options of lm.py that hold for one of the two models alone."""

from __future__ import annotations

import sys
from pathlib import Path

import lm
import pytest


@pytest.mark.parametrize(("model", "option"), [("ar", "--alone"), ("ar", "--bent"), ("nar", "--strangers")])
def test_an_option_of_the_other_model_is_refused(
    model: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lm.py", "--run", str(tmp_path), "--model", model, option, "0.5"])
    with pytest.raises(SystemExit, match="2"):
        lm.main()
    assert f"error: {option} is" in capsys.readouterr().err
