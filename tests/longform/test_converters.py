"""Books with the structure that converters and editors write: the chapters and the text that a listener expects."""

from __future__ import annotations

from pathlib import Path

import epubs
import pytest
from epubs import nav, ncx, page, point

from vallecli.longform.documents import Document, read_document

NAV_ITEM = '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
NCX_ITEM = '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
BOOK = Path("book.epub")
LONG = "The wind came over the water, and the men on the quay turned their faces to the wall. " * 8


def spoken(book: Document) -> list[tuple[str, int, list[str]]]:
    """Return title, level and texts of each chapter, with long texts cut."""
    return [(one.title, one.level, [block.text[:40] for block in one.blocks]) for one in book.chapters]


def epub(files: dict[str, str], entries: str) -> Document:
    """Return the book of pages with a table of contents."""
    epubs.book(BOOK, files, manifest=NAV_ITEM, more={"nav.xhtml": nav(entries)})
    return read_document(BOOK)


def web(html: str) -> Document:
    Path("book.html").write_text(html)
    return read_document("book.html")


def entry(name: str, title: str, inner: str = "") -> str:
    return f'<li><a href="{name}">{title}</a>{f"<ol>{inner}</ol>" if inner else ""}</li>'


def test_calibre() -> None:
    drawing = '<svg xmlns="http://www.w3.org/2000/svg"><image href="cover.jpeg"/></svg>'
    files = {
        "titlepage.xhtml": page(f"<div>{drawing}</div>", title="Cover"),
        "index_split_000.html": page('<p class="calibre1"><b>THE LONG QUAY</b></p><div id="calibre_pb_0"></div>'),
        "index_split_001.html": page(
            '<p class="calibre1" id="filepos12"><span class="bold">Chapter One</span></p><p class="calibre_8"><span '
            'class="calibre_dropcap">T</span>he quay was long.</p><p class="calibre_7">* * *</p><p>It rained.</p>'
        ),
        "index_split_002.html": page(
            '<div class="calibre_pb" id="calibre_pb_2"></div><p id="filepos99"><b>Chapter Two</b></p><p><span '
            'class="dropcaps">“W</span><span class="smallcaps">ho is there</span>?”</p>'
        ),
        "index_split_003.html": page("<p>It went on.</p>"),
    }
    points = point("Chapter 1", "index_split_001.html#filepos12") + point("2", "index_split_002.html#filepos99")
    epubs.book(BOOK, files, version="2.0", manifest=NCX_ITEM, spine='toc="ncx"', more={"toc.ncx": ncx(points)})
    assert spoken(read_document(BOOK)) == [
        ("A Book", 1, ["THE LONG QUAY"]),
        ("Chapter 1", 1, ["Chapter One", "The quay was long.", "* * *", "It rained."]),
        ("2", 1, ["Chapter Two", "“Who is there?”", "It went on."]),
    ]


def test_oreilly() -> None:
    figure = '<figure><div class="figure"><img src="a.png" alt="A hull"/><h6>Figure 1-1. A hull</h6></div></figure>'
    note = '<div data-type="footnotes"><p data-type="footnote" id="n1"><sup><a href="#m1">1</a></sup> A note.</p></div>'
    mark = '<sup><a data-type="noteref" id="m1" href="#n1">1</a></sup>'
    files = {
        "title.html": page('<section data-type="titlepage" epub:type="titlepage"><h1>Boats</h1></section>'),
        "toc01.html": page('<nav data-type="toc"><ol><li><a href="ch01.html">1. Hulls</a></li></ol></nav>'),
        "preface01.html": page('<section epub:type="preface"><h1>Preface</h1><p>Welcome.</p><h1>Use</h1></section>'),
        "part01.html": page('<section epub:type="part"><h1><span>Part I. </span>Basics</h1></section>'),
        "ch01.html": page(f"<h1><span>Chapter 1. </span>Hulls</h1><p>Long.{mark}</p><h1>Wood</h1>{figure}{LONG}{note}"),
        "ch02.html": page(f"<h1><span>Chapter 2. </span>Sails</h1><p>{LONG}</p>"),
        "ix01.html": page('<section epub:type="index"><h1>Index</h1><ul><li>hull, 3</li></ul></section>'),
    }
    chapters = entry("ch01.html", "1. Hulls", entry("ch01.html#wood", "Wood")) + entry("ch02.html", "2. Sails")
    book = epub(
        files,
        entry("preface01.html", "Preface", entry("preface01.html#missing", "Use"))
        + entry("part01.html", "I. Basics", chapters)
        + entry("ix01.html", "Index"),
    )
    assert spoken(book) == [
        ("Preface", 1, ["Preface", "Welcome.", "Use"]),
        ("I. Basics", 1, ["Part I. Basics"]),
        ("1. Hulls", 2, ["Chapter 1. Hulls", "Long.", "Wood", LONG[:40]]),
        ("2. Sails", 2, ["Chapter 2. Sails", LONG[:40]]),
    ]
    assert book.left_out == {"captions": 1, "front": 3, "images": 1, "marks": 1, "notes": 1}


