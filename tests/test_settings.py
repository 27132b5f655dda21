"""Flag > environment > valle.toml > default."""

from __future__ import annotations

from pathlib import Path

import pytest

from vallecli.errors import UsageError
from vallecli.settings import Settings, resolve


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "valle.toml"
    path.write_text('device = "cuda:1"\ntop_k = 5\ntemperature = 1\ngreedy = false\n')
    return path


def test_each_source_yields_to_the_stronger_and_is_remembered(toml: Path) -> None:
    everywhere = resolve({"top_k": 3}, environment={"VALLE_TOP_K": "4", "VALLE_SEED": "0"}, files=[toml])
    assert (everywhere.top_k, everywhere.source("top_k")) == (3, "--top-k")
    assert (everywhere.seed, everywhere.source("seed")) == (0, "VALLE_SEED")
    assert (everywhere.device, everywhere.source("device")) == ("cuda:1", str(toml))
    assert (everywhere.checkpoint, everywhere.source("checkpoint")) == ("nano", "default")
    assert resolve({}, environment={"VALLE_TOP_K": "4"}, files=[toml]).top_k == 4
    assert resolve({}, environment={}, files=[toml]).top_k == 5


def test_nothing_given_is_the_defaults() -> None:
    assert resolve({}, environment={}, files=[]) == Settings()


def test_a_flag_that_is_false_is_a_value() -> None:
    assert resolve({"greedy": False}, environment={"VALLE_GREEDY": "yes"}, files=[]).greedy is False


def test_the_first_file_wins_key_by_key(toml: Path, tmp_path: Path) -> None:
    user = tmp_path / "user.toml"
    user.write_text("top_k = 50\nseed = 9\n")
    settings = resolve({}, environment={}, files=[toml, user])
    assert (settings.top_k, settings.seed) == (5, 9)


def test_a_file_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert resolve({}, environment={}, files=[tmp_path / "none" / "valle.toml"]) == Settings()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("divice = 'cpu'", "Did you mean device?"),
        ("top_k = 0", "whole number from 1"),
        ("top_k = 1.5", "whole number from 1"),
        ("top_k = true", "whole number from 1"),
        ("top_p = 1.1", "at most 1"),
        ("temperature = 0", "above 0"),
        ("temperature = nan", "above 0"),
        ("max_seconds = inf", "above 0"),
        ("seed = -1", "from 0"),
        ("dtype = 'float23'", "float32"),
        ("greedy = 'perhaps'", "true or false"),
        ("checkpoint = 3", "a name or a path"),
        ("= 3", "Correct the file"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "valle.toml"
    path.write_text(line)
    with pytest.raises(UsageError) as caught:
        resolve({}, environment={}, files=[path])
    assert str(path) in caught.value.message
    assert said in caught.value.hint
