"""Broken and hostile books: one clear error each, in bounded time and memory."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import epubs
import pytest
from epubs import page

from vallecli.errors import (
    DamagedDocument,
    DocumentError,
    DocumentNotFound,
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    UnknownDocument,
)
from vallecli.longform.documents import OLE, read_document

BOOK = Path("book.epub")
TEXT = {"a.xhtml": page("<h1>One</h1><p>Text.</p>")}
ENCRYPTED = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><EncryptedData '
    'xmlns="http://www.w3.org/2001/04/xmlenc#"><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>'
    '<CipherData><CipherReference URI="OEBPS/a.xhtml"/></CipherData></EncryptedData></encryption>'
)
BOMB = "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]>"


def encrypted() -> None:
    epubs.book(BOOK, TEXT, more={"META-INF/encryption.xml": ENCRYPTED, "META-INF/license.lcpl": "{}"})


def without_container() -> None:
    with zipfile.ZipFile(BOOK, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("OEBPS/content.opf", epubs.package(TEXT))


def without_package() -> None:
    epubs.write(BOOK, TEXT)


def without_a_text() -> None:
    epubs.write(BOOK, {"content.opf": epubs.package(TEXT)})


def unlisted_text() -> None:
    epubs.write(BOOK, {"content.opf": epubs.package(TEXT).replace('idref="i0"', 'idref="i9"'), **TEXT})


def empty_spine() -> None:
    epubs.book(BOOK, {})


def empty_book() -> None:
    epubs.book(BOOK, {"a.xhtml": page("<img src='a.png'/>"), "b.xhtml": page(" ")})


def files_of_no_bytes() -> None:
    epubs.book(BOOK, {"a.xhtml": "", "b.xhtml": ""})


def only_front_matter() -> None:
    epubs.book(BOOK, {"a.xhtml": page("<p>A Book</p>", attributes='epub:type="titlepage"')})


def outside() -> None:
    epubs.write(BOOK, {"content.opf": epubs.package({"../../../etc/passwd": ""})})


def web_text() -> None:
    epubs.write(BOOK, {"content.opf": epubs.package({"http://127.0.0.1/a.xhtml": ""})})


def truncated() -> None:
    epubs.book(BOOK, TEXT)
    BOOK.write_bytes(BOOK.read_bytes()[:-30])


def damaged_text() -> None:
    epubs.book(BOOK, {"a.xhtml": page("".join(f"<p>{os.urandom(40).hex()}</p>" for _ in range(200)))})
    data = bytearray(BOOK.read_bytes())
    place = data.index(b"a.xhtml") + 300
    data[place : place + 20] = bytes(20)
    BOOK.write_bytes(data)


def bomb() -> None:
    epubs.book(BOOK, {"a.xhtml": page("<p>" + "a" * 2**26 + "</p>")})


def lying_bomb() -> None:
    """The directory says that the text is small."""
    epubs.book(BOOK, {"a.xhtml": page("<p>" + "a" * 2**26 + "</p>")})
    data = BOOK.read_bytes()
    size = len(page("<p>" + "a" * 2**26 + "</p>"))
    BOOK.write_bytes(data.replace(struct.pack("<I", size), struct.pack("<I", 1000)))


def entities() -> None:
    epubs.book(BOOK, {"a.xhtml": BOMB + "<html><body>&b;</body></html>"})


def entities_in_the_package() -> None:
    epubs.write(BOOK, {"content.opf": BOMB + epubs.package(TEXT).partition("?>")[2], **TEXT})


def nested() -> None:
    epubs.book(BOOK, {"a.xhtml": page("<div>" * 1_000_000)})


def nested_package() -> None:
    epubs.write(BOOK, {"content.opf": "<package>" + "<a>" * 100_000})


def huge_paragraph() -> None:
    epubs.book(BOOK, {"a.xhtml": page("<p>" + "word " * 1_200_000 + "</p>")})


def password() -> None:
    epubs.book(BOOK, TEXT)
    data = bytearray(BOOK.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(signature, at + 1)) >= 0:
            data[at + offset] |= 1
    BOOK.write_bytes(data)


def no_xml() -> None:
    epubs.write(BOOK, {"META-INF/container.xml": b"\x00\xff" * 40, "content.opf": epubs.package(TEXT), **TEXT})


CASES: dict[Callable[[], None], tuple[type[DocumentError], str]] = {
    encrypted: (EncryptedDocument, "Readium LCP"),
    without_container: (DamagedDocument, "container.xml is missing"),
    without_package: (DamagedDocument, "content.opf is missing"),
    without_a_text: (DamagedDocument, "a.xhtml is missing"),
    unlisted_text: (DamagedDocument, "'i9', which is not listed"),
    empty_spine: (DamagedDocument, "lists no texts"),
    empty_book: (EmptyDocument, "no text to read"),
    files_of_no_bytes: (EmptyDocument, "no text to read"),
    only_front_matter: (EmptyDocument, "1 front"),
    outside: (DamagedDocument, "a file is missing"),
    web_text: (DamagedDocument, "a file is missing"),
    truncated: (DamagedDocument, "ZIP archive is incomplete"),
    damaged_text: (DamagedDocument, "a.xhtml is incomplete"),
    bomb: (DocumentTooLarge, "would unpack to"),
    lying_bomb: (DamagedDocument, "a.xhtml is incomplete"),
    entities: (DamagedDocument, "entities"),
    entities_in_the_package: (DamagedDocument, "entities"),
    nested: (DamagedDocument, "nested"),
    nested_package: (DamagedDocument, "nested"),
    huge_paragraph: (DocumentTooLarge, "paragraph"),
    password: (EncryptedDocument, "password"),
    no_xml: (DamagedDocument, "container.xml"),
}


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_broken_epubs(make: Callable[[], None]) -> None:
    make()
    kind, message = CASES[make]
    with pytest.raises(kind, match=message) as caught:
        read_document(BOOK)
    assert caught.value.hint
    assert "book.epub" in caught.value.message
    assert len(caught.value.message) < 300
    assert sorted(path.name for path in Path().iterdir()) == ["book.epub"]


def test_a_chapter_of_no_bytes_does_not_harm_the_others() -> None:
    epubs.book(BOOK, {"a.xhtml": "", "b.xhtml": page("<h1>One</h1><p>A word.</p>")})
    assert [chapter.title for chapter in read_document(BOOK).chapters] == ["One"]


@pytest.mark.parametrize("make", [bomb, lying_bomb, entities], ids=lambda make: make.__name__)
def test_bombs_take_no_memory(make: Callable[[], None]) -> None:
    make()
    tracemalloc.start()
    try:
        with pytest.raises(DocumentError):
            read_document(BOOK)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_all_parts_together_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    epubs.book(BOOK, {f"{at}.xhtml": page(f"<p>{' ' * 2**16}a</p>") for at in range(20)})
    assert len(read_document(BOOK).chapters) == 20
    monkeypatch.setattr("vallecli.longform.books.archive.MAX_UNPACKED", 2**20)
    with pytest.raises(DocumentTooLarge, match="all parts"):
        read_document(BOOK)


@pytest.mark.parametrize(
    ("content", "kind", "word"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", UnknownDocument, "PDF"),
        (OLE + bytes(600), UnknownDocument, "DOC"),
        (
            OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
            EncryptedDocument,
            "password",
        ),
        (bytes(60) + b"BOOKMOBI" + bytes(20), UnknownDocument, "Kindle"),
        (b"{\\rtf1 text}", UnknownDocument, "RTF"),
        (b"\x89PNG\r\n\x1a\n", UnknownDocument, "image"),
        (bytes(range(256)) * 20, UnknownDocument, "binary"),
        (b"\x7fELF\x02\x01\x01", UnknownDocument, "program"),
        (b"<?xml version='1.0'?><FictionBook xmlns='x'><body/></FictionBook>", UnknownDocument, "FictionBook"),
        (b"<?xml version='1.0'?><svg xmlns='x'/>", UnknownDocument, "svg"),
        (b"", EmptyDocument, "no text"),
        (b"PK\x05\x06" + bytes(18), UnknownDocument, "ZIP"),
        (b"PK\x03\x04" + bytes(40), DamagedDocument, "ZIP"),
    ],
)
def test_other_files(content: bytes, kind: type[DocumentError], word: str) -> None:
    path = Path("book.txt")
    path.write_bytes(content)
    with pytest.raises(kind, match=word) as caught:
        read_document(path)
    assert caught.value.hint


def test_other_archives() -> None:
    for name, content, word in (
        ("mimetype", "application/vnd.oasis.opendocument.text", "OpenDocument"),
        ("a.txt", "Text.", "ZIP archive"),
        ("content.opf", "<package/>", "container.xml is missing"),
    ):
        with zipfile.ZipFile(BOOK, "w") as archive:
            archive.writestr(name, content)
        with pytest.raises(DocumentError, match=word):
            read_document(BOOK)


def test_an_archive_with_a_large_directory() -> None:
    size = 2**23
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 60_000, 60_000, size, 4, 0)
    BOOK.write_bytes(b"PK\x03\x04" + bytes(size) + end)
    with pytest.raises(DocumentTooLarge, match="list of its parts"):
        read_document(BOOK)


def test_files_that_cannot_be_opened() -> None:
    with pytest.raises(DocumentNotFound, match="no such file"):
        read_document("nothing.epub")
    with pytest.raises(DocumentNotFound, match="directory"):
        read_document(".")
    with pytest.raises(DocumentNotFound):
        read_document("/dev/zero")


def test_texts_larger_than_any_book(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("book.txt")
    path.write_text("Some words.\n\n" * 1000)
    for limit, message in (("documents.MAX_TEXT_BYTES", "bytes"), ("books.model.MAX_CHARACTERS", "characters"),
                           ("books.model.MAX_BLOCKS", "paragraphs")):  # fmt: skip
        with monkeypatch.context() as patched:
            patched.setattr(f"vallecli.longform.{limit}", 900)
            with pytest.raises(DocumentTooLarge, match=f"900 {message}"):
                read_document(path)
