"""What the titles of chapters, parts and front matter look like."""

from __future__ import annotations

import re

MAX_TITLE = 120  # characters of a paragraph that may be a heading

NUMBER = (
    r"(?:\d{1,4}|[IVXLCDM]{1,8}|[ivxlcdm]{1,8}|[A-Z]|the\s+(?:first|second|third|fourth|fifth|last)|"
    r"(?:(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)[ -]?)?"
    r"(?:one|two|three|four|five|six|seven|eight|nine|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|"
    r"ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|"
    r"sixty|seventy|eighty|ninety|tenth|eleventh|twelfth|last))"
)
PART_WORDS = r"part|book|volume|section|teil|buch|band|partie|livre|tome|parte|libro|tomo"
CHAPTER_WORDS = (
    r"chapter|chap\.|stave|canto|letter|act|scene|kapitel|brief|akt|chapitre|lettre|acte|scène|cap[ií]tulo|capitolo|"
    r"lettera|carta|hoofdstuk|глава"
)
ALONE = (
    r"prologue|epilogue|preface|foreword|introduction|afterword|conclusion|interlude|postscript|appendix(?: [a-z\d])?|"
    r"prolog|epilog|vorwort|einleitung|nachwort|préface|avant-propos|prólogo|epílogo|prefacio|introducción"
)
NUMBERED = re.compile(
    rf"(?:the\s+)?(?:{PART_WORDS}|{CHAPTER_WORDS})\s+{NUMBER}\b(?P<rest>.*)|第[\d零〇一二三四五六七八九十百千]+[章回節节話话部](?P<cjk>.*)",
    re.IGNORECASE | re.DOTALL,
)
UNNUMBERED = re.compile(rf"(?:{ALONE})[.:]?", re.IGNORECASE)
BARE_NUMBER = re.compile(r"\d{1,4}")
ROMAN = re.compile(r"(?=[IVXLC])(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\.?")
SECTION = re.compile(r"\d{1,3}(?:\.\d{1,3}){0,8}\.?\s+(?=\D)")
PART = re.compile(rf"(?:the\s+)?(?:{PART_WORDS})\b|第.+[部]", re.IGNORECASE)
CHAPTER = re.compile(
    rf"(?:the\s+)?(?:{CHAPTER_WORDS})\s+{NUMBER}\b|第.+[章回節节話话]|\d+\b|{ROMAN.pattern}$", re.IGNORECASE
)
LISTS = re.compile(  # front and back matter that a story could be called, too: as such it has sentences
    r"(?:table of |brief |detailed )?contents|toc|(?:general |subject |name )?index|references|landmarks|guide|cover|"
    r"inhalt(?:sverzeichnis)?|register|table des matières|sommaire|índice|contenido|indice|目录|目次",
    re.IGNORECASE,
)
FRONT = re.compile(
    r"(?:front |back )?(?:cover|title[ -]?page|half[ -]?title(?:[ -]?page)?|(?:un)?copyright(?: (?:page|notice))?|"
    r"legal(?: notice)?|imprint|colophon|dedication|list of (?:illustrations|figures|tables|plates|maps)|"
    r"(?:selected |select )?bibliography|works cited|"
    r"(?:also|other (?:books|works|titles)|more|books) by\b.*|about the (?:authors?|publisher|typeface|type)|"
    r"praise(?: for\b.*)?|newsletter(?: sign-?up)?|transcriber[’']s notes?|"
    r"titelseite|titelblatt|impressum|widmung|literaturverzeichnis|couverture|page de titre|dédicace|"
    r"portada|cubierta|dedicatoria|créditos|copertina|dedica|版权(?:页)?|封面|奥付|表紙)",
    re.IGNORECASE,
)
NOTES = re.compile(
    r"(?:end|foot)?notes?(?: and references)?|anmerkungen|fußnoten|notas|note|注释|脚注|註", re.IGNORECASE
)


def without_number(title: str) -> str:
    """Return a title without the number of its section and a full stop or colon at its end: "2.1 Index" is "Index"."""
    return SECTION.sub("", title.strip()).rstrip(".:")


def may_be_front(title: str) -> bool:
    """Return whether a title is that of front or back matter, or of notes."""
    title = without_number(title)
    return any(pattern.fullmatch(title) for pattern in (LISTS, FRONT, NOTES))


def is_part(title: str) -> bool:
    """Return whether a title is that of a part: "Part One", "1 Book of the Sea"."""
    return PART.match(without_number(title)) is not None


def same_number(paragraph: str, title: str) -> bool:
    """Return whether a paragraph such as "Chapter Two" can be the title "Chapter 2" or "2" in other words."""
    if NUMBERED.fullmatch(paragraph) is None or paragraph.split()[0].casefold() == title.casefold():
        return False
    if BARE_NUMBER.fullmatch(title) or ROMAN.fullmatch(title):
        return True
    return NUMBERED.fullmatch(title) is not None and paragraph.split()[0].casefold() == title.split()[0].casefold()


def is_title(text: str) -> bool:
    """Return whether a paragraph is the heading of a chapter: "CHAPTER I. The Hall", "Prologue", "IV."."""
    if len(text) > MAX_TITLE:
        return False
    if UNNUMBERED.fullmatch(text) or ROMAN.fullmatch(text):
        return True
    match = NUMBERED.fullmatch(text)
    if not match:
        return False
    if match["cjk"]:
        return not match["cjk"].endswith("。")
    rest = (match["rest"] or "").strip()
    return not rest or rest[0] in ".:—–-\n[(" or (rest[0].isupper() and not rest.endswith((".", ",", ";")))
