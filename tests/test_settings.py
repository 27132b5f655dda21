"""Flag > environment > valle.toml > default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vallecli.decoding.sampling import Sampling
from vallecli.errors import PolicyError, UsageError
from vallecli.settings import POLICIES, Settings, resolve, value_of


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "valle.toml"
    path.write_text('device = "cuda:1"\ntop_k = 5\ntemperature = 1\ngreedy = false\n')
    return path


def test_stronger_sources_override_weaker_ones_and_sources_are_stored(toml: Path) -> None:
    settings = resolve({"top_k": 3}, environment={"VALLE_TOP_K": "4", "VALLE_SEED": "0"}, files=[toml])
    assert (settings.top_k, settings.source("top_k")) == (3, "--top-k")
    assert (settings.seed, settings.source("seed")) == (0, "VALLE_SEED")
    assert (settings.device, settings.source("device")) == ("cuda:1", str(toml))
    assert (settings.checkpoint, settings.source("checkpoint")) == ("nano", "default")
    assert resolve({}, environment={"VALLE_TOP_K": "4"}, files=[toml]).top_k == 4
    assert resolve({}, environment={}, files=[toml]).top_k == 5


def test_the_hubs_own_variable_keeps_everything_off_the_network() -> None:
    on = {"HF_HUB_OFFLINE": "1"}
    for flags in ({}, {"offline": False}):  # huggingface_hub has no exception either
        settings = resolve(flags, environment=on, files=[])
        assert (settings.offline, settings.source("offline")) == (True, "HF_HUB_OFFLINE")
    assert resolve({}, environment={**on, "VALLE_OFFLINE": "yes"}, files=[]).source("offline") == "VALLE_OFFLINE"
    assert resolve({"offline": True}, environment=on, files=[]).source("offline") == "--offline"
    for off in ("", "0", "no"):
        assert resolve({}, environment={"HF_HUB_OFFLINE": off}, files=[]) == Settings()


def test_without_any_source_all_settings_have_defaults() -> None:
    assert resolve({}, environment={}, files=[]) == Settings()


def test_a_flag_that_is_false_is_a_value() -> None:
    assert resolve({"greedy": False}, environment={"VALLE_GREEDY": "yes"}, files=[]).greedy is False


def test_the_first_file_wins_for_each_key(toml: Path, tmp_path: Path) -> None:
    user = tmp_path / "user.toml"
    user.write_text("top_k = 50\nseed = 9\n")
    settings = resolve({}, environment={}, files=[toml, user])
    assert (settings.top_k, settings.seed) == (5, 9)


def test_a_missing_file_is_not_an_error(tmp_path: Path) -> None:
    assert resolve({}, environment={}, files=[tmp_path / "none" / "valle.toml"]) == Settings()


@pytest.mark.parametrize(
    ("line", "message"),
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
        ("top_n_sigma = -0.5", "a number from 0"),
        ("sample_rate = 3999", "from 4000 to 192000"),
        ("sample_rate = 192001", "from 4000 to 192000"),
        ("sample_rate = 44100.0", "from 4000 to 192000"),
        ("checkpoint = 3", "a name or a path"),
        ("= 3", "Correct the file"),
    ],
)
def test_invalid_values_in_a_file(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "valle.toml"
    path.write_text(line)
    with pytest.raises(UsageError) as caught:
        resolve({}, environment={}, files=[path])
    assert str(path) in caught.value.message
    assert message in caught.value.hint


def test_the_sampling_has_the_settings_that_are_set_and_the_defaults_of_the_checkpoint() -> None:
    defaults = Sampling(greedy=True, temperature=0.8, top_k=30, max_frames=500)
    assert Settings().sampling(defaults, seed=3, frame_rate=50) == Sampling(
        greedy=True, temperature=0.8, top_k=30, max_frames=500, seed=3
    )
    settings = Settings(greedy=False, top_n_sigma=1.5, max_seconds=2)
    assert settings.sampling(defaults, seed=3, frame_rate=50) == Sampling(
        greedy=False, temperature=0.8, top_k=30, top_n_sigma=1.5, max_frames=100, seed=3
    )
    assert Settings(max_seconds=0.001).sampling(defaults, seed=0, frame_rate=50).max_frames == 1


@pytest.fixture
def system_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "system.toml"
    monkeypatch.setattr("vallecli.settings.SYSTEM_FILE", path)
    return path


def test_the_system_wide_file_is_the_weakest_source(system_file: Path, toml: Path) -> None:
    system_file.write_text('device = "cuda:7"\nseed = 9\nwatermark = false\nlexicon = "words.txt"\n')
    settings = resolve({}, environment={}, files=[toml])
    assert (settings.device, settings.source("device")) == ("cuda:1", str(toml))
    assert (settings.seed, settings.source("seed")) == (9, str(system_file))
    assert (settings.watermark, settings.source("watermark")) == (False, str(system_file))
    assert settings.lexicon == str(system_file.parent / "words.txt")
    assert resolve({"watermark": True}, environment={}, files=[]).watermark


@pytest.mark.parametrize("source", ["flag", "environment", "file"])
def test_a_policy_cannot_be_weakened(system_file: Path, tmp_path: Path, source: str) -> None:
    system_file.write_text("watermark = true\n")
    user_file = tmp_path / "user.toml"
    user_file.write_text("watermark = false\n" if source == "file" else "")
    flags = {"watermark": False} if source == "flag" else {}
    environment = {"VALLE_WATERMARK": "no"} if source == "environment" else {}
    named = {"flag": "--no-watermark", "environment": "VALLE_WATERMARK", "file": str(user_file)}[source]
    with pytest.raises(PolicyError) as caught:
        resolve(flags, environment=environment, files=[user_file])
    assert caught.value.message == f"{named}: watermark is false, but the policy in {system_file} requires true"
    assert caught.value.exit_code == 2
    assert resolve({"watermark": True}, environment=environment, files=[user_file]).watermark  # as strict, so allowed


def test_a_policy_that_nobody_contradicts(system_file: Path) -> None:
    system_file.write_text("watermark = true\n")
    settings = resolve({}, environment={}, files=[])
    assert (settings.watermark, settings.source("watermark")) == (True, str(system_file))


@pytest.mark.parametrize("content", [b"watermark = maybe", b"watermark = 'maybe'", b"\xff", b"watermrk = true"])
def test_a_broken_system_wide_file_is_an_error(system_file: Path, content: bytes) -> None:
    system_file.write_bytes(content)
    with pytest.raises(UsageError, match=re.escape(str(system_file))):
        resolve({"watermark": False}, environment={}, files=[])


def test_an_unreadable_system_wide_file_is_an_error(system_file: Path) -> None:
    system_file.mkdir()  # as for a file without permission, which root could read
    with pytest.raises(UsageError, match=f"cannot read {re.escape(str(system_file))}"):
        resolve({}, environment={}, files=[])


def test_policies_are_settings_with_all_their_values() -> None:
    for name, values in POLICIES.items():
        assert getattr(Settings(), name) in values
        assert [value_of(name, value) for value in values] == list(values)
