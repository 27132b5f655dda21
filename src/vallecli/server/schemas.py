"""Requests and answers of the server, as JSON; see docs/server.md for the meaning of each field."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vallecli.settings import SAMPLING, value_of

FORMATS = {"wav": "wav", "mp3": "mp3", "opus": "opus", "aac": "m4a", "flac": "flac", "pcm": "raw"}
"""response_format -> a format of audio.chunks."""
PCM_RATE = 24_000  # Hz, of response_format pcm in the protocol
NAME = 200  # characters
FIELD = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # names of unknown fields that answers list
TRANSCRIPT = 10_000  # characters


class VoiceId(BaseModel):
    """A voice as the object that some clients send."""

    model_config = ConfigDict(extra="forbid")
    id: Annotated[str, Field(min_length=1, max_length=NAME)]


class SpeechRequest(BaseModel):
    """The body of POST /v1/audio/speech."""

    model_config = ConfigDict(extra="allow", strict=True)

    input: str
    model: Annotated[str, Field(max_length=NAME)] | None = None
    voice: Annotated[str, Field(min_length=1, max_length=NAME)] | VoiceId | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4.0)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    instructions: Annotated[str, Field(max_length=TRANSCRIPT)] | None = None
    # Fields that the protocol does not have.
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    greedy: bool | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    top_n_sigma: float | None = None
    repetition_window: int | None = None
    repetition_ratio: float | None = None
    max_seconds: float | None = None
    language: Annotated[str, Field(max_length=16)] = "auto"
    accent: Annotated[str, Field(max_length=16)] | None = None
    sample_rate: int | None = None
    reference_audio: str | None = None
    reference_text: Annotated[str, Field(max_length=TRANSCRIPT)] | None = None

    @field_validator(*SAMPLING, "max_seconds", "sample_rate")
    @classmethod
    def _in_range(cls, value: Any, info: Any) -> Any:
        return value if value is None else value_of(info.field_name, value)

    @property
    def voice_name(self) -> str | None:
        """Return the name of the voice."""
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice

    @property
    def format(self) -> str:
        """Return the format of audio.chunks."""
        return FORMATS[self.response_format]

    @property
    def ignored(self) -> list[str]:
        """Return the names of the fields that have no effect."""
        unknown = sorted(name for name in self.model_extra or () if FIELD.fullmatch(name))
        return unknown if self.instructions is None else ["instructions", *unknown]

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings that were given, by the names of settings.Settings."""
        names = (*SAMPLING, "max_seconds", "seed")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def decode_base64(text: str) -> bytes:
    """Return the bytes of base64, also of a data URL. Raises ValueError."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("it is not base64") from error


class ErrorBody(BaseModel):
    """What went wrong, in the shape of the protocol."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorAnswer(BaseModel):
    """The body of every answer with an error."""

    error: ErrorBody


class Model(BaseModel):
    """An entry of GET /v1/models."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "vallecli"


class Models(BaseModel):
    """The body of GET /v1/models."""

    object: Literal["list"] = "list"
    data: list[Model]


class VoiceEntry(BaseModel):
    """An entry of GET /v1/voices."""

    id: str
    object: Literal["voice"] = "voice"
    name: str
    kind: str
    consent: str | None = None
    has_transcript: bool = False
    notes: list[str] = []


class Voices(BaseModel):
    """The body of GET /v1/voices."""

    object: Literal["list"] = "list"
    data: list[VoiceEntry]
