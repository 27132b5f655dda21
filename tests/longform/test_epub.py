"""EPUB 2 and 3, as ebooklib and other programs write them."""

from __future__ import annotations

import warnings
from pathlib import Path

import epubs
import pytest
from epubs import nav, ncx, page, point

from vallecli.longform.documents import Document, read_document

NAV_ITEM = '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
NCX_ITEM = '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
BOOK = Path("book.epub")
LONG = "The words of a paragraph, which is long enough. " * 20


def contents(book: Document) -> list[tuple[str, int, list[str]]]:
    return [(one.title, one.level, [block.text for block in one.blocks]) for one in book.chapters]


def test_a_book_of_ebooklib() -> None:
    from ebooklib import epub

    book = epub.EpubBook()
    book.set_title("Jörg’s Book")
    book.set_language("de")
    book.add_author("Ann Bee")
    book.add_author("Cy Dee")
    book.set_cover("cover.png", epubs.PNG)
    chapters = []
    for number in (1, 2, 3):
        chapter = epub.EpubHtml(title=f"Kapitel {number}", file_name=f"c{number}.xhtml", lang="de")
        chapter.content = f"<h1>Kapitel {number}</h1><p>Der Text von {number}.</p>"
        book.add_item(chapter)
        chapters.append(chapter)
    book.toc = tuple(epub.Link(one.file_name, one.title, f"l{at}") for at, one in enumerate(chapters))
    book.add_item(epub.EpubNcx())
    book.add_item(epub.EpubNav())
    book.spine = ["cover", "nav", *chapters]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        epub.write_epub(str(BOOK), book)
    read = read_document(BOOK)
    assert (read.title, read.authors, read.language) == ("Jörg’s Book", ("Ann Bee", "Cy Dee"), "de")
    assert read.cover is not None
    assert (read.cover.data, read.cover.type) == (epubs.PNG, "image/png")
    assert contents(read) == [
        (f"Kapitel {number}", 1, [f"Kapitel {number}", f"Der Text von {number}."]) for number in (1, 2, 3)
    ]
    assert read.left_out["front"] == 1  # the page with the table of contents; that of the cover has no text


def test_nested_contents_with_fragments_in_one_file() -> None:
    text = (
        '<h1 id="p1">Part One</h1><h2 id="c1">Hall</h2><p>In the hall.</p><div><a id="c2"/><h2>Yard</h2></div>'
        '<p>In the yard.</p><h1 id="p2">Part Two</h1><h2 id="c3">Lake</h2><p>At the lake.</p>'
    )
    entries = (
        '<li><a href="a.xhtml#p1">Part One</a><ol><li><a href="a.xhtml#c1">Hall</a></li>'
        '<li><a href="a.xhtml#c2">Yard</a></li></ol></li>'
        '<li><span>Part Two</span><ol><li><a href="a.xhtml#c3">Lake</a></li></ol></li>'
    )
    epubs.book(BOOK, {"a.xhtml": page(text)}, manifest=NAV_ITEM, more={"nav.xhtml": nav(entries)})
    assert contents(read_document(BOOK)) == [
        ("Part One", 1, ["Part One"]),
        ("Hall", 2, ["Hall", "In the hall."]),
        ("Yard", 2, ["Yard", "In the yard.", "Part Two"]),
        ("Part Two: Lake", 1, ["Lake", "At the lake."]),
    ]


def test_sections_of_chapters_are_no_chapters() -> None:
    files = {
        f"c{at}.xhtml": page(f"<h1>Title {at}</h1><p>{LONG}</p><h2 id='s'>Section</h2><p>More.</p>") for at in (1, 2)
    }
    points = "".join(point(f"Title {at}", f"c{at}.xhtml", point("Section", f"c{at}.xhtml#s")) for at in (1, 2))
    epubs.book(BOOK, files, version="2.0", manifest=NCX_ITEM, spine='toc="ncx"', more={"toc.ncx": ncx(points)})
    assert [title for title, *_ in contents(read_document(BOOK))] == ["Title 1", "Title 2"]


