"""The codec of a checkpoint: stored with it, or installed separately, such as EnCodec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from vallecli.checkpoints.modules import load_into, skeletons
from vallecli.codec.base import ENCODEC_GRID, AudioGrid
from vallecli.codec.encodec import EncodecCodec
from vallecli.codec.nano import NanoCodec, NanoCodecConfig
from vallecli.codec.vocos import VocosCodec, VocosDecoder
from vallecli.errors import DamagedCheckpoint, UsageError, short

if TYPE_CHECKING:
    from vallecli.codec.speechtokenizer import SpeechTokenizer

ENCODEC_DECODERS = ("encodec", "vocos")  # both decode EnCodec's codes

CodecWeights = Callable[[str], Path]  # "encodec", "vocos" or "speechtokenizer" -> its file; raises CheckpointError


@dataclass(frozen=True, kw_only=True)
class CodecSpec:
    """The codec of a checkpoint, not loaded yet."""

    grid: AudioGrid
    load: Callable[[], Any]
    """Returns the codec, in float32 on the CPU. Raises CheckpointError if its weights are missing."""


@dataclass(frozen=True, kw_only=True)
class Codecs:
    """Where weights of separate codecs come from, and which decoder of EnCodec's codes was chosen, if any."""

    weights: CodecWeights
    decoder: str | None = None

    def encodec(self, default: str, *, name: str) -> CodecSpec:
        """Return EnCodec with the chosen decoder. UsageError for a decoder that does not exist."""
        chosen = self._choose(default, ENCODEC_DECODERS, name)

        def load() -> EncodecCodec | VocosCodec:
            encodec = EncodecCodec.from_weights(self.weights("encodec"))
            if chosen == "encodec":
                return encodec
            return VocosCodec(encodec, VocosDecoder.from_weights(self.weights("vocos")))

        return CodecSpec(grid=ENCODEC_GRID, load=load)

    def speechtokenizer(self, grid: AudioGrid, path: Path | None, *, name: str) -> CodecSpec:
        """Return SpeechTokenizer from a file, or from the registry's if `path` is None."""
        self._choose("speechtokenizer", ("speechtokenizer",), name)

        def load() -> SpeechTokenizer:
            from vallecli.codec.speechtokenizer import SpeechTokenizer

            return SpeechTokenizer.from_weights(path or self.weights("speechtokenizer"))

        return CodecSpec(grid=grid, load=load)

    def stored(self, options: Mapping[str, Any], tensors: Mapping[str, Tensor], path: Path, name: str) -> CodecSpec:
        """Return the codec that a config.json describes: `kind`, and the sizes of nano's codec.

        Raises DamagedCheckpoint for an unknown codec, and UsageError for a decoder of other codes.
        """
        sizes = dict(options)
        kind = sizes.pop("kind", None)
        try:
            if kind in ENCODEC_DECODERS and not sizes:
                return self.encodec(kind, name=name)
            if kind != "nano":
                raise TypeError(f"its kind is {short(kind)}, with the options {short(sizes)}")
            config = NanoCodecConfig(**sizes)
        except (TypeError, ValueError) as error:
            raise DamagedCheckpoint(f"{path} needs an unknown codec: {error}") from error
        self._choose("nano", ("nano",), name)

        def load() -> NanoCodec:
            with skeletons():
                codec = NanoCodec(config)
            load_into(codec, tensors, "codec.", path)
            return codec

        return CodecSpec(grid=ENCODEC_GRID, load=load)

    def _choose(self, default: str, choices: tuple[str, ...], name: str) -> str:
        chosen = default if self.decoder is None else self.decoder
        if chosen not in choices:
            raise UsageError(
                f"the codes of {name} cannot be decoded by {chosen!r}", f"Possible decoders: {', '.join(choices)}."
            )
        return chosen