def test_standard_ebooks() -> None:
    title = '<hgroup><h3 epub:type="ordinal z3998:roman">{}</h3><p epub:type="title">{}</p></hgroup>'
    drama = (
        '<table epub:type="z3998:drama"><tr><td epub:type="z3998:persona">Anna</td><td>Who is there?</td></tr></table>'
    )
    mark = '<a href="endnotes.xhtml#note-1" id="noteref-1" epub:type="noteref">1</a>'
    files = {
        "titlepage.xhtml": page('<section epub:type="titlepage"><h1 epub:type="title">The Quay</h1></section>'),
        "imprint.xhtml": page('<section epub:type="imprint"><h2>Imprint</h2><p>This ebook.</p></section>'),
        "book-1.xhtml": page('<section epub:type="part"><hgroup><h2>Book I</h2><p>Water</p></hgroup></section>'),
        "chapter-1-1.xhtml": page(
            f'<section epub:type="part"><section epub:type="chapter">{title.format("I", "Men")}<p>“Mr.\u00a0Hale,” she '
            f'said,{mark} “it is\u2060—<abbr epub:type="z3998:initialism">U.S.</abbr>”</p>{drama}</section></section>'
        ),
        "chapter-1-2.xhtml": page(f'<section epub:type="chapter">{title.format("II", "The Index")}{LONG}</section>'),
        "endnotes.xhtml": page(
            '<section epub:type="endnotes"><h2>Endnotes</h2><ol><li id="note-1" epub:type="endnote"><p>A remark. '
            '<a href="chapter-1-1.xhtml#noteref-1" epub:type="backlink">↩</a></p></li></ol></section>'
        ),
        "uncopyright.xhtml": page('<section epub:type="copyright-page"><h2>Uncopyright</h2><p>Do good.</p></section>'),
    }
    chapters = entry("chapter-1-1.xhtml", "<span>I</span>: Men") + entry("chapter-1-2.xhtml", "II: The Index")
    book = epub(
        files,
        entry("titlepage.xhtml", "Titlepage")
        + entry("imprint.xhtml", "Imprint")
        + entry("book-1.xhtml", "Book I: Water", chapters)
        + entry("endnotes.xhtml", "Endnotes")
        + entry("uncopyright.xhtml", "Uncopyright"),
    )
    assert spoken(book) == [
        ("Book I: Water", 1, ["Book I", "Water"]),
        ("I: Men", 2, ["I", "Men", "“Mr. Hale,” she said, “it is—U.S.”", "Anna, Who is there?"]),
        ("II: The Index", 2, ["II", "The Index", LONG[:40]]),
    ]
    assert book.left_out == {"front": 3, "marks": 1, "notes": 2}


def test_vellum() -> None:
    number = '<div class="element-number"><span>Chapter</span> <span>{}</span></div>'
    first = (
        '<p class="first"><span class="first-letter">T</span><span class="first-phrase">he quay</span> was long.</p>'
    )
    files = {
        "contents.xhtml": page('<div class="toc"><h1>Contents</h1><p><a href="c1.xhtml">1. Men</a></p></div>'),
        "c1.xhtml": page(f'<div epub:type="chapter">{number.format("One")}<h1>Men</h1>{first}</div>'),
        "c2.xhtml": page(f'<div epub:type="chapter">{number.format("Two")}<p>It rained.</p></div>'),
        "also-by.xhtml": page("<h1>Also by Ann Maker</h1><p>The Lake</p>"),
    }
    assert spoken(epub(files, entry("c1.xhtml", "1. Men") + entry("c2.xhtml", "Chapter 2"))) == [
        ("1. Men", 1, ["Chapter One", "Men", "The quay was long."]),
        ("Chapter 2", 1, ["Chapter Two", "It rained."]),  # "Chapter 2" is not spoken, too
    ]


