"""The codec of a checkpoint's codes: its own, or of those that share EnCodec's the one that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vallecli.codec.encodec import EncodecCodec
from vallecli.codec.nano import NanoCodec, NanoCodecConfig
from vallecli.codec.vocos import VocosCodec, VocosDecoder
from vallecli.errors import DamagedCheckpoint, UsageError
from vallecli.families.valle.checkpoint import Checkpoint, load_into

ENCODEC_DECODERS = ("encodec", "vocos")  # codecs of the same codes

CodecWeights = Callable[[str], Path]  # "encodec" or "vocos" -> the file; raises MissingCheckpoint
MakeCodec = Callable[[], NanoCodec | EncodecCodec | VocosCodec]


def codec_of(checkpoint: Checkpoint, decoder: str | None, weights: CodecWeights) -> MakeCodec:
    """Return what makes the codec, in float32 on the CPU; that raises CheckpointError for weights it lacks.

    Raises DamagedCheckpoint for a codec that no checkpoint can want, and UsageError for a decoder of other codes.
    """
    options = dict(checkpoint.codec)
    kind = options.pop("kind", None)
    choices = ENCODEC_DECODERS if kind in ENCODEC_DECODERS else (kind,)
    config = None
    try:
        if kind == "nano":
            config = NanoCodecConfig(**options)
        elif kind not in ENCODEC_DECODERS or options:
            raise TypeError(f"its kind is {kind!r}, with the options {options}")
    except (TypeError, ValueError) as error:
        raise DamagedCheckpoint(f"{checkpoint.path} wants an unknown codec: {error}") from error
    chosen = kind if decoder is None else decoder
    if chosen not in choices:
        raise UsageError(
            f"{checkpoint.name} cannot be decoded by {decoder!r}", f"Its codes can be by: {', '.join(choices)}."
        )

    def make() -> NanoCodec | EncodecCodec | VocosCodec:
        if config is not None:
            codec = NanoCodec(config)
            load_into(codec, checkpoint.tensors, "codec.", checkpoint.path)
            return codec
        encodec = EncodecCodec.from_weights(weights("encodec"))
        return encodec if chosen == "encodec" else VocosCodec(encodec, VocosDecoder.from_weights(weights("vocos")))

    return make
