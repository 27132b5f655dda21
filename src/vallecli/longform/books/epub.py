"""EPUB 2 and 3: the package, its spine, its table of contents and its cover.

Chapters begin where the table of contents says, else at the files and headings of the spine. Source: EPUB 3.3 (W3C),
Open Packaging Format 2.0.1 and NCX (IDPF).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from vallecli.errors import DamagedDocument, EncryptedDocument
from vallecli.longform.books.archive import Archive, resolve
from vallecli.longform.books.arrange import About, Entry, arrange, mark_notes
from vallecli.longform.books.elements import EPUB_TYPE, FRONT_TYPES
from vallecli.longform.books.markup import Page
from vallecli.longform.books.model import Collector, Cover, Document, clean_name
from vallecli.longform.books.parse import children, decode_markup, local, read_page, read_tree, text_of
from vallecli.longform.books.titles import may_be_front

if TYPE_CHECKING:
    from lxml.etree import _Element

CONTAINER, ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"
FONT_OBFUSCATION = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
PROTECTIONS = {  # files of systems for copy protection
    "META-INF/rights.xml": "Adobe ADEPT",
    "META-INF/license.lcpl": "Readium LCP",
    "META-INF/sinf.xml": "Apple FairPlay",
}
TEXT_TYPES = ("application/xhtml+xml", "text/html", "text/x-oeb1-document", "application/xml", "text/xml")
NCX_TYPE = "application/x-dtbncx+xml"
OPF = "{http://www.idpf.org/2007/opf}"
MAX_COVER = 2**24  # bytes
MAX_COVERS = 5  # that the metadata names
MAX_SPINE = 20_000  # files
SHORT_FILE = 5_000  # characters: a longer file is no title page, whatever its name says
HEADING_WITHIN = 4  # pieces at the begin of a file in which its heading is
FRONT_FILE = re.compile(
    r"(?:\w{0,10}[-_.\d]+)?(?:cover|title|half-?title|copyright|imprint|dedication|toc|contents|colophon|uncopyright|nav|"
    r"logo|loi)(?:[-_]?page)?(?:[-_.]?\d+)?",
    re.IGNORECASE,
)
GUIDE_TYPES = FRONT_TYPES | {"title-page"}
SPLIT = re.compile(r"(.*?)[-_]split[-_]?\d+\.\w+", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """A file of the manifest."""

    name: str
    """In the archive."""
    type: str
    properties: tuple[str, ...]


@dataclass
class Package:
    """The package document of a book."""

    name: str
    about: About
    items: dict[str, Item]
    spine: list[tuple[Item, bool]]
    """Files in reading order, and whether each belongs to the main text."""
    ncx: str = ""
    cover: str = ""
    guide: dict[str, str] = field(default_factory=dict)
    """Names of files to what the book says they are."""


@dataclass
class File:
    """A file of the spine that was read."""

    name: str
    start: int
    """Index of its first piece."""
    end: int
    page: Page


def read(archive: Archive, keep: Collection[str] = ()) -> Document:
    """Return the document of an EPUB. Raises DocumentError and ExtraMissing."""
    package = read_package(archive)
    check_encryption(archive, [package.name, *(item.name for item, _ in package.spine)])
    nav = next((item.name for item in package.items.values() if "nav" in item.properties), "")
    contents = list(_contents(archive, package, nav))
    collector = Collector(archive.source, keep)
    files = _read_spine(archive, package, collector, nav)
    _mark_notes(collector, files)
    places = {file.name: file for file in reversed(files)}
    entries = _entries(collector, files, [entry for entry in contents if entry[0] in places], places)
    return arrange(collector, package.about, entries, otherwise=_files(files))


def read_package(archive: Archive) -> Package:
    """Return the package of a book. Raises DamagedDocument for one without, or without texts, and DocumentTooLarge."""
    source = archive.source
    if CONTAINER not in archive:
        raise DamagedDocument(source, f"{CONTAINER} is missing, which every EPUB has")
    container = read_tree(archive.read(CONTAINER), source, CONTAINER)
    name = next((file.get("full-path", "") for file in children(container, "rootfiles", "rootfile")), "")
    name = resolve("", name)[0] if name else ""
    if not name:
        raise DamagedDocument(source, f"{CONTAINER} names no package")
    root = read_tree(archive.read(name), source, name)
    items = {}
    for item in children(root, "manifest", "item"):
        path = resolve(name, item.get("href", ""))[0]
        items[item.get("id", "")] = Item(
            path, item.get("media-type", "").lower(), tuple(item.get("properties", "").split())
        )
    package = Package(name, _about(archive, root, items), items, [])
    for spine in children(root, "spine"):
        package.ncx = items[spine.get("toc")].name if spine.get("toc") in items else ""
        package.spine += _spine(archive, items, spine)
    if not package.ncx:
        package.ncx = next((item.name for item in items.values() if item.type == NCX_TYPE), "")
    if not package.spine:
        raise DamagedDocument(source, f"the spine of {name} lists no texts")
    for reference in children(root, "guide", "reference"):
        file, fragment = resolve(name, reference.get("href", ""))
        if file and not fragment:
            package.guide.setdefault(file, reference.get("type", "").lower().removeprefix("other."))
    return package


def _spine(archive: Archive, items: dict[str, Item], spine: _Element) -> Iterator[tuple[Item, bool]]:
    """Yield the texts of the spine, each once. Raises DamagedDocument for one that is missing."""
    seen = set()
    for reference in children(spine, "itemref"):
        item = items.get(reference.get("idref", ""))
        if item is None:
            raise DamagedDocument(
                archive.source, f"its spine names {clean_name(reference.get('idref', ''))!r}, which is not listed"
            )
        if item.name in seen or item.type not in TEXT_TYPES:
            continue
        seen.add(item.name)
        if item.name not in archive:
            raise DamagedDocument(archive.source, f"{item.name or 'a file'} is missing, which is part of the text")
        if len(seen) > MAX_SPINE:
            raise DamagedDocument(archive.source, f"its spine has more than {MAX_SPINE:,} files")
        yield item, reference.get("linear", "yes").lower() != "no"


def check_encryption(archive: Archive, needed: Collection[str]) -> None:
    """Raise EncryptedDocument if one of the files is encrypted. Obfuscated fonts do not matter."""
    if ENCRYPTION not in archive:
        return
    root = read_tree(archive.read(ENCRYPTION), archive.source, ENCRYPTION)
    for data in children(root, "EncryptedData"):
        algorithm = next((method.get("Algorithm", "") for method in children(data, "EncryptionMethod")), "")
        names = {resolve("", link.get("URI", ""))[0] for link in children(data, "CipherData", "CipherReference")}
        if algorithm not in FONT_OBFUSCATION and names & set(needed):
            by = next((system for file, system in PROTECTIONS.items() if file in archive), "copy protection")
            raise EncryptedDocument(archive.source, by)


def _about(archive: Archive, root: _Element, items: dict[str, Item]) -> About:
    metadata = [child for one in children(root, "metadata") for child in one if isinstance(child.tag, str)]
    metadata += [
        child for one in children(root, "metadata", "dc-metadata") for child in one if isinstance(child.tag, str)
    ]
    refined: dict[tuple[str, str], str] = {}
    for meta in metadata:
        if local(meta) == "meta" and meta.get("refines"):
            refined[meta.get("refines").lstrip("#"), meta.get("property", "")] = text_of(meta).strip()
    titles = [one for one in metadata if local(one).lower() == "title"]
    main = [one for one in titles if refined.get((one.get("id", ""), "title-type"), "main") == "main"]
    creators = [one for one in metadata if local(one).lower() == "creator"]
    authors = [one for one in creators if _role(one, refined) in ("", "aut")]
    languages = [text_of(one) for one in metadata if local(one).lower() == "language"]
    return About(
        title=next((text_of(one) for one in (*main, *titles) if text_of(one).strip()), ""),
        authors=list(dict.fromkeys(" ".join(text_of(one).split()) for one in authors or creators))[:20],
        language=next(iter(languages), ""),
        cover=_cover(archive, metadata, items),
    )


def _role(creator: _Element, refined: dict[tuple[str, str], str]) -> str:
    role = creator.get(f"{OPF}role") or creator.get("role") or refined.get((creator.get("id", ""), "role"), "")
    return str(role).strip().lower()


def _cover(archive: Archive, metadata: Sequence[_Element], items: dict[str, Item]) -> Cover | None:
    """Return the image that a book names as its cover, if it is a JPEG or PNG file of a usual size."""
    named = [one.get("content", "") for one in metadata if local(one) == "meta" and one.get("name") == "cover"]
    named = named[:MAX_COVERS]
    found = [item for item in items.values() if "cover-image" in item.properties]
    found += [items[name] for name in (*named, "cover-image", "cover", "coverimage") if name in items]
    found += [item for item in items.values() for name in named if item.name.endswith(name) and name]
    for item in found:
        if item.type.startswith("image/") and item.name in archive:
            data = archive.read(item.name, MAX_COVER)
            if data.startswith(b"\xff\xd8\xff"):
                return Cover(data, "image/jpeg")
            if data.startswith(b"\x89PNG\r\n\x1a\n"):
                return Cover(data, "image/png")
    return None


def _contents(archive: Archive, package: Package, nav: str) -> Iterator[tuple[str, str, str, int]]:
    """Yield (file, fragment, title, level) for each entry of the table of contents, and note landmarks in the guide."""
    found = False
    if nav in archive:
        try:
            root = read_tree(archive.read(nav), archive.source, nav)
        except DamagedDocument:
            root = None  # it is read as HTML if it is in the spine
        for element in [] if root is None else root.iter("{*}nav"):
            types = (element.get(EPUB_TYPE) or element.get("role") or "toc").removeprefix("doc-").split()
            if "landmarks" in types:
                for link in element.iter("{*}a"):
                    file, fragment = resolve(nav, link.get("href", ""))
                    if file and not fragment:
                        package.guide.setdefault(file, (link.get(EPUB_TYPE) or "").split(" ")[0].lower())
            elif "toc" in types and not found:
                for entry in _nav_entries(element, nav, 0):
                    found = True
                    yield entry
    if not found and package.ncx in archive:
        root = read_tree(archive.read(package.ncx), archive.source, package.ncx)
        for points in children(root, "navMap"):
            yield from _ncx_entries(points, package.ncx, 1)


def _nav_entries(element: _Element, nav: str, level: int) -> Iterator[tuple[str, str, str, int]]:
    """Yield the entries of lists below an element; an entry without a link begins where its first link is."""
    if local(element) == "li":
        link = next(children(element, "a"), None)
        label = link if link is not None else next(children(element, "span"), None)
        target = link if link is not None else next(element.iter("{*}a"), None)
        if label is not None and target is not None:
            yield (*resolve(nav, target.get("href", "")), text_of(label), level)
    for child in element:
        if isinstance(child.tag, str) and local(child) != "a":
            yield from _nav_entries(child, nav, level + (local(child) == "ol"))


def _ncx_entries(element: _Element, ncx: str, level: int) -> Iterator[tuple[str, str, str, int]]:
    for point in children(element, "navPoint"):
        target = next((content.get("src", "") for content in children(point, "content")), "")
        label = " ".join(text_of(one) for one in children(point, "navLabel", "text"))
        yield (*resolve(ncx, target), label, level)
        yield from _ncx_entries(point, ncx, level + 1)


def _read_spine(archive: Archive, package: Package, collector: Collector, nav: str) -> list[File]:
    """Read the texts in order, and mark those that are front matter by their name or what the book says they are."""
    files = []
    elements = 0
    for item, linear in package.spine:
        start = len(collector.pieces)
        text = decode_markup(archive.read(item.name), archive.source, fallback="cp1252")
        page, elements = read_page(text, collector, web=False, elements=elements)
        pieces = collector.pieces[start:]
        files.append(File(item.name, start, len(collector.pieces), page))
        short = sum(len(piece.text) for piece in pieces) < SHORT_FILE
        kind = package.guide.get(item.name, "")
        stem = item.name.rpartition("/")[2].rpartition(".")[0]
        said = kind in ("toc", "index") or (short and (kind in GUIDE_TYPES or FRONT_FILE.fullmatch(stem)))
        if item.name == nav or not linear or said:
            group = collector.new_group()
            for piece in pieces:
                if not piece.left_out:
                    piece.left_out, piece.group = "front", group
    return files


def _mark_notes(collector: Collector, files: Sequence[File]) -> None:
    places = {file.name: file for file in files}
    targets = set()
    for file in files:
        for href in file.page.marks:
            name, fragment = resolve(file.name, href)
            if name in places and fragment in places[name].page.anchors:
                targets.add(places[name].page.anchors[fragment])
    mark_notes(collector.pieces, targets)


def _entries(
    collector: Collector, files: Sequence[File], contents: Sequence[tuple[str, str, str, int]], places: dict[str, File]
) -> list[Entry]:
    """Return where chapters begin: at the entries of the table of contents, and at files that it does not have."""
    entries = []
    begun = set()
    for name, fragment, title, level in contents:
        file = places[name]
        if name in begun and fragment not in file.page.anchors:
            continue  # of a place that is not in the file, which has an entry
        begun.add(name)
        entries.append(Entry(file.page.anchors.get(fragment, file.start), title, level))
    if len({entry.at for entry in entries}) < 2:
        return [Entry(file.start, "", 1) for file in files if _begins_with_heading(collector, file)]
    listed = {name for name, *_ in contents}
    top = min(entry.level for entry in entries)
    ordered = sorted(entries, key=lambda entry: entry.at)
    for before, file in pairwise(files):
        at = bisect_right(ordered, file.start, key=lambda entry: entry.at)
        if file.name in listed or not _begins(collector, file, before, ordered[at - 1] if at else None):
            continue
        ordered.insert(at, Entry(file.start, "", top))
    return ordered


def _files(files: Sequence[File]) -> list[Entry]:
    return [Entry(file.start, "", 1) for file in files if file.end > file.start]


def _begins(collector: Collector, file: File, before: File, last: Entry | None) -> bool:
    """Return whether a file that the table of contents does not have begins a chapter, rather than continue one.

    It does if it is front matter or notes, or behind these, and behind other such files if it has a heading.
    """
    if last is None or not last.title:
        return _begins_with_heading(collector, file)
    titles = clean_name(last.title), _first_heading(collector, file)
    return any(map(may_be_front, titles)) and not _continues(before.name, file.name)


def _continues(before: str, name: str) -> bool:
    """Return whether a file is the next part of one that a converter has split."""
    first, second = SPLIT.fullmatch(before), SPLIT.fullmatch(name)
    return first is not None and second is not None and first[1] == second[1]


def _begins_with_heading(collector: Collector, file: File) -> bool:
    return bool(_first_heading(collector, file))


def _first_heading(collector: Collector, file: File) -> str:
    """Return the heading at the begin of a file, "" for none."""
    pieces = collector.pieces[file.start : min(file.end, file.start + HEADING_WITHIN)]
    return next((clean_name(piece.text) for piece in pieces if piece.kind == "heading" and not piece.left_out), "")