def test_sigil_with_chapters_in_the_middle_of_files() -> None:
    files = {
        "Section0001.xhtml": page(f'<p id="toc_1">1</p><p>{LONG}</p><p><a id="c2"/>2</p><p>{LONG}</p>'),
        "Section0002.xhtml": page('<p>More.</p><p><span id="c3">3</span></p><p>End.<span epub:type="pagebreak"/></p>'),
    }
    entries = entry("Section0001.xhtml#toc_1", "1") + entry("Section0001.xhtml#c2", "2")
    assert spoken(epub(files, entries + entry("Section0002.xhtml#c3", "3"))) == [
        ("1", 1, ["1", LONG[:40]]),
        ("2", 1, ["2", LONG[:40], "More."]),
        ("3", 1, ["3", "End."]),
    ]


def test_project_gutenberg() -> None:
    header = '<section class="pg-boilerplate pgheader" id="pg-header"><h2>The eBook of The Quay</h2></section>'
    footer = '<section class="pg-boilerplate" id="pg-footer"><div>Updated editions</div></section>'
    contents = '<p><a href="1.xhtml#c1">I.</a> <a href="1.xhtml#c1">The Men</a>, <a href="1.xhtml#p1">1</a></p>'
    verse = '<div class="verse indent0">A line,</div>\n<div class="verse indent2">one more.</div>'
    stanza = f'<div class="stanza">\n{verse}</div>'
    files = {
        "0.xhtml": page(f'{header}<h1 id="t">THE QUAY</h1>{contents}'),
        "1.xhtml": page(
            '<h2 id="c1"><span class="pagenum" id="p1">[Pg 1]</span>CHAPTER I.<br/><span>THE MEN.</span></h2><p>T<span '
            f'class="smcap">he</span> quay.</p><div class="poetry">{stanza}{stanza}</div>'
        ),
        "2.xhtml": page(
            '<h2 id="c2">CHAPTER II.</h2><p>wo<span class="pagenum"><a id="p2">2</a></span>rds</p>'
            f"<div class='transnote'><h3>Transcriber’s Notes</h3><p>Errors were corrected.</p></div>{footer}"
        ),
    }
    entries = entry("0.xhtml#t", "THE QUAY") + entry("1.xhtml#c1", "I. THE MEN.") + entry("2.xhtml#c2", "CHAPTER II.")
    book = epub(files, entries + entry("2.xhtml#pg-footer", "LICENSE"))
    assert spoken(book) == [
        ("THE QUAY", 1, ["THE QUAY"]),
        ("I. THE MEN.", 1, ["CHAPTER I: THE MEN.", "The quay.", *["A line,\none more."] * 2]),
        ("CHAPTER II.", 1, ["CHAPTER II.", "words"]),
    ]
    assert book.left_out == {"front": 2, "licence": 1, "pages": 2}


def test_title_and_author_of_a_page_of_project_gutenberg() -> None:
    title = "<title>The Project Gutenberg eBook of The Quay,\nby Ann Maker</title>"
    book = web(f"<!DOCTYPE html><html><head>{title}</head><body><h1>THE QUAY</h1><p>It rained.</p></body></html>")
    assert (book.title, book.authors) == ("The Quay", ("Ann Maker",))


def test_google_docs() -> None:
    text = (
        '<p class="c3 title"><span>The Quay</span></p><h1 id="h.1"><span>Chapter 1: Men</span></h1><p><span>It was '
        'long.</span><sup><a href="#ftnt1" id="ftnt_ref1">[1]</a></sup><sup><a href="#cmnt1" id="cmnt_ref1">[a]</a>'
        '</sup></p><h1 id="h.3"><span></span></h1><h1 id="h.4"><span>Chapter 2: Women</span></h1><p>It rained.</p><hr/>'
        '<div><p><a href="#ftnt_ref1" id="ftnt1">[1]</a><span>&nbsp;A note.</span></p></div><div><p>'
        '<a href="#cmnt_ref1" id="cmnt1">[a]</a><span>Check this.</span></p></div>'
    )
    book = epub({"doc.xhtml": page(text)}, entry("doc.xhtml#h.1", "Chapter 1: Men") + entry("doc.xhtml#h.4", "Two"))
    assert spoken(book) == [
        ("A Book", 1, ["The Quay"]),
        ("Chapter 1: Men", 1, ["Chapter 1: Men", "It was long."]),
        ("Two", 1, ["Chapter 2: Women", "It rained."]),
    ]
    assert book.left_out == {"marks": 2, "notes": 2}


