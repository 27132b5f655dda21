"""The architecture of docs/architecture.md: import contracts, files that name a family, and a fast `--help`."""

from __future__ import annotations

import ast
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

import vallecli
from vallecli.families.catalog import FAMILIES

ROOT = Path(vallecli.__file__).parent
HEAVY = {"torch", "numpy", "soundfile", "soxr", "encodec", "g2p_en", "huggingface_hub", "rich", "safetensors"}
HELP = [
    ["--help"],
    ["speak", "--help"],
    ["batch", "--help"],
    ["script", "--help"],
    ["dub", "--help"],
    ["detect", "--help"],
    ["eval", "--help"],
    ["text", "--help"],
    ["read", "--help"],
    ["bench", "--help"],
    ["serve", "--help"],
    ["checkpoints", "--help"],
    ["voices", "add", "--help"],
]


def test_import_contracts() -> None:
    assert lint_imports(config_filename=str(ROOT.parents[1] / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS


# Words that name a family or its checkpoints, except "valle", the name of the command, and "native", of the format.
FAMILY_NAMES = {family.name for family in FAMILIES} - {"native"}
OTHER_NAMES = ("nano(?!second)", "amphion", "vall-e x", "llama", "bark")
NAMES = re.compile("|".join([*(f"(?<![a-z]){name}" for name in FAMILY_NAMES), *OTHER_NAMES]), re.IGNORECASE)
ALLOWED = {
    "families/catalog.py": "lists the families",
    "checkpoints/registry.py": "nano is built in",
    "settings.py": "nano is the default checkpoint",
    "synthesizer.py": "nano is the default checkpoint",
    "__init__.py": "nano is the default checkpoint",
    "cli/options.py": "help",
    "cli/speak.py": "help",
    "cli/dub.py": "help",
    "cli/text.py": "help",
    "cli/bench.py": "help",
    "cli/checkpoints.py": "help",
    "cli/checkpoint_files.py": "help",
    "cli/checkpoint_formats.py": "help",
    "codec/nano.py": "nano's codec",
    "codec/select.py": "nano's codec, stored with its checkpoint",
    "codec/equalizer.py": "uses the mel bands of nano's codec",
    "text/vallex.py": "front end of one family",
    "text/ipa_en.py": "front end of one family",
    "text/ipa_ja.py": "front end of one family",
    "text/ipa_zh.py": "front end of one family",
    "text/espeak.py": "front end of one family",
    "text/english/units.py": "the prefix nano",
    "text/amphion_v2.py": "front end of one family",
    "text/ecker.py": "front end of one family",
}


def words(tree: ast.Module) -> Iterator[str]:
    """Yield the names, imports and strings of a module, without docstrings and comments."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(value)) if id(node) not in docstrings:
                yield value
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                yield name
            case ast.ImportFrom(module=str(name)):
                yield name
            case _ if isinstance(node, documented) and not isinstance(node, ast.Module):
                yield node.name


def test_only_known_files_name_a_family() -> None:
    naming = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        if any(NAMES.search(word) for word in words(ast.parse(path.read_text(encoding="utf-8"))))
    }
    folders = ("families/valle/", "families/llama/", "families/bark/")
    assert {name for name in naming if not name.startswith(folders)} - ALLOWED.keys() == set()


@pytest.mark.parametrize("arguments", HELP, ids=" ".join)
def test_help_is_fast_and_does_not_import_torch(arguments: list[str]) -> None:
    code = (
        "import sys; from vallecli.cli.app import main; code = main(sys.argv[1:]);"
        f"print(sorted(set({sorted(HEAVY)}) & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stderr.splitlines()[-1] == "[]", done.stderr
    assert after.ru_utime - before.ru_utime < 3  # CPU time, ten times what it takes


def test_the_package_is_imported_without_torch() -> None:
    code = "import sys, vallecli, vallecli.families.catalog; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_loading_a_checkpoint_does_not_import_torchs_compiler() -> None:
    code = "import sys, vallecli; vallecli.load('nano'); print({'torch._dynamo', 'sympy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
