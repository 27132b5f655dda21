"""Books in all formats: chapters of blocks that can be spoken, or an error; plain paragraphs come out whole."""

from __future__ import annotations

import functools
import html
import io
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from mutations import CHARACTERS, mutated_bytes, repeated, texts, words

from vallecli.longform.books.model import MAX_BLOCK
from vallecli.longform.documents import KINDS, read_document

CONTAINER = (
    b'<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    b'<rootfile full-path="OEBPS/a.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
PACKAGE = (
    b'<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title id="t">A Book</dc:title><meta refines="#t" '
    b'property="title-type">main</meta><dc:creator>Ann</dc:creator><dc:language>en</dc:language>'
    b'<meta name="cover" content="c"/></metadata><manifest><item id="c" href="c.png" media-type="image/png"/>'
    b'<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/><item id="ncx" '
    b'href="toc.ncx" media-type="application/x-dtbncx+xml"/><item id="a" href="a.xhtml" '
    b'media-type="application/xhtml+xml"/><item id="b" href="b.xhtml" media-type="application/xhtml+xml"/></manifest>'
    b'<spine toc="ncx"><itemref idref="nav" linear="no"/><itemref idref="a"/><itemref idref="b"/></spine><guide>'
    b'<reference type="toc" href="nav.xhtml"/></guide></package>'
)
NAV = (
    b'<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body>'
    b'<nav epub:type="toc"><ol><li><a href="a.xhtml">One</a><ol><li><a href="a.xhtml#s">Section</a></li></ol></li>'
    b'<li><span>Two</span><ol><li><a href="b.xhtml#x">B</a></li></ol></li></ol></nav></body></html>'
)
NCX = (
    b'<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>One</text></navLabel>'
    b'<content src="a.xhtml"/></navPoint></navMap></ncx>'
)
PAGE = (
    b'<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml" '
    b'xmlns:epub="http://www.idpf.org/2007/ops" lang="en"><head><title>T</title><style>p{}</style></head><body>'
    b'<section epub:type="chapter"><h1>One</h1><p>A word.<sup><a epub:type="noteref" href="#n">1</a></sup> &amp;'
    b'&nbsp;more<br/>of it.</p><p id="s"><img src="c.png" alt="A"/>nd <ruby>x<rt>y</rt></ruby>.</p><table><caption>C'
    b"</caption><tr><td>1</td><td>2</td></tr></table><pre>x = 1</pre><blockquote class='verse'><p>A<br/>B</p>"
    b'</blockquote><ul><li>One</li></ul><aside epub:type="footnote" id="n"><p>Note. <a href="#s">&#8617;</a></p>'
    b"</aside></section></body></html>"
)
CONTENT_TYPES = b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
RELATIONS = b'<Relationships><Relationship Type="x/officeDocument" Target="word/document.xml"/></Relationships>'
WORD = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
DOCUMENT = (
    b"<w:document " + WORD + b'><w:body><w:p><w:pPr><w:pStyle w:val="H"/></w:pPr><w:r><w:t>One</w:t></w:r></w:p><w:p>'
    b'<w:r><w:rPr><w:vanish/></w:rPr><w:t>no</w:t></w:r><w:r><w:t>A word</w:t><w:footnoteReference w:id="2"/><w:br/>'
    b"</w:r><w:del><w:r><w:delText>x</w:delText></w:r></w:del><w:ins><w:r><w:t>more</w:t></w:r></w:ins></w:p><w:tbl>"
    b"<w:tr><w:tc><w:p><w:r><w:t>cell</w:t></w:r></w:p></w:tc></w:tr></w:tbl></w:body></w:document>"
)
STYLES = (
    b"<w:styles " + WORD + b'><w:style w:styleId="H"><w:name w:val="heading 1"/><w:basedOn w:val="N"/></w:style>'
    b'<w:style w:styleId="N"><w:name w:val="Normal"/></w:style></w:styles>'
)
FOOTNOTES = (
    b"<w:footnotes " + WORD + b'><w:footnote w:id="2"><w:p><w:r><w:t>N</w:t></w:r></w:p></w:footnote></w:footnotes>'
)
EPUB = {
    **{"mimetype": b"application/epub+zip", "META-INF/container.xml": CONTAINER, "OEBPS/a.opf": PACKAGE},
    **{"OEBPS/nav.xhtml": NAV, "OEBPS/toc.ncx": NCX, "OEBPS/a.xhtml": PAGE, "OEBPS/b.xhtml": PAGE},
    "OEBPS/c.png": b"\x89PNG\r\n\x1a\n",
}
DOCX = {
    **{"[Content_Types].xml": CONTENT_TYPES, "_rels/.rels": RELATIONS, "word/document.xml": DOCUMENT},
    **{"word/styles.xml": STYLES, "word/footnotes.xml": FOOTNOTES},
    "docProps/core.xml": b"<c><title>A</title><creator>B; C</creator></c>",
}
MARKDOWN = (
    "---\ntitle: T\nauthor: [A, B]\n---\n\n# One\n\nA *word*[^1] and `code`.\n\n> Quote\n\n1. Item\n\n| a | b |\n"
    "|---|---|\n| 1 | 2 |\n\n```\ncode\n```\n\n![alt](x.png) [link](y) <b>html</b>\n\n[^1]: Note.\n\n# Two\n\nEnd.\n",
    "Title\n=====\n\nOne\n---\n\nTerm\n: Definition\n\nline\\\nbreak\n",
)
PLAIN = (
    "Title: T\nAuthor: A\nLanguage: English\n\n*** START OF THE PROJECT GUTENBERG EBOOK T ***\n\nCONTENTS\n\n"
    " CHAPTER I. A\n CHAPTER II. B\n\n\nCHAPTER I.\nA\n\nA paragraph of words until the line is full,\n"
    "with a word that is divi-\nded.[1]\n\n  A line of verse,\n  Another line.\n\n[Footnote 1: Note]\n\n"
    "12\n\n* * *\n\nCHAPTER II\n\nB\n\n*** END OF THE PROJECT GUTENBERG EBOOK T ***\n",
    "One line.\nAnother line.\n\n    Indented\nparagraph.\n",
)
XML_TOKENS = tuple(
    token.encode()
    for token in (
        *words("<p> </p> <p/> <b> </b> <a> <li> <ol> <td> <table> </table> <pre> <h1> <h2> <br/> <sup> <rt> <hr>"),
        *words("&amp; &nbsp; <!-- --> <![CDATA[ ]]> <?x?> <!ENTITY <!DOCTYPE [ ] > < / \" ' hidden id='s' href='#n'"),
        *words(
            "<w:p> </w:p> <w:t> <w:tbl> <w:txbxContent> <svg> <math> <q> <navPoint> ../ %2e%2e/ http:// \ufeff \0 é"
        ),
        *('<a href="#n">1</a>', '<p epub:type="titlepage">', '<p class="footnote">', "<script>", "<html", " "),
    )
)
ENTRIES = [("epub", name) for name in EPUB] + [("docx", name) for name in DOCX]
REPEATED = (
    *words(
        "< > <p> <b> <a <a> </a> <li> <ul> <td> <tr> <table> <pre> <br> <sup> <h1> & &amp; &#1 <!-- <![CDATA[ [ ] ("
    ),
    *words(
        "** ``` ~~~ > - + 1. # | [^1] [^1]: [a]: ![ ]( <http: \\ \" ' -- [1] [Pg {1} I. CHAPTER Chapter\u20281 . ? !"
    ),
    *words(") * _ ` Title: <sup>1</sup> <!ENTITY _a_ <td>a <rt> [^a] |-"),
    "\u3000",
    *(
        "\n",
        "\n\n",
        "a\n",
        "> ",
        ">\n",
        "- ",
        "    ",
        "\t",
        "| ",
        "*a ",
        "a*",
        "[a](",
        "a\n: b\n\n",
        "\r",
        "\f",
        " I\n\n",
    ),
    *("1\n\n", "CONTENTS\n\n", "*** START OF THE PROJECT GUTENBERG ", "<a href='#a'>1</a>", "[Illustration: ", "(1) "),
    *("[^a]: x\n\n", "_a ", "a-\n", "<p\n", "<p id=a>", "第一章\n\n", "&x;", "&#0;"),
)
START = st.sampled_from(
    ("", "<html><body>", "<html xmlns='http://www.w3.org/1999/xhtml'><body>", "---\n", "# a\n# b\n", "<pre>")
)
TEXT = st.one_of(
    texts([PAGE.decode(), *MARKDOWN, *PLAIN], [token.decode() for token in XML_TOKENS]),
    st.tuples(START, repeated(st.sampled_from(REPEATED), 20_000)).map("".join),
    st.tuples(START, st.text(CHARACTERS, max_size=200)).map("".join),
)
NAME = st.sampled_from(("book.txt", "book.md", "book.html", "book.epub"))
KEEP = st.sets(st.sampled_from(tuple(KINDS)), max_size=12).map(sorted)
WORDS = st.lists(
    st.sampled_from(words("the a of sea house She went and, then; 12 é café Märchen, 漢字 x.")), min_size=3, max_size=12
)
PARAGRAPHS = st.lists(WORDS.map(lambda parts: f"It was {' '.join(parts)} there."), min_size=1, max_size=6)
SAMPLES = st.one_of(
    st.tuples(st.just("text"), NAME, TEXT.map(lambda text: text.encode(errors="surrogatepass")), KEEP),
    st.tuples(
        st.just("text"),
        NAME,
        mutated_bytes([PAGE, PLAIN[0].encode("utf-16"), MARKDOWN[0].encode()], tokens=XML_TOKENS),
        KEEP,
    ),
    st.tuples(
        st.just("entry"),
        st.sampled_from(ENTRIES),
        mutated_bytes([*EPUB.values(), *DOCX.values()], tokens=XML_TOKENS),
        KEEP,
    ),
    st.sampled_from(ENTRIES).flatmap(
        lambda entry: st.tuples(
            st.just("entry"), st.just(entry), mutated_bytes([contents(entry[0])[entry[1]]], tokens=XML_TOKENS), KEEP
        )
    ),
    st.tuples(
        st.just("entry"),
        st.sampled_from(ENTRIES),
        st.tuples(START, repeated(st.sampled_from(REPEATED), 20_000)).map("".join).map(str.encode),
        KEEP,
    ),
    st.tuples(
        st.just("archive"), st.just(""), st.deferred(lambda: mutated_bytes([archive("epub"), archive("docx")])), KEEP
    ),
    st.tuples(st.just("whole"), st.sampled_from(("epub", "docx", "html", "md", "txt")), PARAGRAPHS, st.just([])),
)
FOUND: tuple[Any, ...] = (
    ("entry", ("epub", "OEBPS/nav.xhtml"), NAV.replace(b"xhtml", b"x{html", 1), []),  # a namespace without a tree
    ("entry", ("epub", "OEBPS/a.xhtml"), b"", []),
    ("text", "book.txt", b"---\ntitle: a\n" + b"a: - b: - " * 200, []),  # lines that a pattern divided in many ways
)


def warm_up() -> None:
    import markdown_it
    import yaml
    from lxml import etree
    from mdit_py_plugins import deflist, footnote, front_matter

    assert all((markdown_it, yaml, etree, deflist, footnote, front_matter))


def contents(kind: str) -> dict[str, bytes]:
    return EPUB if kind == "epub" else DOCX


def zipped(entries: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


@functools.cache
def archive(kind: str) -> bytes:
    return zipped(contents(kind))


def check(sample: tuple[str, Any, Any, list[str]], folder: Path) -> None:
    kind, name, content, keep = sample
    if kind == "whole":
        check_whole(name, content, folder)
        return
    if kind == "entry":
        content = zipped({**contents(name[0]), name[1]: content})
    path = folder / (name if kind == "text" else "book.epub")
    path.write_bytes(content)
    book = read_document(path, keep)
    assert book.chapters
    assert not set(keep) & book.left_out.keys()
    assert book.left_out.keys() <= KINDS.keys()
    assert all(count > 0 for count in book.left_out.values())
    for text in (book.title, *book.authors, *(chapter.title for chapter in book.chapters)):
        assert text == " ".join(text.split())
        check_characters(text)
    for chapter in book.chapters:
        assert chapter.title
        assert chapter.level > 0
        assert chapter.blocks
        for block in chapter.blocks:
            assert 0 < len(block.text) <= MAX_BLOCK
            assert block.text == block.text.strip()
            check_characters(block.text)


def check_characters(text: str) -> None:
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Co") and char != "\n" for char in text), "controls"


def check_whole(kind: str, paragraphs: list[str], folder: Path) -> None:
    path = folder / f"book.{kind}"
    if kind == "txt":
        path.write_text("\n\n".join(paragraphs), encoding="utf-8")
    elif kind == "md":
        path.write_text("# One\n\n" + "\n\n".join(paragraphs), encoding="utf-8")
    elif kind == "docx":
        runs = "".join(f"<w:p><w:r><w:t>{html.escape(text)}</w:t></w:r></w:p>" for text in paragraphs)
        body = b"<w:document " + WORD + b">" + runs.encode() + b"</w:document>"
        path.write_bytes(
            zipped(
                {
                    **DOCX,
                    "word/document.xml": body.replace(b"<w:p>", b"<w:body><w:p>", 1).replace(
                        b"</w:document>", b"</w:body></w:document>"
                    ),
                }
            )
        )
    else:
        page = "<html xmlns='http://www.w3.org/1999/xhtml'><body>" + "".join(
            f"<p>{html.escape(text)}</p>" for text in paragraphs
        )
        page += "</body></html>"
        path.write_bytes(
            page.encode()
            if kind == "html"
            else zipped({**EPUB, "OEBPS/a.xhtml": page.encode(), "OEBPS/b.xhtml": b"<html/>"})
        )
    book = read_document(path)
    read = [block.text for chapter in book.chapters for block in chapter.blocks if block.kind != "heading"]
    assert read == paragraphs
