"""Configurations of checkpoints: those of every layout, with other values, types and sizes, beside valid weights."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import fuzz_frontends
import safetensors.torch
import torch
from conftest import make_checkpoint
from hypothesis import strategies as st
from llama_published import FILE, ecker_metadata, write_amphion, write_ecker
from mutations import VALUES, mutated_bytes, mutated_trees
from published import OPTIONS, write_lifeiteng
from published import write_amphion as write_amphion_v1

from vallecli.errors import CheckpointError, DependencyMissing, InputError, UsageError
from vallecli.families.detect import describe, detect
from vallecli.synthesizer import Synthesizer

SYMBOLS = {"<unk>": 0, "<bos>": 1, "</eos>": 2, "<mask>": 3, " ": 4, "a": 5, "b": 6}
AMPHION_ARGS = {"model_type": "VALLE", "model": {"nhead": 2, "prefix_mode": 1, "share_embedding": True}}
TOKENIZER = {"version": "1.0", "model": {"type": "BPE", "vocab": SYMBOLS, "merges": [], "unk_token": "<unk>"}}
HELD: list[tempfile.TemporaryDirectory[str]] = []


@functools.cache
def valid(layout: str) -> Path:
    """Return a folder in a layout, which stays for this process."""
    HELD.append(tempfile.TemporaryDirectory())
    folder = Path(HELD[-1].name)
    if layout == "native":
        make_checkpoint(folder / "x")
    elif layout == "amphion-v1":
        write_amphion_v1(folder / "x")
    elif layout == "amphion-v2":
        write_amphion(folder / "x")
    elif layout == "lifeiteng":
        (folder / "x").mkdir()
        write_lifeiteng(folder / "x" / "epoch-10.pt")
        (folder / "x" / "unique_text_tokens.k2symbols").write_text("<eps> 0\nb 1\n! 2\n")
    else:
        write_ecker(folder / "x", symbols=SYMBOLS)
        (folder / "x" / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    return folder / "x"


@functools.cache
def lifeiteng_state() -> Any:
    """Return the tensors of this layout, by name."""
    return torch.load(valid("lifeiteng") / "epoch-10.pt", weights_only=False)["model"]


CONFIGS: dict[str, tuple[str, list[Any]]] = {  # layout -> the file with its configuration, valid contents
    "native": ("config.json", [json.loads((valid("native") / "config.json").read_text())]),
    "amphion-v1": ("args.json", [AMPHION_ARGS]),
    "amphion-v2": ("config.json", [{"num_attention_heads": 2}]),
    "ecker": (FILE, [ecker_metadata(), ecker_metadata(version=5)]),
    "tokenizer": ("tokenizer.json", [TOKENIZER]),
    "lifeiteng": ("epoch-10.pt", [OPTIONS]),
}
SIZES = st.sampled_from((0, -1, 1, 3, 33, 2**10, 2**13, 2**16, 2**20, 2**31, 2**40, 2**63, 1.0, "2", True, None))
BYTES = st.sampled_from(list(CONFIGS)).flatmap(
    lambda layout: st.tuples(
        st.just(layout),
        mutated_bytes(
            [json.dumps(tree).encode() for tree in CONFIGS[layout][1]],
            tokens=(b"[" * 3_000, b"9" * 5_000, *b'{ [ " // /* , \\u 1e999 NaN \xff 0x0x'.split()),
        ),
    )
)
TREES = st.sampled_from(list(CONFIGS)).flatmap(
    lambda layout: st.tuples(st.just(layout), mutated_trees(CONFIGS[layout][1], values=st.one_of(SIZES, VALUES)))
)
SYMBOL_FILES = st.tuples(
    st.sampled_from(("symbols.dict", "unique_text_tokens.k2symbols")),
    mutated_bytes(
        [b"<eps> 0\nb 1\n! 2\n"], tokens=(b"\n", b" ", b"\xff", b"a 1\n" * 3_000, "é 3\n".encode(), b"\x1b[31m 4\n")
    ),
)
SAMPLES = st.one_of(TREES, TREES, BYTES, SYMBOL_FILES)
FEW = 10
FOUND: tuple[tuple[str, Any], ...] = ()


def warm_up() -> None:
    """Write a valid folder of each layout."""
    for layout in set(CONFIGS) - {"tokenizer"}:
        valid(layout)
    lifeiteng_state()
    fuzz_frontends.warm_up(["en"])


def check(sample: tuple[str, Any], folder: Path) -> None:
    layout, content = sample
    path = folder / "x"
    write(layout, content, path)
    if layout in ("lifeiteng", "unique_text_tokens.k2symbols"):
        path /= "epoch-10.pt"
    errors = []
    for use in (describe, read_text, load):
        try:
            use(path)
        except (CheckpointError, UsageError, DependencyMissing, InputError) as error:
            errors.append(error)
    if layout in CONFIGS and content in CONFIGS[layout][1] and layout not in ("lifeiteng", "amphion-v1"):
        assert not [error for error in errors if isinstance(error, UsageError)]
    for error in errors:
        raise error


def write(layout: str, content: Any, path: Path) -> None:
    """Write the folder of a sample."""
    if layout in ("symbols.dict", "unique_text_tokens.k2symbols"):
        shutil.copytree(valid("amphion-v1" if layout == "symbols.dict" else "lifeiteng"), path)
        (path / layout).write_bytes(content)
        return
    shutil.copytree(valid("ecker" if layout == "tokenizer" else layout), path)
    file = path / CONFIGS[layout][0]
    if layout == "lifeiteng":
        torch.save({**(content if isinstance(content, dict) else {"x": content}), "model": lifeiteng_state()}, file)
    elif layout == "ecker":
        tensors = safetensors.torch.load_file(file)
        text = content.decode(errors="replace") if isinstance(content, bytes) else json.dumps(content)
        file.unlink()
        safetensors.torch.save_file(tensors, file, {"config": text, "userdata": json.dumps({"symmap": SYMBOLS})})
    else:
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def read_text(path: Path) -> None:
    """Read a text as `valle text` does."""
    family, contents = detect(path, verify=False)
    options = {"tokenizer": path / "tokenizer.json"} if (path / "tokenizer.json").exists() else {}
    for reading in family.text_reader(contents, options).read("Ab b, a!"):
        assert len(reading.tokens.ids) > 0


def load(path: Path) -> None:
    """Load the models, as `valle speak` does."""
    Synthesizer.load(path, device="cpu")
