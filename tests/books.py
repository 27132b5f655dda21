"""Make an EPUB of generated prose, of any length, with a cover, a table of contents, and equal bytes for equal options.

python tests/books.py book.epub --words 30000 --chapters 3
"""

from __future__ import annotations

import argparse
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

TITLE, AUTHOR, COVER_SIZE = "The Lamp in the Harbour", "A. Maker", 64
CHAPTERS = (
    *("The Keeper", "The Letter", "The Storm", "The Ferry", "The Market", "The Bell"),
    *("The Bridge", "The Garden", "The Winter", "The Return"),
)
LISTS = {
    "who": "Anna|the keeper|the old captain|her brother|the baker|Mr. Hale|the teacher|a young sailor|the doctor|"
    "Mrs. Brook|the boy|the pilot|their neighbour|the fisherman|the clerk|the girl from the mill",
    "did": "walked|looked|turned|waited|listened|went back|hurried|stood still|sat down|came home|called out",
    "said": "said|asked|answered|whispered|replied|repeated",
    "saw": "saw|found|remembered|carried|painted|counted|watched|followed|described|missed|noticed|kept",
    "what": "the boat|a letter|the lamp|an iron key|the map|a wooden box|the bell|three coins|the blue door|"
    "a grey horse|the broken clock|a basket of apples|the book|a silver ring|the last train|a small dog",
    "where": "by the river|at the harbour|on the bridge|behind the mill|in the kitchen|under the old tree|"
    "near the gate|along the wall|in the market|above the town|beside the church|at the edge of the wood|on the stairs",
    "when": "in the morning|before dinner|after the rain|at night|on the third of May|last winter|for an hour|at noon|"
    "in the year 1874|when the wind fell|on Sunday|at 6:30|as the tide came in",
    "how": "slowly|quietly|without a word|with great care|almost at once|in silence|gladly|for the last time",
    "is": "cold|bright|quiet|empty|strange|narrow|warm|dark|familiar|full of people|older than the town",
    "think": "it would rain|nobody had seen it|the road was closed|there was still time|he was wrong|she knew the way|"
    "the ship would come|it was too late|all of it was true|they should wait",
}
TEMPLATES = (
    "{Who} {did} {where}.",
    "{Who} {did} {where} {when}, and {who} {did} {how}.",
    "{When}, {who} {saw} {what} {where}.",
    "{Who} thought that {think}.",
    "It was {is} {where}, and {who} {saw} {what} {how}.",
    "\u201cI think that {think},\u201d {said} {who}.",
    "\u201cDid you see {what} {where}?\u201d {said} {who} {how}.",
    "There was {what}, and beside it {what}, as {is} as ever.",
    "{Who} and {who} {did} {where} until {who} {saw} {what}.",
    "Nobody knew why {who} {saw} {what} {when}; perhaps {think}.",
    "{How}, {who} {did}, because {think}.",
    "The street was {is}, the water was {is}, and {who} {did} {where}.",
    "For years {who} had told the story of {what} that {who} {saw} {where}.",
    "{When} the town was {is}.",
)


def sentences(random_: random.Random) -> Iterator[str]:
    """Yield sentences without an end."""
    lists = {name: words.split("|") for name, words in LISTS.items()}
    while True:
        sentence = random_.choice(TEMPLATES)
        for name, words in lists.items():
            while "{" + name + "}" in sentence:
                sentence = sentence.replace("{" + name + "}", random_.choice(words), 1)
            begin = random_.choice(words)
            sentence = sentence.replace("{" + name.capitalize() + "}", begin[0].upper() + begin[1:], 1)
        yield sentence


def prose(words: int, *, seed: int = 0) -> list[list[str]]:
    """Return paragraphs, lists of sentences, of at least so many words together."""
    random_ = random.Random(seed)
    source, paragraphs = sentences(random_), []
    while words > 0:
        paragraph = [next(source) for _ in range(random_.randrange(2, 7))]
        words -= len(" ".join(paragraph).split())
        paragraphs.append(paragraph)
    return paragraphs


def png(size: int = COVER_SIZE) -> bytes:
    """Return a square image in one colour."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    pixels = (b"\0" + b"\x20\x40\x80" * size) * size
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def page(title: str, body: str) -> str:
    """Return a page of XHTML."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml" '
        f'xmlns:epub="http://www.idpf.org/2007/ops" xml:lang="en"><head><title>{title}</title></head>'
        f"<body>\n{body}\n</body></html>\n"
    )


def write_epub(path: Path, chapters: Sequence[tuple[str, Sequence[Sequence[str]]]], *, cover: bool = True) -> None:
    """Write an EPUB 3 of (title, paragraphs) for each chapter; a paragraph is a list of sentences."""
    files: dict[str, bytes | str] = {
        "META-INF/container.xml": '<?xml version="1.0"?><container version="1.0" '
        'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OEBPS/book.opf" '
        'media-type="application/oebps-package+xml"/></rootfiles></container>'
    }
    names = [f"chapter{number}.xhtml" for number in range(1, len(chapters) + 1)]
    manifest = [f'<item id="c{k}" href="{name}" media-type="application/xhtml+xml"/>' for k, name in enumerate(names)]
    manifest.append('<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>')
    if cover:
        manifest.append('<item id="cover" href="cover.png" media-type="image/png" properties="cover-image"/>')
        files["OEBPS/cover.png"] = png()
    spine = "".join(f'<itemref idref="c{k}"/>' for k in range(len(names)))
    files["OEBPS/book.opf"] = (
        '<?xml version="1.0" encoding="utf-8"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
        'unique-identifier="id"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">urn:x-maker</dc:identifier><dc:title>{TITLE}</dc:title>'
        f"<dc:creator>{AUTHOR}</dc:creator>"
        '<dc:language>en</dc:language><meta property="dcterms:modified">2026-01-01T00:00:00Z</meta></metadata>'
        f"<manifest>{''.join(manifest)}</manifest><spine>{spine}</spine></package>"
    )
    titles = [title for title, _ in chapters]
    entries = "".join(f'<li><a href="{name}">{title}</a></li>' for name, title in zip(names, titles, strict=True))
    files["OEBPS/nav.xhtml"] = page("Contents", f'<nav epub:type="toc"><ol>{entries}</ol></nav>')
    for name, (title, paragraphs) in zip(names, chapters, strict=True):
        body = "\n".join(f"<p>{' '.join(paragraph)}</p>" for paragraph in paragraphs)
        files[f"OEBPS/{name}"] = page(title, f"<h1>{title}</h1>\n{body}")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), "application/epub+zip")  # first, and not compressed
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def make(path: Path, *, words: int, chapters: int) -> None:
    """Write a book of generated prose, of at least so many words."""
    each = -(-words // chapters)
    write_epub(path, [(CHAPTERS[k % len(CHAPTERS)], prose(each, seed=k)) for k in range(chapters)])


def main() -> None:
    """Write the book that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--words", type=int, default=30_000)
    parser.add_argument("--chapters", type=int, default=3)
    given = parser.parse_args()
    make(given.path, words=given.words, chapters=given.chapters)


if __name__ == "__main__":
    main()