def test_files_that_the_contents_do_not_have_continue_a_chapter() -> None:
    files = {
        "copyright.xhtml": page("<p>Copyright 1999 by all rights reserved.</p>"),
        "x1.xhtml": page("<p>An epigraph.</p>"),
        "c1_split_000.xhtml": page("<h1>One</h1><p>First.</p>"),
        "c1_split_001.xhtml": page("<p>Second.</p>"),
        "c2.xhtml": page("<p>Third.</p>"),
        "notes.xhtml": page("<h1>Notes</h1><p>1. See there.</p>"),
    }
    points = (
        point("Copyright", "copyright.xhtml")
        + point("One", "c1_split_000.xhtml")
        + point("Two", "c2.xhtml")
        + point("Notes", "notes.xhtml")
    )
    epubs.book(BOOK, files, version="2.0", manifest=NCX_ITEM, more={"toc.ncx": ncx(points)})
    book = read_document(BOOK)
    assert contents(book) == [
        ("A Book", 1, ["An epigraph."]),
        ("One", 1, ["One", "First.", "Second."]),
        ("Two", 1, ["Two", "Third."]),  # the title is not in the text, so it is added
    ]
    assert book.left_out == {"front": 1, "notes": 2}
    assert [one[0] for one in contents(read_document(BOOK, ["front", "notes"]))][::4] == ["Copyright", "Notes"]


@pytest.mark.parametrize("headings", [True, False])
def test_without_contents_files_are_chapters(headings: bool) -> None:
    files = {f"f{at}.xhtml": page(f"{f'<h2>Title {at}</h2>' if headings else ''}<p>Text {at}.</p>") for at in (1, 2)}
    epubs.book(BOOK, files)
    titles = ["Title 1", "Title 2"] if headings else ["A Book", "2"]
    assert [title for title, *_ in contents(read_document(BOOK))] == titles


def test_front_matter_by_what_the_book_says() -> None:
    files = {
        "a.xhtml": page("<p>A Book</p>", attributes='epub:type="frontmatter titlepage"'),
        "b.xhtml": page("<section role='doc-dedication'><p>For C.</p></section><section><p>Read.</p></section>"),
        "d.xhtml": page("<p>Rights.</p>"),
        "e.xhtml": page("<p>Ask, 3</p>"),
        "f.xhtml": page("<h1>Preface</h1><p>I wrote.</p>"),
        "g.xhtml": page("<h1>One</h1><p>It began.</p>"),
    }
    landmarks = (
        '<nav epub:type="landmarks"><ol><li><a epub:type="copyright-page" href="d.xhtml">Rights</a></li></ol></nav>'
    )
    entries = "".join(f'<li><a href="{name}.xhtml">{name}</a></li>' for name in "abdefg")
    guide = '<guide><reference type="index" href="e.xhtml"/></guide>'
    epubs.book(BOOK, files, manifest=NAV_ITEM, guide=guide, more={"nav.xhtml": nav(entries, landmarks)})
    book = read_document(BOOK)
    assert [text for _, _, texts in contents(book) for text in texts] == [
        *("b", "Read.", "Preface", "I wrote.", "One", "It began."),
    ]
    assert book.left_out == {"front": 4}


def test_notes_in_another_file() -> None:
    files = {
        "c1.xhtml": page('<h1>One</h1><p>A word.<a epub:type="noteref" href="n.xhtml#n1">1</a></p>'),
        "c2.xhtml": page('<h1>Two</h1><p id="r2">Another.<sup><a href="n.xhtml#n2">2</a></sup></p>'),
        "n.xhtml": page(
            '<h1>Remarks</h1><aside epub:type="footnote" id="n1"><p>First note.</p></aside>'
            '<p id="n2"><a href="c2.xhtml#r2">2</a>. Second note.</p><p>No note.</p>'
        ),
    }
    epubs.book(BOOK, files)
    book = read_document(BOOK)
    assert [texts for *_, texts in contents(book)] == [["One", "A word."], ["Two", "Another."], ["Remarks", "No note."]]
    assert book.left_out == {"marks": 2, "notes": 2}


def test_page_numbers_and_the_kinds_of_standard_ebooks() -> None:
    text = (
        '<section epub:type="chapter"><h2 epub:type="ordinal z3998:roman">IV</h2><p>A wo<span epub:type="pagebreak" '
        'id="p3" title="3"/>rd.</p><blockquote epub:type="z3998:verse"><p><span>A line,</span><br/><span class="i1">'
        "another.</span></p></blockquote></section>"
    )
    epubs.book(BOOK, {"chapter-4.xhtml": page(text)})
    book = read_document(BOOK)
    assert [(block.kind, block.text) for block in book.chapters[0].blocks] == [
        ("heading", "IV"),
        ("paragraph", "A word."),
        ("verse", "A line,\nanother."),
    ]
    assert book.left_out == {"pages": 1}


