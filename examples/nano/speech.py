"""Read the output of stage 1: audio, and the phoneme that sounds in each codec frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from align import ARPABET, SILENCE, SOUND_CLASS
from common import HOP, SAMPLE_RATE

MARKS = '.,!?;:—…"()“”-'  # symbols of hibari-tts that are silent
STRESS = "ˈˌ"
REAL = "voice-"  # prefix of token files made from real recordings
UNKNOWN = -100  # label of frames between words, which the loss ignores


def frame_labels(row: dict[str, Any]) -> np.ndarray:
    """Given a row of stage 1, return the class of the sound in each whole frame (T,)."""
    labels = np.zeros((row["end"] - row["start"]) // HOP, np.int64)
    centres = (np.arange(len(labels)) + 0.5) * HOP
    owner = np.searchsorted(row["phone_ends"], centres, side="right")  # 0 leading pad, i+1 phone i
    classes, follow = [0], UNKNOWN
    for phone in reversed(row["phones"]):  # a stress mark gets the class of the vowel after it
        if phone not in STRESS:
            sound = SILENCE if phone in MARKS else ARPABET.get(phone)
            follow = UNKNOWN if sound is None else SOUND_CLASS[sound]
        classes.append(follow)
    by_owner = np.array([classes[0], *reversed(classes[1:]), 0])
    return by_owner[owner]


def read(path: Path) -> np.ndarray:
    """Return a recording as mono audio (N,) at 24 kHz, in int16 to save memory."""
    wav, rate = soundfile.read(path, dtype="float32", always_2d=True)
    wav = wav.mean(1) if rate == SAMPLE_RATE else soxr.resample(wav.mean(1), rate, SAMPLE_RATE)
    return (np.clip(wav, -1, 1) * 32767).astype(np.int16)


def read_speaker(speaker: Path) -> np.ndarray:
    """Return the audio of one speaker (N, 2) as int16: the speaker's voice, and the same in hibari-tts's voice."""
    both: np.ndarray = soundfile.read(speaker.with_suffix(".flac"), dtype="int16")[0]
    return both


def speakers(run: Path) -> list[Path]:
    """Return the JSON files of all finished speakers, sorted."""
    return sorted((run / "speech").glob("s*.json"))


def rows(speaker: Path) -> list[dict[str, Any]]:
    """Return the rows of one speaker."""
    found: list[dict[str, Any]] = json.loads(speaker.read_text())["rows"]
    return found
