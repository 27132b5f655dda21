"""Word documents: those that python-docx writes, with the parts that it does not write added to their XML."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import pytest

from vallecli.errors import DamagedDocument, DocumentError, DocumentTooLarge
from vallecli.longform.documents import Document, read_document

BOOK = Path("book.docx")
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def written(document: Any, edit: Callable[[str], str] = lambda xml: xml, **parts: str) -> Document:
    """Save a document with its XML edited, and other parts of it; return it as it is read."""
    document.save("plain.docx")
    with zipfile.ZipFile("plain.docx") as plain, zipfile.ZipFile(BOOK, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in plain.namelist():
            content = plain.read(name)
            if name in {f"word/{part}.xml" for part in parts}:
                continue
            archive.writestr(name, edit(content.decode()) if name == "word/document.xml" else content)
        for name, part in parts.items():
            archive.writestr(f"word/{name}.xml", part)
    return read_document(BOOK)


def blocks(book: Document) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for chapter in book.chapters for block in chapter.blocks]


def body(xml: str, *, keep: tuple[str, ...] = (), **parts: str) -> list[tuple[str, str]]:
    """Return the blocks of a document with this content."""
    book = written(docx.Document(), lambda old: re.sub(r"<w:body>.*</w:body>", f"<w:body>{xml}</w:body>", old), **parts)
    return blocks(read_document(BOOK, keep) if keep else book)


def run(text: str, properties: str = "") -> str:
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t xml:space='preserve'>{text}</w:t></w:r>"


def test_a_book() -> None:
    document = docx.Document()
    document.core_properties.title = "Microsoft Word - Document1"
    document.core_properties.author = "Ann Bee; Cy Dee"
    document.core_properties.language = "de-DE"
    document.add_paragraph("The Book", style="Title")
    document.add_paragraph("A Story", style="Subtitle")
    document.add_heading("One", 1)
    document.add_paragraph("First ").add_run("words.").bold = True
    document.add_paragraph("An item", style="List Bullet")
    document.add_paragraph("Said.", style="Intense Quote")
    table = document.add_table(2, 2)
    table.cell(0, 0).text = "Day"
    document.add_paragraph("Table 1", style="Caption")
    document.add_heading("Two", 1)
    document.add_heading("Section", 2)
    document.add_paragraph("Line\tone\nline two")
    document.sections[0].header.paragraphs[0].text = "The header"
    document.sections[0].footer.paragraphs[0].text = "Page 3"
    book = written(document)
    assert (book.title, book.authors, book.language) == ("The Book", ("Ann Bee", "Cy Dee"), "de-DE")
    assert [chapter.title for chapter in book.chapters] == ["One", "Two", "Section"]
    assert blocks(book) == [
        ("heading", "One"),
        ("paragraph", "First words."),
        ("item", "An item"),
        ("quote", "Said."),
        ("heading", "Two"),
        ("heading", "Section"),
        ("paragraph", "Line one line two"),
    ]
    assert book.left_out == {"captions": 1, "front": 1, "tables": 1}


def test_a_title_for_each_chapter_is_a_heading() -> None:
    document = docx.Document()
    for number in (1, 2):
        document.add_paragraph(f"Night {number}", style="Title")
        document.add_paragraph("Text.")
    assert [chapter.title for chapter in written(document).chapters] == ["Night 1", "Night 2"]


def test_without_styles_chapters_are_found_by_rule() -> None:
    document = docx.Document()
    for text in ("Chapter 1", "Text.", "Chapter 2", "Text."):
        document.add_paragraph(text)
    assert [chapter.title for chapter in written(document).chapters] == ["Chapter 1", "Chapter 2"]


def test_changes_that_are_tracked() -> None:
    change = 'w:id="1" w:author="x"'
    xml = (
        f"<w:p>{run('It was ')}<w:del {change}><w:r><w:delText>cold</w:delText></w:r></w:del>"
        f"<w:ins {change}>{run('warm')}</w:ins>{run('.')}<w:moveFrom {change}>{run('Gone.')}</w:moveFrom></w:p>"
        f"<w:p><w:pPr><w:rPr><w:del {change}/></w:rPr></w:pPr>{run('Joined.')}</w:p>"
    )
    assert body(xml) == [("paragraph", "It was warm."), ("paragraph", "Joined.")]


def test_hidden_text_comments_and_fields() -> None:
    shown = run("B", "<w:vanish w:val='0'/>")
    xml = (
        f"<w:p>{run('A', '<w:vanish/>')}{shown}{run('C')}"
        "<w:commentRangeStart w:id='0'/><w:r><w:fldChar w:fldCharType='begin'/></w:r><w:r><w:instrText>PAGE"
        f"</w:instrText></w:r><w:r><w:commentReference w:id='0'/></w:r>{run('D')}</w:p>"
        f"<w:p><w:pPr><w:rPr><w:vanish/></w:rPr></w:pPr>{run('E')}</w:p>"
    )
    assert body(xml) == [("paragraph", "BCD"), ("paragraph", "E")]


def test_footnotes() -> None:
    xml = f"<w:p>{run('A word')}<w:r><w:footnoteReference w:id='2'/></w:r>{run('.')}</w:p><w:p>{run('Next.')}</w:p>"
    notes = f"<w:footnotes {W}><w:footnote w:id='2'><w:p>{run('The note.')}</w:p></w:footnote></w:footnotes>"
    assert body(xml, footnotes=notes) == [("paragraph", "A word."), ("paragraph", "Next.")]
    assert read_document(BOOK).left_out == {"marks": 1, "notes": 1}
    assert body(xml, keep=("notes",), footnotes=notes)[1] == ("note", "The note.")


def test_contents_text_boxes_and_images() -> None:
    contents = "".join(f"<w:p><w:pPr><w:pStyle w:val='TOC{at}'/></w:pPr>{run('One 3')}</w:p>" for at in (1, 2))
    styles = "".join(
        f"<w:style w:type='paragraph' w:styleId='TOC{at}'><w:name w:val='toc {at}'/></w:style>" for at in (1, 2)
    )
    box = (
        "<mc:AlternateContent xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006'><mc:Choice>"
        f"<w:drawing><wp:docPr xmlns:wp='wp' descr='A hill'/><w:txbxContent><w:p>{run('In a box.')}</w:p>"
        f"</w:txbxContent></w:drawing></mc:Choice><mc:Fallback><w:p>{run('In a box.')}</w:p></mc:Fallback>"
        "</mc:AlternateContent>"
    )
    xml = f"{contents}<w:p>{run('Before, ')}<w:r>{box}</w:r>{run('after.')}</w:p>"
    assert body(xml, styles=f"<w:styles {W}>{styles}</w:styles>") == [
        ("paragraph", "In a box."),
        ("paragraph", "Before, after."),
    ]
    assert read_document(BOOK).left_out == {"front": 1, "images": 1}


def test_contents_in_a_control_and_in_a_field_without_styles() -> None:
    control = (
        "<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val='Table of Contents'/></w:docPartObj></w:sdtPr>"
        f"<w:sdtContent><w:p>{run('One 3')}</w:p></w:sdtContent></w:sdt>"
    )
    field = [f"<w:r><w:fldChar w:fldCharType='{kind}'/></w:r>" for kind in ("begin", "separate", "end")]
    index = f"<w:p>{field[0]}<w:r><w:instrText> INDEX</w:instrText></w:r>{field[1]}{run('sea, 3')}</w:p><w:p>"
    page = f"<w:p>{field[0]}<w:r><w:instrText>PAGEREF x</w:instrText></w:r>{field[1]}{run('Page 3.')}{field[2]}</w:p>"
    assert body(f"{control}<w:p>{run('Text.')}</w:p>{page}{index}{run('wind, 5')}{field[2]}</w:p>") == [
        ("paragraph", "Text."),
        ("paragraph", "Page 3."),
    ]
    assert read_document(BOOK).left_out == {"front": 2}


def test_a_drop_cap_belongs_to_the_next_paragraph() -> None:
    cap = f"<w:p><w:pPr><w:framePr w:dropCap='drop' w:lines='3'/></w:pPr>{run('“O')}</w:p>"
    assert body(f"{cap}<w:p>{run('nce upon a time.”')}</w:p>") == [("paragraph", "“Once upon a time.”")]


def test_text_that_is_struck_out() -> None:
    struck = (
        run("cold ", "<w:strike/>") + run("wet ", "<w:dstrike w:val='true'/>") + run("warm", "<w:strike w:val='0'/>")
    )
    assert body(f"<w:p>{run('It was ')}{struck}{run('.')}</w:p>") == [("paragraph", "It was warm.")]


def test_a_subtitle_with_a_style_based_on_the_title_is_no_title() -> None:
    styles = (
        f"<w:styles {W}><w:style w:styleId='T'><w:name w:val='Title'/></w:style><w:style w:styleId='S'>"
        "<w:name w:val='Subtitle'/><w:basedOn w:val='T'/></w:style></w:styles>"
    )
    xml = "".join(
        f"<w:p><w:pPr>{properties}</w:pPr>{run(text)}</w:p>"
        for properties, text in (
            ("<w:pStyle w:val='T'/>", "The Quay"),
            ("<w:pStyle w:val='S'/>", "A Tale"),
            ("", "Text."),
        )
    )
    assert body(xml, styles=styles) == [("paragraph", "Text.")]
    assert read_document(BOOK).title == "The Quay"


def test_headings_by_outline_level_and_of_styles_based_on_them() -> None:
    styles = (
        f"<w:styles {W}><w:style w:styleId='b1'><w:name w:val='heading 1'/></w:style><w:style w:styleId='My'>"
        "<w:name w:val='My Chapter'/><w:basedOn w:val='b1'/></w:style><w:style w:styleId='L'><w:name w:val='Loop'/>"
        "<w:basedOn w:val='L'/></w:style></w:styles>"
    )
    xml = "".join(
        f"<w:p><w:pPr>{properties}</w:pPr>{run(text)}</w:p>"
        for properties, text in (
            ("<w:pStyle w:val='My'/>", "One"),
            ("<w:pStyle w:val='L'/>", "Text."),
            ("<w:outlineLvl w:val='0'/>", "Two"),
            ("<w:outlineLvl w:val='9'/>", "Text."),
        )
    )
    assert [kind for kind, _ in body(xml, styles=styles)] == ["heading", "paragraph", "heading", "paragraph"]


def test_broken_documents() -> None:
    with pytest.raises(DamagedDocument, match="nested"):
        body("<w:x>" * 3_000 + "</w:x>" * 3_000)
    with pytest.raises(DamagedDocument, match=r"document\.xml"):
        body("<w:p>")
    with pytest.raises(DocumentTooLarge, match="paragraph"):
        body(f"<w:p>{run('word ' * 1_100_000)}</w:p>")
    with pytest.raises(DocumentError, match="no text"):
        body("")


def test_entities_and_missing_parts() -> None:
    for name, content, message in (
        ("word/document.xml", f"<!DOCTYPE w [<!ENTITY a 'b'>]><w:document {W}/>", "entities"),
        ("word/styles.xml", "<", "styles.xml"),
        ("_rels/.rels", "<Relationships/>", "names no document"),
    ):
        docx.Document().save("plain.docx")
        with zipfile.ZipFile("plain.docx") as plain, zipfile.ZipFile(BOOK, "w") as archive:
            for old in plain.namelist():
                archive.writestr(old, content if old == name else plain.read(old))
        with pytest.raises(DamagedDocument, match=message):
            read_document(BOOK)
