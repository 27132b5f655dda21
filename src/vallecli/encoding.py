"""Text files to str: UTF-8, and UTF-16 or UTF-32 with a byte order mark. Errors name what other files probably are."""

from __future__ import annotations

import codecs
import re
from os import PathLike
from typing import Literal

from vallecli.errors import TextEncodingError

MARKS = (  # byte order marks; UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
SIGNATURES = (  # first bytes, what such a file is
    (b"PK\x03\x04", "a spreadsheet, a document or another ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Word document"),
    (b"%PDF-", "a PDF document"),
    (b"{\\rtf", "an RTF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"SQLite format 3\0", "a database"),
    (b"RIFF", "a recording"),
    (b"fLaC", "a recording"),
    (b"OggS", "a recording"),
)
NULS_OF_UTF16 = 0.3  # least part of the bytes that are zero: half of them for English
MIN_DENSE = 8  # bytes above 127 from which text is taken for one without Latin letters ...
DENSE = 0.8  # ... if at least this part of them is beside another one
NOT_LATIN = (  # encoding, what all of its decoded characters above 127 match
    (
        "shift_jis",
        r"[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]*[\u3041-\u3096][\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]*",
    ),
    ("cp949", r"[\u3000-\u303f\uac00-\ud7a3\uff00-\uffef]*"),
    ("gb18030", r"[\u2014-\u2026\u00b7\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]*"),
    ("windows-1251", r"[\u00ab\u00bb\u2013-\u2026\u2116А-яЁё]*"),
)


def decode(
    data: bytes, source: str | PathLike[str], *, invalid: Literal["strict", "surrogateescape"] = "strict"
) -> str:
    """Return the text of a file, without a byte order mark.

    TextEncodingError names `source` and what the file probably is. With `invalid="surrogateescape"`, single bytes that
    are not UTF-8 become lone surrogates instead; see `encoding_error` for their error.
    """
    for first, kind in SIGNATURES:
        if data.startswith(first):
            raise TextEncodingError(source, kind, None)
    mark, encoding = next(((mark, name) for mark, name in MARKS if data.startswith(mark)), (b"", "utf-8"))
    if encoding != "utf-8":
        try:
            return data[len(mark) :].decode(encoding)
        except UnicodeDecodeError as error:
            raise TextEncodingError(source, f"damaged {encoding}", None) from error
    if not mark and (guessed := _unmarked_utf16(data)):
        raise TextEncodingError(source, guessed, guessed)
    try:
        return data[len(mark) :].decode("utf-8", errors=invalid)
    except UnicodeDecodeError as error:
        raise encoding_error(data, source) from error


def encoding_error(data: bytes, source: str | PathLike[str]) -> TextEncodingError:
    """Return the error for bytes that are not UTF-8."""
    encoding = _eight_bits(data)
    return TextEncodingError(source, "" if encoding is None else encoding, encoding)


def _unmarked_utf16(data: bytes) -> str:
    """Return "utf-16le" or "utf-16be" for text that is mostly ASCII in one of them, else ""."""
    for name, first in (("utf-16le", 1), ("utf-16be", 0)):
        nuls = data[first::2].count(0)
        if nuls > 1 and nuls >= NULS_OF_UTF16 * len(data) and 0 not in data[1 - first :: 2]:
            return name
    return ""


def _eight_bits(data: bytes) -> str | None:
    """Return the probable encoding of text in another encoding than UTF-8, None if it is not known."""
    high = sum(byte > 127 for byte in data)
    beside = sum(len(run) for run in re.findall(rb"[\x80-\xff]{2,}", data))
    if high >= MIN_DENSE and beside >= DENSE * high:
        for encoding, characters in NOT_LATIN:
            try:
                text = data.decode(encoding)
            except UnicodeDecodeError:
                continue
            if re.fullmatch(characters, re.sub(r"[\x00-\x7f]", "", text)):
                return encoding
    try:
        data.decode("windows-1252")
    except UnicodeDecodeError:
        return None
    return "windows-1252"
