"""Audio in pieces to a pipe."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from vallecli.audio.encoders import COMPRESSED, new_encoder
from vallecli.audio.formats import check_rate, has_header
from vallecli.audio.pcm import UNKNOWN_BYTES, PcmEncoder, Wav, Writer, wav_header
from vallecli.audio.provenance import Provenance

__all__ = ["UNKNOWN_BYTES", "Wav", "Writer", "open_stream", "wav_header"]


@contextmanager
def open_stream(
    pipe: BinaryIO, *, sample_rate: int, format: str = "wav", provenance: Provenance | None = None
) -> Iterator[Writer]:
    """Yield a writer to a pipe such as sys.stdout.buffer, at `sample_rate` in Hz; see `files.open_output`.

    wav, raw, ulaw and alaw are sent piece by piece; compressed formats are sent when the body has succeeded, because
    their encoders need to seek. Raises UsageError for a sample rate that the format does not have, and BrokenPipeError
    when the reader has closed the pipe.
    """
    check_rate(format, sample_rate)
    if format not in COMPRESSED:
        yield PcmEncoder(pipe, format, sample_rate, header=has_header(format, None), provenance=provenance)
        return
    with tempfile.TemporaryFile() as file:
        encoder = new_encoder(file, format, sample_rate=sample_rate, header=False, provenance=provenance)
        try:
            yield encoder
        except BaseException:
            with suppress(Exception):
                encoder.finish()  # releases the encoder before the file is closed
            raise
        encoder.finish()
        encoder.check()
        file.seek(0)
        shutil.copyfileobj(file, pipe)
        pipe.flush()
