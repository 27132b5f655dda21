"""Stream numbers of Ogg files (RFC 3533): libsndfile draws them at random, but equal audio should give equal bytes."""

from __future__ import annotations

import zlib
from typing import BinaryIO

HEADER_BYTES = 27  # of a page header, without its segment table
SERIAL, CHECKSUM = slice(14, 18), slice(22, 26)  # byte offsets in the header
SEGMENTS = 26  # byte offset of the number of segments
REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # each byte with its bits in reverse order


def checksum(page: bytes) -> int:
    """Return the CRC-32 of a page whose checksum field is zero: polynomial 0x04C11DB7, most significant bit first.

    zlib's CRC-32 has the same polynomial, with reversed bits and with start value and result inverted.
    """
    reversed_crc = zlib.crc32(page.translate(REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reversed_crc:032b}"[::-1], 2)


def set_serial(file: BinaryIO, serial: int) -> None:
    """Set the stream number of every page of an Ogg file that is open for reading and writing."""
    file.seek(0)
    while True:
        start = file.tell()
        page = bytearray(file.read(HEADER_BYTES))
        if len(page) < HEADER_BYTES:
            return
        segment_table = file.read(page[SEGMENTS])
        page += segment_table + file.read(sum(segment_table))
        page[SERIAL] = serial.to_bytes(4, "little")
        page[CHECKSUM] = bytes(4)
        page[CHECKSUM] = checksum(bytes(page)).to_bytes(4, "little")
        file.seek(start)
        file.write(page)
