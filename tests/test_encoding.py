"""Text files of every common encoding are read, or refused with the name of the encoding."""

from __future__ import annotations

import subprocess

import pytest

from vallecli.encoding import decode, encoding_error
from vallecli.errors import TextEncodingError

TEXT = "Grüße, it’s “fine” — 你好, привет 🙂\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", [TEXT, "a", ""])
def test_files_with_a_byte_order_mark(encoding: str, text: str) -> None:
    assert decode(f"\ufeff{text}".encode(encoding), "t.txt") == text


def test_utf8_needs_no_mark_and_may_contain_any_character() -> None:
    for text in [TEXT, "", "\0", "a\0b", "\x00\x07\x1b\x7f"]:
        assert decode(text.encode(), "t.txt") == text


OTHERS = {  # encoding for iconv -> a text
    "windows-1252": ["It’s fine. We’re here.", "café", "Il dit «Oui…»", "déjà, à l’été", "Größe: 5 €"],
    "windows-1251": ["Привет, как дела? Это «проверка» — №1."],
    "shift_jis": ["こんにちは、世界。", "これは１つのテストです。OK?"],
    "gb18030": ["你好,世界。这是一个测试!", "text,prompt\n“今天天气很好……”,ref.wav\n"],
    "cp949": ["안녕하세요, 세계. 만나서 반갑습니다."],
    "utf-16le": ["Hello there.", "It’s fine, Grüße.\r\n"],
    "utf-16be": ["Hello there.", "It’s fine, Grüße.\r\n"],
}


@pytest.mark.parametrize(("encoding", "text"), [(name, text) for name, texts in OTHERS.items() for text in texts])
def test_the_hint_converts_other_files(encoding: str, text: str) -> None:
    data = text.encode(encoding)
    with pytest.raises(TextEncodingError) as raised:
        decode(data, "t.txt")
    assert raised.value.message == f"t.txt is not UTF-8 text, but probably {encoding}"
    command = raised.value.hint.removeprefix("Convert it: ").split()
    assert command == ["iconv", "-f", encoding, "-t", "utf-8"]
    assert subprocess.run(command, input=data, capture_output=True, check=True).stdout.decode() == text


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00", "a spreadsheet, a document or another ZIP archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "an old Excel or Word document"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
        (b"{\\rtf1\\ansi Hello.}", "an RTF document"),
        (b"RIFF\x24\0\0\0WAVE", "a recording"),
        (b"\xff\xfeh", "damaged utf-16-le"),
        ("\ufeffHello".encode("utf-16-le") + b"\x00\xd8", "damaged utf-16-le"),
    ],
)
def test_files_that_are_not_text(data: bytes, kind: str) -> None:
    with pytest.raises(TextEncodingError) as raised:
        decode(data, "t.txt", invalid="surrogateescape")
    assert raised.value.message == f"t.txt is not UTF-8 text, but probably {kind}"
    assert raised.value.hint == "Save it as plain text in UTF-8."


def test_bytes_of_no_known_encoding() -> None:
    with pytest.raises(TextEncodingError) as raised:
        decode("für".encode("cp437"), "t.txt")
    assert (raised.value.message, raised.value.hint) == ("t.txt is not UTF-8 text", "Save it as plain text in UTF-8.")


def test_invalid_bytes_can_be_kept_for_later() -> None:
    data = b"good\ncaf\xe9\n"
    assert decode(data, "t.txt", invalid="surrogateescape") == "good\ncaf\udce9\n"
    assert encoding_error(data, "t.txt").hint == "Convert it: iconv -f windows-1252 -t utf-8"