def test_metadata_of_epub_3() -> None:
    metadata = (
        '<dc:title id="s">A Subtitle</dc:title><meta refines="#s" property="title-type">subtitle</meta>'
        '<dc:title id="t">The  Title</dc:title><meta refines="#t" property="title-type">main</meta>'
        '<dc:creator id="i">Ill Us</dc:creator><meta refines="#i" property="role">ill</meta>'
        '<dc:creator id="a">Au Thor</dc:creator><meta refines="#a" property="role">aut</meta>'
        "<dc:language>fr</dc:language>"
    )
    image = '<item id="x" href="x.jpg" media-type="image/jpeg" properties="cover-image"/>'
    files = {"a.xhtml": page("<p>Mot.</p>")}
    epubs.book(BOOK, files, metadata=metadata, manifest=image, more={"x.jpg": epubs.JPEG})
    book = read_document(BOOK)
    assert (book.title, book.authors, book.language) == ("The Title", ("Au Thor",), "fr")
    assert book.cover is not None
    assert book.cover.type == "image/jpeg"


def test_an_empty_chapter_is_noted() -> None:
    files = {"a.xhtml": page("<h1>One</h1><p>Text.</p>"), "b.xhtml": page(""), "c.xhtml": page("<p>Text.</p>")}
    points = "".join(point(name, f"{name.lower()}.xhtml") for name in "ABC")
    epubs.book(BOOK, files, manifest=NCX_ITEM, more={"toc.ncx": ncx(points)})
    book = read_document(BOOK)
    assert [title for title, *_ in contents(book)] == ["A", "C"]
    assert book.notes == ("the chapter 'B' is empty",)


def test_names_with_escapes_other_case_and_the_wrong_folder() -> None:
    files = {"Caf%C3%A9%201.XHTML": "", "../OEBPS/b.xhtml": ""}
    entries = {"Café 1.xhtml": page("<p>One.</p>"), "b.xhtml": page("<p>Two.</p>")}
    epubs.write(BOOK, {"content.opf": epubs.package(files), **entries})
    assert [texts for *_, texts in contents(read_document(BOOK))] == [["One."], ["Two."]]


def test_obfuscated_fonts_do_not_matter() -> None:
    encryption = (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><EncryptedData '
        'xmlns="http://www.w3.org/2001/04/xmlenc#"><EncryptionMethod Algorithm="http://www.idpf.org/2008/embedding"/>'
        '<CipherData><CipherReference URI="OEBPS/a.otf"/></CipherData></EncryptedData></encryption>'
    )
    epubs.book(BOOK, {"a.xhtml": page("<p>Text.</p>")}, more={"META-INF/encryption.xml": encryption})
    assert read_document(BOOK).chapters[0].blocks[0].text == "Text."


def test_the_kinds_of_project_gutenberg() -> None:
    first = (
        '<section class="pg-boilerplate pgheader" id="pg-header"><h2>The Project Gutenberg eBook</h2></section>'
        '<h1 id="t">The Time Machine</h1><h2>CONTENTS</h2><table><tr><td><a href="#c1">I</a></td></tr></table>'
        '<div class="chapter"><h2 id="c1"><a></a>I.<br/>Introduction</h2><p>The Time Traveller.</p></div>'
    )
    last = (
        '<div class="chapter"><h2 id="c2">II.<br/>The Machine</h2><p>The thing.</p></div>'
        '<section class="pg-boilerplate" id="pg-footer"><p>Licence</p></section>'
    )
    points = point("I. Introduction", "0.xhtml#c1") + point("II. The Machine", "1.xhtml#c2")
    files = {"0.xhtml": page(first), "1.xhtml": page(last)}
    toc = ncx(point("The Time Machine", "0.xhtml#t", points))
    epubs.book(BOOK, files, version="2.0", manifest=NCX_ITEM, more={"toc.ncx": toc})
    book = read_document(BOOK)
    assert contents(book) == [
        ("The Time Machine", 1, ["The Time Machine"]),
        ("I. Introduction", 2, ["I: Introduction", "The Time Traveller."]),
        ("II. The Machine", 2, ["II: The Machine", "The thing."]),
    ]
    assert book.left_out == {"front": 1, "licence": 1, "tables": 1}
