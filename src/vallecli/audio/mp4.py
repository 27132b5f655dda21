"""The index of MP4 files (ISO/IEC 14496-12; M4A, 3GP and QuickTime are the same): is it plausible?

FFmpeg allocates an entry for each sample that an index names, and a few bytes can name billions.
"""

from __future__ import annotations

import os
import re
from typing import BinaryIO

BOX = 8  # bytes of a box header: length and type
LONG_BOX = 16  # with a length of 64 bits
MAX_INDEX = 1 << 26  # bytes: hours of video have less
MAX_BOXES = 100_000  # at the top level: a fragmented file has two for every few seconds
# Boxes with a number of samples, and the offset of this number after the type. A compressed index is not checked.
SAMPLE_COUNTS = {b"stsz": 8, b"stz2": 8, b"trun": 4}
COMPRESSED = b"cmov"
# Samples per byte of the file. Old QuickTime files count the samples of a block one by one: IMA4 has 64 in 34 bytes.
MAX_SAMPLES_PER_BYTE = 4


def is_mp4(file: BinaryIO) -> bool:
    """Return whether a file begins like an MP4 file."""
    file.seek(0)
    return file.read(BOX)[4:] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def index_fits(file: BinaryIO) -> bool:
    """Return whether the boxes of an MP4 file, apart from the audio, name no more samples than it can contain."""
    size = file.seek(0, os.SEEK_END)
    position = boxes = index_bytes = samples = 0
    while position + BOX <= size:
        file.seek(position)
        header = file.read(LONG_BOX)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:], "big")
        if length < BOX or position + length > size:
            length = size - position  # 0 means: up to the end; others are damaged or cut off
        boxes += 1
        if kind != b"mdat":
            index_bytes += length
            if index_bytes > MAX_INDEX or boxes > MAX_BOXES:
                return False
            file.seek(position)
            content = file.read(length)
            for found in re.finditer(b"|".join([*SAMPLE_COUNTS, COMPRESSED]), content):
                if found.group() == COMPRESSED:
                    return False
                start = found.end() + SAMPLE_COUNTS[found.group()]
                samples += int.from_bytes(content[start : start + 4], "big")
        position += length
    return samples <= MAX_SAMPLES_PER_BYTE * size
