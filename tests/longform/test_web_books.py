"""HTML as a book: what is read, what is left out by rule, and pages as they are in the wild."""

from __future__ import annotations

from pathlib import Path

import pytest

from vallecli.errors import DamagedDocument, TextEncodingError
from vallecli.longform.documents import Document, read_document


def read(html: str | bytes, *, keep: tuple[str, ...] = (), name: str = "book.html") -> Document:
    Path(name).write_bytes(html if isinstance(html, bytes) else html.encode())
    return read_document(name, keep)


def body(html: str, *, keep: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    book = read(f"<!DOCTYPE html><html><body>{html}</body></html>", keep=keep)
    return [(block.kind, block.text) for chapter in book.chapters for block in chapter.blocks]


def texts(html: str, *, keep: tuple[str, ...] = ()) -> list[str]:
    return [text for _, text in body(html, keep=keep)]


def test_title_author_language_and_chapters() -> None:
    book = read(
        '<!DOCTYPE html><html lang="en_GB"><head><title>A &amp; B</title><meta name=author content="Ann Bee">'
        "<style>p { color: red }</style></head><body><h1>A &amp; B</h1><h2>One</h2><p>First.</p>"
        "<h2>Two</h2><p>Second.<p>Third.</body></html>"
    )
    assert (book.title, book.authors, book.language) == ("A & B", ("Ann Bee",), "en-GB")
    assert [(chapter.title, [block.text for block in chapter.blocks]) for chapter in book.chapters] == [
        ("A & B", ["A & B"]),
        ("One", ["One", "First."]),
        ("Two", ["Two", "Second.", "Third."]),
    ]


def test_what_surrounds_the_text_of_a_page() -> None:
    page = (
        "<header><h1>Site</h1></header><nav><a href=/>Home</a></nav><main><header><h1>Story</h1></header><p>Text.</p>"
        "<aside>Advertisement</aside><footer>By Ann.</footer></main><div role=contentinfo>(c)</div><footer>(c)</footer>"
    )
    assert texts(page) == ["Story", "Text.", "By Ann."]
    assert "Home" in texts(page, keep=("navigation",))


@pytest.mark.parametrize(
    "html",
    [
        "<p>A word.<sup><a href='#fn1'>1</a></sup> Next.</p>",
        "<p>A word.<a href='#fn1'><sup>1</sup></a> Next.</p>",
        "<p>A word.<sup>[<a href='#fn1'>1</a>]</sup> Next.</p>",
        "<p>A word.<a href='#n1' role='doc-noteref'>see note</a> Next.</p>",
        "<p>A word.<a id='FNanchor_1' href='#Footnote_1' class='fnanchor'>[1]</a> Next.</p>",
        "<p>A word.<a href='notes.html#note3'>*</a> Next.</p>",
        "<p>A word.<sup class='footnote'>[<a class='footnote' href='#_footnotedef_1'>1</a>]</sup> Next.</p>",
        "<p>A word.<sup>1</sup> Next.</p>",
        "<p>A word.<sup id='r'><a href='#fn:1' rel='footnote'>1</a></sup> Next.</p>",
    ],
)
def test_marks_of_notes(html: str) -> None:
    assert texts(html) == ["A word. Next."]
    assert texts(html, keep=("marks",)) != ["A word. Next."]
    assert read(f"<html><body>{html}").left_out == {"marks": 1}


@pytest.mark.parametrize(
    "html",
    ["See <a href='#c2'>chapter 2</a>.", "10<sup>6</sup> m<sup>2</sup>, the 1<sup>st</sup>", "<a href='x'>A</a>"],
)
def test_links_and_raised_text_that_are_no_marks(html: str) -> None:
    assert texts(f"<p>{html}</p>")[0].replace(" ", "") == "".join(
        part.partition(">")[2] for part in f">{html}".replace(" ", "").split("<")
    )


@pytest.mark.parametrize(
    "note",
    [
        "<aside role='doc-footnote' id='fn1'><p>The note.</p></aside>",
        "<div class='footnote'><p><a id='fn1' href='#r1'><span class='label'>[1]</span></a> The note.</p></div>",
        "<p id='fn1'><a href='#r1'>1</a> The note.</p>",
        "<section class='footnotes'><ol><li id='fn1'><p>The note. <a href='#r1'>↩︎</a></p></li></ol></section>",
        "<p id='fn1'>The note. <a href='#r1' class='footnote-backref'>back</a></p>",
    ],
)
def test_notes(note: str) -> None:
    text = f"<p id='r1'>A word.<sup><a href='#fn1'>1</a></sup></p>{note}<p>The end.</p>"
    assert texts(text) == ["A word.", "The end."]
    assert body(text, keep=("notes",))[1] == ("note", "The note.")
    assert read(f"<html><body>{text}").left_out == {"marks": 1, "notes": 1}


def test_tables_code_figures_and_formulas() -> None:
    html = (
        "<table><caption>Rain</caption><tr><th>Day</th><th>mm</th></tr><tr><td>Monday</td><td>3</td></tr></table>"
        "<pre><code>x = 1\ny = 2</code></pre><figure><img alt='A hill'><figcaption>Hills</figcaption></figure>"
        "<p>Let <math alttext='x'><mi>x</mi></math> be.</p>"
    )
    assert body(html) == [("paragraph", "Let be.")]
    left_out = read(f"<html><body>{html}").left_out
    assert left_out == {"captions": 2, "code": 1, "images": 1, "math": 1, "tables": 1}
    assert body(html, keep=("tables", "code", "captions", "images", "math")) == [
        ("caption", "Rain"),
        ("table", "Day, mm"),
        ("table", "Monday, 3"),
        ("code", "x = 1\ny = 2"),
        ("paragraph", "A hill"),
        ("caption", "Hills"),
        ("paragraph", "Let x be."),
    ]


def test_tables_for_layout_are_read() -> None:
    long = "Words of a page that was made with a table. " * 20
    html = f"<table><tr><td>Menu</td><td><p>{long}</p><table><tr><td>1</td></tr></table></td></tr></table>"
    assert long.strip() in texts(html)


def test_line_breaks() -> None:
    assert body("<h2>Chapter 1<br>The Hall</h2><p>One<br>line.</p><p>A<br><br>B</p>") == [
        ("heading", "Chapter 1: The Hall"),
        ("paragraph", "One line."),
        ("paragraph", "A"),
        ("paragraph", "B"),
    ]
    verse = "<p>The sea is calm to-night.<br/>\nThe tide is full, the moon lies fair<br/>\nUpon the straits;</p>"
    assert body(verse) == [
        ("verse", "The sea is calm to-night.\nThe tide is full, the moon lies fair\nUpon the straits;")
    ]


def test_words_stay_whole() -> None:
    html = (
        "<p><span class=dropcap>O</span>nce, <i>some</i><b>one</b> hy\u00adphen&shy;ated<wbr> it"
        "<span class=pagenum>[Pg 3]</span>.</p>"
        "<p><img alt=T src=t.png>he <ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby> <q>word</q>.</p>"
    )
    assert texts(html) == ["Once, someone hyphenated it.", "The 漢 “word”."]


def test_what_is_hidden_is_not_read() -> None:
    html = (
        "<p hidden>A</p><p style='display: none'>B</p><p aria-hidden=true>C</p><script>D</script><style>E</style>"
        "<template>F</template><noscript>G</noscript><svg><text>H</text></svg><del>I</del><!-- J --><p>K</p>"
    )
    assert texts(html) == ["K"]


def test_lists_quotes_and_kinds() -> None:
    html = "<ul><li>One</li><li><p>Two</p></li></ul><blockquote><p>Said</p></blockquote><dl><dt>T<dd>D</dl><p>P"
    kinds = ["item", "item", "quote", "item", "item", "paragraph"]
    assert [kind for kind, _ in body(html)] == kinds


@pytest.mark.parametrize(
    ("declaration", "encoding"),
    [("<meta charset=windows-1252>", "cp1252"), ('<meta http-equiv=x content="text/html; charset=koi8-r">', "koi8-r")],
)
def test_declared_encodings(declaration: str, encoding: str) -> None:
    word = "Märchen – “x”" if encoding == "cp1252" else "Сказка"
    page = f"<html><head>{declaration}</head><body><p>{word}</p></body></html>".encode(encoding)
    assert read(page).chapters[0].blocks[0].text == word


def test_undeclared_encodings_are_refused() -> None:
    with pytest.raises(TextEncodingError):
        read("<html><body>Märchen".encode("cp1252"))


def test_xhtml_with_names_of_characters_and_closed_elements() -> None:
    page = (
        '<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/xhtml11.dtd">\n'
        '<html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="x"/></head>'
        '<body><p>caf&eacute;&nbsp;&mdash;<a id="x"/> &amp; &unknown;</p>{}</body></html>'
    )
    expected = "café — & &unknown;"
    assert read(page.format("")).chapters[0].blocks[0].text == expected
    broken = read(page.format("<p>not <b>well</p>")).chapters[0].blocks  # read as HTML, once
    assert [block.text for block in broken] == [expected, "not well"]


@pytest.mark.parametrize(
    "definition",
    [
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">',
        '<!ENTITY x SYSTEM "file:///etc/passwd">',
        '<!ENTITY % p SYSTEM "http://127.0.0.1/x.dtd"> %p;',
    ],
)
def test_entities_are_refused(definition: str) -> None:
    page = f'<?xml version="1.0"?><!DOCTYPE html [{definition}]><html xmlns="x"><body><p>&x;&b;</p></body></html>'
    with pytest.raises(DamagedDocument, match="entities"):
        read(page)


def test_deeply_nested_elements_are_refused() -> None:
    with pytest.raises(DamagedDocument, match="nested"):
        read("<html><body>" + "<b>" * 1_000_000 + "x")
    with pytest.raises(DamagedDocument, match="nested"):
        read('<html xmlns="http://www.w3.org/1999/xhtml"><body>' + "<div>" * 100_000 + "x")


def test_a_page_of_preformatted_text_is_plain_text() -> None:
    lines = (
        "CHAPTER I\n\nIt was a dark and stormy night; the rain fell in\ntorrents.\n\nCHAPTER II\n\nThe sun rose.\n"
        + "\nMore text.\n" * 20
    )
    book = read(f"<html><body><pre>{lines}</pre></body></html>")
    assert [chapter.title for chapter in book.chapters] == ["CHAPTER I", "CHAPTER II"]
    assert book.chapters[0].blocks[1].text.endswith("fell in torrents.")


def test_content_decides_not_the_name() -> None:
    assert read("<!DOCTYPE html><p>Text.</p>", name="book.txt").chapters[0].blocks[0].text == "Text."
    assert read("# One\n\nText.\n\n# Two\n\n*Text.*\n", name="book.html").chapters[1].blocks[1].text == "Text."
