"""Which codec speaks a checkpoint's codes: its own, or of those that share EnCodec's the one that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vallecli.codec.encodec import EncodecCodec
from vallecli.codec.nano import NanoCodec, NanoCodecConfig
from vallecli.codec.vocos import VocosCodec, VocosDecoder
from vallecli.errors import DamagedCheckpoint, UsageError
from vallecli.formats.base import Checkpoint, load_into

ENCODEC_DECODERS = ("encodec", "vocos")  # codecs of the same codes

CodecWeights = Callable[[str], Path]  # "encodec" or "vocos" -> the file; raises MissingCheckpoint


def codec_kind(checkpoint: Checkpoint, decoder: str | None) -> str:
    """Return which codec to make. Raises DamagedCheckpoint for one that no checkpoint can want, and UsageError."""
    options = dict(checkpoint.codec)
    kind = options.pop("kind", None)
    try:
        if kind == "nano":
            NanoCodecConfig(**options)
        elif kind not in ENCODEC_DECODERS or options:
            raise TypeError(f"its kind is {kind!r}, with the options {options}")
    except (TypeError, ValueError) as error:
        raise DamagedCheckpoint(f"{checkpoint.path} wants an unknown codec: {error}") from error
    if decoder is None:
        return str(kind)
    choices = ENCODEC_DECODERS if kind in ENCODEC_DECODERS else (kind,)
    if decoder not in choices:
        raise UsageError(
            f"{checkpoint.name} cannot be decoded by {decoder!r}", f"Its codes can be by: {', '.join(choices)}."
        )
    return decoder


def make_codec(checkpoint: Checkpoint, kind: str, weights: CodecWeights) -> NanoCodec | EncodecCodec | VocosCodec:
    """Return the codec of that kind, in float32 on the CPU. Raises CheckpointError."""
    if kind == "nano":
        options = {name: value for name, value in checkpoint.codec.items() if name != "kind"}
        codec = NanoCodec(NanoCodecConfig(**options))
        load_into(codec, checkpoint.tensors, "codec.", checkpoint.path)
        return codec
    encodec = EncodecCodec.from_weights(weights("encodec"))
    return encodec if kind == "encodec" else VocosCodec(encodec, VocosDecoder.from_weights(weights("vocos")))
