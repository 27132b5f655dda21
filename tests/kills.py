"""Kill `valle batch` again and again, resume it, and compare the results with those of an uninterrupted run.

    python tests/kills.py --rows 1000 --kills 10 --prompt examples/reference.wav

It prints a table of the kills and a summary, and exits with 1 if anything was lost. Kills are at random moments: a
third of them during imports, planning and loading, the others while rows are decoded and written. With fewer rows than
kills, they are at any moment of half the time that the whole batch needs.

    python tests/kills.py --rows 1 --sentences 60 --kills 5 --prompt voice.npz -- --checkpoint PATH
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import vallecli
from vallecli.checkpoints.local import sha256

NUMBERS = ("One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")
EARLY, LATE = 10.0, 1.0  # seconds: until a checkpoint is loaded, and of a few rows
OWN = {"results.jsonl", ".results.jsonl.lock", ".results.jsonl.writing"}


@dataclass(frozen=True)
class Outcome:
    """The records of a folder, and files that should not be there."""

    hashes: dict[str, str]  # id -> sha256 of the audio, as it is on the disk
    respoken: int
    wrong: list[str]


def write_table(path: Path, rows: int, sentences: int, prompt: Path, max_seconds: float) -> None:
    """Write a table of texts of so many short sentences, each different."""
    texts = [
        " ".join(f"{NUMBERS[k % 10]} of {k}." for k in range(row * sentences, (row + 1) * sentences))
        for row in range(rows)
    ]
    lines = [
        {"id": f"r{row}", "text": text, "prompt": str(prompt), "max_seconds": max_seconds}
        for row, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def start(table: Path, out: Path, options: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a batch whose messages are lines on stderr, one for each recorded row."""
    command = [sys.executable, "-m", "vallecli", "batch", str(table), "--out-dir", str(out), "-v", *options]
    path = os.pathsep.join([str(Path(vallecli.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def records(out: Path) -> list[dict[str, object]]:
    """Return the complete records of a folder."""
    path = out / "results.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def outcome(out: Path) -> Outcome:
    """Check a folder whose batch is done."""
    found = records(out)
    counts = Counter(str(record["id"]) for record in found)
    last = {str(record["id"]): record for record in found}
    hashes = {name: sha256(out / f"{name}.wav") for name in last}
    wrong = [f"{name} has another hash than its record" for name in last if last[name]["sha256"] != hashes[name]]
    wrong += [f"{name} is {record['status']}" for name, record in last.items() if record["status"] != "ok"]
    expected = OWN | {f"{name}.wav" for name in last}
    wrong += [f"left over: {name}" for name in sorted({path.name for path in out.iterdir()} - expected)]
    return Outcome(hashes, sum(counts.values()) - len(counts), wrong)


def kill_later(process: subprocess.Popen[bytes], rows: int, seconds: float) -> None:
    """Kill a batch so many seconds after it has reported so many rows."""
    assert process.stderr is not None
    while rows > 0 and (line := process.stderr.readline()):
        rows -= line.startswith(b"  row ")
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def main() -> int:
    """Run the batch once without kills and once with them, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--sentences", type=int, default=1, help="of each row")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--prompt", type=Path, required=True)
    parser.add_argument("--max-seconds", type=float, default=0.4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("options", nargs="*", help="options of valle batch, after --")
    given = parser.parse_args()
    chosen = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_table(work / "jobs.jsonl", given.rows, given.sentences, given.prompt.resolve(), given.max_seconds)
        begin = time.perf_counter()
        start(work / "jobs.jsonl", work / "whole", given.options).communicate()
        whole = time.perf_counter() - begin
        print(f"uninterrupted: {whole:.0f} s", flush=True)
        print("kill  after s  records  new  incomplete line")
        killed, before = 0.0, 0
        few = given.rows < given.kills  # then kills are at any time, and not after rows
        for kill in range(1, given.kills + 1):
            begin = time.perf_counter()
            process = start(work / "jobs.jsonl", work / "killed", given.options)
            if few or chosen.random() < 1 / 3:
                kill_later(process, 0, chosen.uniform(0.1, whole / 2 if few else EARLY))
            else:
                kill_later(process, chosen.randrange(1, 2 * given.rows // given.kills), chosen.uniform(0, LATE))
            killed += time.perf_counter() - begin
            path = work / "killed" / "results.jsonl"
            torn = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
            done = len(records(work / "killed"))
            print(
                f"{kill:4}  {time.perf_counter() - begin:7.1f}  {done:7}  {done - before:3}  {'yes' if torn else 'no'}"
            )
            before = done
        begin = time.perf_counter()
        start(work / "jobs.jsonl", work / "killed", given.options).communicate()
        killed += time.perf_counter() - begin
        expected, found = outcome(work / "whole"), outcome(work / "killed")
    equal = expected.hashes == found.hashes and len(found.hashes) == given.rows
    print(f"rows respoken: {found.respoken}")
    print(f"time lost: {killed - whole:.0f} s of {killed:.0f} s, {(killed - whole) / given.kills:.1f} s for each kill")
    print(f"hashes of all {given.rows} files equal: {'yes' if equal else 'NO'}")
    print("left over or wrong:", *(found.wrong or ["nothing"]), sep="\n  ")
    return 0 if equal and not expected.wrong and not found.wrong else 1


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