def test_word_as_filtered_html() -> None:
    number = "<span style='font:7.0pt \"Times New Roman\"'>&nbsp;&nbsp; </span>"
    mark = "<a href='#_ftn1' name='_ftnref1' title=''><span class=MsoFootnoteReference>[1]</span></a>"
    comment = "<span class=MsoCommentReference><a class=msocomanchor href='#_msocom_1'>[AM1]</a>&nbsp;</span>"
    html = (
        "<html><head><meta http-equiv=Content-Type content='text/html; charset=utf-8'><title>The Quay</title></head>"
        "<body lang=EN-GB><div class=WordSection1><p class=MsoTitle>The Quay</p><p class=MsoTocHeading>Contents</p>"
        "<p class=MsoToc1><a href='#_Toc1'>One<span style='display:none'>... 3</span></a></p><h1><a name='_Toc1'>"
        f"One</a></h1><p class=MsoNormal>It was{mark} long{comment}. <s>Gone.</s></p>"
        f"<p class=MsoListParagraphCxSpFirst><span style='font-family:Symbol'>·{number}</span>Rope</p>"
        f"<p class=MsoListParagraph>1.{number}Oil</p>"
        "<p class=MsoCaption>Figure 1 A hull</p><p class=MsoQuote>Quoted.</p><h1>Two</h1><p class=MsoNormal>&nbsp;</p>"
        "<p class=MsoNormal>It rained.</p></div><div><hr><div id=ftn1><p class=MsoFootnoteText><a href='#_ftnref1' "
        "name='_ftn1'><span class=MsoFootnoteReference>[1]</span></a> A note.</p></div></div><div><div id='_com_1' "
        "class=msocomtxt><p class=MsoCommentText><a class=msocomanchor href='#_msoanchor_1'>[AM1]</a>Check this.</p>"
        "</div></div></body></html>"
    )
    book = web(html)
    assert (book.title, book.language) == ("The Quay", "EN-GB")
    assert spoken(book) == [
        ("One", 1, ["One", "It was long.", "Rope", "Oil", "Quoted."]),
        ("Two", 1, ["Two", "It rained."]),
    ]
    assert book.left_out == {"captions": 1, "front": 3, "marks": 1, "notes": 1}


def test_pandoc_with_numbers_and_formulas() -> None:
    number = '<span class="header-section-number">{}</span> '
    book = web(
        '<!DOCTYPE html><html><body><h1 class="title">The Quay</h1><h2 class="author">Ann Maker</h2>'
        f'<h1>{number.format(1)}Part One</h1><h2>{number.format("1.1")}The Men</h2><p>Let <span class="math inline">'
        f"\\(x\\)</span> be. {LONG}</p><h1>{number.format(2)}Part Two</h1><h2>{number.format('2.1')}The End</h2>{LONG}"
    )
    assert [(one.title, one.level) for one in book.chapters] == [
        ("The Quay", 1),
        *(("1 Part One", 1), ("1.1 The Men", 2), ("2 Part Two", 1), ("2.1 The End", 2)),
    ]
    assert book.chapters[2].blocks[1].text.startswith("Let be.")
    assert book.left_out == {"front": 1, "math": 1}


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("<p>The index was a box of cards.</p>", True),
        (f"<p>{LONG}</p><p>She had 12 of them.</p>", True),
        ("<p>anchor, 12, 15</p><p>boat, 3, 44–46</p><p>boom, <i>see</i> sail</p>", False),
        ("<p>Maker, A. (1999). The quay. Press.</p><p>Maker, B. (2001). The sea. Press.</p>", False),
    ],
)
@pytest.mark.parametrize("title", ["Index", "References", "3 Index"])
def test_a_story_with_the_name_of_a_list(title: str, text: str, spoken: bool) -> None:
    files = {"a.xhtml": page(f"<h1>One</h1><p>{LONG}</p>"), "b.xhtml": page(f"<h1>{title}</h1>{text}")}
    book = epub(files, entry("a.xhtml", "One") + entry("b.xhtml", title))
    assert [one.title for one in book.chapters] == (["One", title] if spoken else ["One"])


def test_what_the_book_calls_an_index_is_one() -> None:
    files = {"a.xhtml": page("<h1>One</h1>A."), "b.xhtml": page("<h1>Index</h1>A box.", attributes='epub:type="index"')}
    assert [one.title for one in epub(files, entry("a.xhtml", "One") + entry("b.xhtml", "Index")).chapters] == ["One"]


def test_paragraphs_of_links_are_a_table_of_contents() -> None:
    links = "".join(f'<p><a href="#c{at}">Title {at}</a>, <a href="#c{at}">{at}</a></p>' for at in (1, 2))
    chapters = "".join(f'<h2 id="c{at}"><a href="#top">Title {at}</a></h2><p>Text.</p>' for at in (1, 2))
    book = web(f"<!DOCTYPE html><body>{links}{chapters}<p>See <a href='#c1'>there</a>.</p>")
    assert spoken(book) == [("Title 1", 1, ["Title 1", "Text."]), ("Title 2", 1, ["Title 2", "Text.", "See there."])]
    assert book.left_out == {"front": 1}
