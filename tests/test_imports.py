"""Who may import whom: the house rules of the package, read from its syntax trees."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import vallecli

ROOT = Path(vallecli.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
HEAVY = {"torch", "numpy", "soundfile", "soxr", "encodec", "g2p_en", "huggingface_hub", "rich", "safetensors"}

# package -> what else of ours it may import; FREE is free to all, and what is not here may import all
FREE = {"errors", "constants", "extras"}
OURS: dict[str, set[str]] = {
    "errors": set(),
    "constants": set(),
    "extras": set(),
    "settings": set(),
    "registry": {"hub", "settings"},  # the hub inside `find` alone, once a name is to become a path
    "store": {"registry"},
    "hub": {"registry", "store"},
    "intake": {"formats", "registry", "store"},
    "device": set(),
    "text": set(),
    "audio": set(),
    "model": set(),
    "codec": set(),
    "checkpoint_codec": {"codec", "formats"},
    "decoding": {"model"},
    "formats": {"model", "text"},
    "tokens": {"decoding", "formats", "model"},
    "jobs": {"audio", "formats", "registry", "settings", "store", "text"},  # the synthesizer through a protocol alone
    "synthesizer": {
        *("audio", "checkpoint_codec", "codec", "decoding", "device", "formats", "hub", "model", "registry"),
        *("text", "tokens"),
    },
}
TORCHLESS = ("text", "audio", "errors", "constants", "extras", "settings", "registry", "store", "hub", "jobs")


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write imports in full"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_stay_inside_their_bounds(path: Path) -> None:
    package = package_of(path)
    names = set(imported(ast.parse(path.read_text(encoding="utf-8"))))
    if package in ("errors", "constants"):
        assert not any(name.startswith("vallecli") for name in names)
    ours = {name.split(".")[1] for name in names if name.startswith("vallecli.")} - {"__version__"}
    if package not in ("cli", "__main__"):
        assert "cli" not in ours
    if package in OURS:
        assert ours <= OURS[package] | {package, *FREE}
    if package in TORCHLESS:
        assert not any(name.split(".")[0] == "torch" for name in names)


@pytest.mark.parametrize("path", [path for path in MODULES if package_of(path) in ("cli", "settings")], ids=name_of)
def test_command_line_imports_nothing_heavy_at_module_level(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    statements = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    top = {name.split(".")[0] for node in statements for name in imported(node)}
    assert not top & HEAVY


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["speak", "--help"], ["batch", "--help"], ["bench", "--help"], ["checkpoints", "--help"]],
    ids=" ".join,
)
def test_help_is_quick_and_leaves_torch_alone(arguments: list[str]) -> None:
    code = (
        "import sys; from vallecli.cli.app import main; code = main(sys.argv[1:]);"
        f"print(sorted(set({sorted(HEAVY)}) & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    quickest = float("inf")
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        quickest = min(quickest, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.stderr.strip() == "[]"
        assert "valle" in done.stdout
        if quickest < 0.3:
            break
    assert quickest < 0.3  # seconds of processor time: the clock also tells what else the machine is doing
