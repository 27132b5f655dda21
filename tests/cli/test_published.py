"""`valle speak` and `valle batch` with checkpoints in published layouts: models, front end, codec and decoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import soundfile
from published import write_amphion, write_lifeiteng, write_vallex

if TYPE_CHECKING:
    from conftest import Valle

FRAMES = 15  # 0.2 s at 75 frames per second


def audio(valle: Valle, checkpoint: Path, reference: Path, *options: str) -> bytes:
    fixed = ["--prompt", reference, "--prompt-text", "Be a bee.", "--text", "Bob.", "--max-seconds", "0.2"]
    ran = valle("speak", "--checkpoint", checkpoint, *fixed, "--seed", "3", "-o", "out.wav", "--force", *options)
    assert ran.code == 0, ran.err
    assert soundfile.info("out.wav").frames <= FRAMES * 320
    samples: bytes = soundfile.read("out.wav", dtype="int16")[0].tobytes()  # the tags name the checkpoint
    return samples


@pytest.mark.usefixtures("codecs", "own_folder")
def test_vallex_with_both_decoders(valle: Valle, reference: Path, tmp_path: Path) -> None:
    path = write_vallex(tmp_path / "some.pt")
    by_default = audio(valle, path, reference)
    assert audio(valle, path, reference, "--decoder", "vocos") == by_default
    assert audio(valle, path, reference, "--decoder", "encodec") != by_default
    assert valle("checkpoints", "convert", path, "own").code == 0
    assert audio(valle, Path("own"), reference) == by_default


def test_a_batch_without_its_codec_ends_before_any_row(valle: Valle, reference: Path, own_folder: Path) -> None:
    path = write_vallex(own_folder / "some.pt")
    (own_folder / "jobs.csv").write_text(f"text,prompt,prompt_text\nBob.,{reference},Be a bee.\n")
    ran = valle("batch", "jobs.csv", "--out-dir", "out", "--checkpoint", path)
    assert (ran.code, ran.out) == (4, b"")
    assert "valle checkpoints pull" in ran.err
    assert (own_folder / "out" / "results.jsonl").read_bytes() == b""


@pytest.mark.espeak
@pytest.mark.usefixtures("codecs", "own_folder")
def test_amphion(valle: Valle, reference: Path, tmp_path: Path) -> None:
    assert audio(valle, write_amphion(tmp_path / "experiment"), reference)


@pytest.mark.espeak
@pytest.mark.usefixtures("codecs", "own_folder")
def test_lifeiteng_needs_its_table_of_symbols(valle: Valle, reference: Path, tmp_path: Path) -> None:
    path = write_lifeiteng(tmp_path / "epoch-1.pt")
    options = ["--prompt", reference, "--prompt-text", "Be.", "--text", "Bob."]
    ran = valle("speak", "--checkpoint", path, *options)
    assert (ran.code, ran.out) == (4, b"")
    assert "the loader option symbols=FILE" in ran.err
    table = tmp_path / "table"
    table.write_text("<eps> 0\nb 1\n. 2\n")
    by_option = audio(valle, path, reference, "--option", f"symbols={table}")
    assert audio(valle, path, reference, "--symbols", str(table)) == by_option
