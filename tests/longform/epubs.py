"""EPUBs that tests write: with ebooklib, and entry by entry where a file has to be odd."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

CONTAINER = (
    '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
    '<rootfiles><rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles>'
    "</container>"
)
JPEG = b"\xff\xd8\xff\xe0" + bytes(60)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)


def page(body: str, *, title: str = "", attributes: str = "") -> str:
    """Return a file of XHTML."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" '
        f'xmlns:epub="http://www.idpf.org/2007/ops"><head><title>{title}</title></head>'
        f"<body {attributes}>{body}</body></html>"
    )


def package(
    files: Mapping[str, str],
    *,
    version: str = "3.0",
    metadata: str = "<dc:title>A Book</dc:title><dc:creator>Ann Bee</dc:creator><dc:language>en</dc:language>",
    manifest: str = "",
    spine: str = "",
    guide: str = "",
) -> str:
    """Return a package document with the texts of `files` in its spine."""
    items = "".join(
        f'<item id="i{at}" href="{name}" media-type="application/xhtml+xml"/>' for at, name in enumerate(files)
    )
    references = "".join(f'<itemref idref="i{at}"/>' for at in range(len(files)))
    return (
        f'<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="{version}">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:opf="http://www.idpf.org/2007/opf">'
        f"{metadata}</metadata><manifest>{items}{manifest}</manifest><spine {spine}>{references}</spine>"
        f"{guide}</package>"
    )


def nav(entries: str, more: str = "") -> str:
    """Return a navigation document with a table of contents."""
    return page(f'<nav epub:type="toc"><h1>Contents</h1><ol>{entries}</ol></nav>{more}')


def ncx(points: str) -> str:
    """Return a table of contents of EPUB 2."""
    return (
        '<?xml version="1.0"?><ncx xmlns="http://www.daisy.org/z3986/2005/ncx/" version="2005-1">'
        f"<navMap>{points}</navMap></ncx>"
    )


def point(label: str, src: str, inner: str = "") -> str:
    """Return an entry of it."""
    return f"<navPoint><navLabel><text>{label}</text></navLabel><content src='{src}'/>{inner}</navPoint>"


def write(path: Path, entries: Mapping[str, str | bytes]) -> Path:
    """Write an EPUB with these entries; "OEBPS/" is added to names without a folder."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        if "META-INF/container.xml" not in entries:
            archive.writestr("META-INF/container.xml", CONTAINER)
        for name, content in entries.items():
            archive.writestr(name if "/" in name else f"OEBPS/{name}", content)
    return path


def book(
    path: Path, files: Mapping[str, str], *, more: Mapping[str, str | bytes] | None = None, **options: str
) -> Path:
    """Write an EPUB of pages."""
    return write(path, {"content.opf": package(files, **options), **files, **(more or {})})
