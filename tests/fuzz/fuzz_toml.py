"""Files in TOML: valle.toml with variables of the environment, and checkpoints.toml."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from mutations import VALUES, mutated_bytes, mutated_trees

from vallecli import settings
from vallecli.checkpoints import hub, registry
from vallecli.decoding.sampling import Sampling
from vallecli.errors import CheckpointError, UsageError

SETTINGS = {
    **{"checkpoint": "nano", "device": "cpu", "dtype": "float32", "seed": 7, "greedy": True, "temperature": 0.5},
    **{"top_k": 20, "top_p": 0.9, "top_n_sigma": 1.0, "max_seconds": 3.5, "sample_rate": 16_000, "lexicon": "x.tsv"},
    "offline": True,
}
FILE = {"path": "a/b.pt", "size": 12, "sha256": "0" * 64}
ENTRY = {
    **{"kind": "model", "family": "valle", "quality": "Good.", "licence": "MIT", "languages": ["en"]},
    "facts": {"a": "b"},
    "sources": [{"repo": "owner/name", "revision": "main", "files": [FILE]}, {"url": "https://a.b/c", "files": [FILE]}],
}
REGISTRY = {"one": ENTRY, "two": {**ENTRY, "codec": "one", "decoder": "three"}, "three": {**ENTRY, "about": 3}}


def to_toml(value: Any) -> str:
    """Return a value in TOML, tables inline; not always valid, as the values are not."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(str(key))} = {to_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) > 2**70:
        return f"{'-' * (value < 0)}0x{abs(value):x}"
    return quoted(value) if isinstance(value, str) else "1979-05-27" if value is None else repr(value)


def quoted(text: str) -> str:
    escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{escaped}"'


def document(tree: Any) -> bytes:
    if not isinstance(tree, dict):
        return to_toml(tree).encode()
    return "".join(f"{quoted(str(key))} = {to_toml(value)}\n" for key, value in tree.items()).encode()


PACKAGED = registry._packaged().read_bytes()
TOKENS = (*b'[ ] [[ ]] = " """ \'\'\' . 0x inf \xff'.split(), b"\n", b"a.b.c = 1\n", b"[one]\n")
VARIABLES = st.one_of(VALUES.map(str), st.sampled_from(("1", "auto", "no")))
DEEP = st.tuples(st.sampled_from(("[", "{a = ", "a.", "[a.", "[[", '"', "'")), st.integers(1, 3_000)).map(
    lambda deep: f"x = {deep[0] * deep[1]}".encode()
)
SAMPLES = st.one_of(
    st.tuples(
        st.just("settings"),
        st.one_of(mutated_trees([SETTINGS]).map(document), mutated_bytes([document(SETTINGS)], tokens=TOKENS), DEEP),
        st.dictionaries(st.sampled_from([*SETTINGS, "x"]), VARIABLES, max_size=3),
    ),
    st.tuples(
        st.just("registry"),
        st.one_of(
            mutated_trees([REGISTRY, {"one": ENTRY}]).map(document),
            mutated_bytes([PACKAGED, document(REGISTRY)], tokens=TOKENS),
            DEEP,
        ),
        st.just({}),
    ),
)
FOUND: tuple[tuple[str, bytes, dict[str, str]], ...] = (
    ("registry", document({"one": {**ENTRY, "facts": -130}}), {}),
    ("registry", document({"one": {**ENTRY, "languages": 3}}), {}),
    ("settings", b"x = " + b"[" * 2_000, {}),
)
plain = functools.lru_cache(maxsize=1)(lambda: registry.load([registry._packaged()]))


def check(sample: tuple[str, bytes, dict[str, str]], folder: Path) -> None:
    kind, content, environment = sample
    path = folder / ("valle.toml" if kind == "settings" else "checkpoints.toml")
    path.write_bytes(content)
    if kind == "settings":
        names = {f"VALLE_{name.upper()}": value for name, value in environment.items()}
        resolved = settings.resolve({}, environment=names, files=[path])
        resolved.sampling(Sampling(), seed=1, frame_rate=75.0)
        if content == document(SETTINGS) and not environment:
            expected = {**SETTINGS, "lexicon": str(folder / "x.tsv")}
            assert {name: getattr(resolved, name) for name in SETTINGS} == expected
        return
    read = registry.load([registry._packaged(), path])
    assert set(read.specs) | set(read.invalid) >= set(plain().specs)
    for name, spec in read.specs.items():
        if plain().specs.get(name) != spec:
            str(spec.sources[0]), spec.size, spec.licence_notice
            with contextlib.suppress(CheckpointError):
                assert hub.locate(spec) is None
    for error in read.invalid.values():
        assert isinstance(error, UsageError)
    read.check()
