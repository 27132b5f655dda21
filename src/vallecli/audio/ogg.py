"""Ogg pages (RFC 3533): the same audio is to give the same bytes, and libsndfile numbers its streams by chance."""

from __future__ import annotations

import zlib
from typing import BinaryIO

HEADER_BYTES = 27  # of a page, before the lengths of its segments
SERIAL, CHECKSUM = slice(14, 18), slice(22, 26)  # where they are in the header
SEGMENTS = 26  # where the number of segments is
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # each byte with its bits in reverse


def checksum(page: bytes) -> int:
    """Return the CRC of a page whose checksum field is zero: polynomial 0x04C11DB7, most significant bit first.

    zlib's has the same polynomial with the bits of everything mirrored, and inverts its start and its result.
    """
    mirrored = zlib.crc32(page.translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def set_serial(file: BinaryIO, serial: int) -> None:
    """Give each page of an Ogg file, open for reading and writing, another stream number."""
    file.seek(0)
    while True:
        start = file.tell()
        page = bytearray(file.read(HEADER_BYTES))
        if len(page) < HEADER_BYTES:
            return
        lengths = file.read(page[SEGMENTS])
        page += lengths + file.read(sum(lengths))
        page[SERIAL] = serial.to_bytes(4, "little")
        page[CHECKSUM] = bytes(4)
        page[CHECKSUM] = checksum(bytes(page)).to_bytes(4, "little")
        file.seek(start)
        file.write(page)
