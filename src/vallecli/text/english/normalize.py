"""The English normalizer: written text to spoken words, for numbers, money, dates, abbreviations, acronyms, symbols.

Each rule is applied to the whole text. Rules that depend on digits, dots or capitals come before those that replace
them.
"""

from __future__ import annotations

import re
import unicodedata

from vallecli.errors import EmptyText
from vallecli.text.english import letters, quantities
from vallecli.text.english.quantities import Rule, rule

# Letters that Unicode does not decompose into an ASCII letter and an accent, and marks with an ASCII equivalent.
REPLACEMENTS = str.maketrans(
    {
        **{"ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "Oe", "ł": "l", "Ł": "L", "đ": "d"},
        **{"Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i"},
        **dict.fromkeys("‘’‛ʼ´`′", "'"),
        **dict.fromkeys("“”„‟«»″", '"'),
        **dict.fromkeys("‐‑‒−⁃﹣－", "-"),
        **dict.fromkeys("—―", " -- "),
        **dict.fromkeys("™®©℠", ""),
        **{"½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "⅛": " 1/8"},
        **{"≠": " is not equal to ", "⁄": "/", "№": "No. ", "…": "...", "\u2028": "\n", "\u2029": "\n\n"},
        # protected from NFKC, which converts ² and ³ to digits
        **{"µ": "\ue001", "μ": "\ue001", "²": "\ue002", "³": "\ue003"},
    }
)
PROTECTED = str.maketrans({"\ue001": "µ", "\ue002": "²", "\ue003": "³"})
GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "θ": "theta", "λ": "lambda", "µ": "mu"}
GREEK |= {"π": "pi", "σ": "sigma", "τ": "tau", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Ω": "omega"}
GREEK |= {"Δ": "delta", "Σ": "sigma"}
SYMBOL_NAMES = {
    **{"&": "and", "@": "at", "+": "plus", "=": "equals", "%": "percent", "÷": "divided by", "±": "plus or minus"},
    **{"≈": "approximately", "≤": "less than or equal to", "≥": "greater than or equal to"},
    **{"§": "section", "°": "degrees", "$": "dollars", "£": "pounds", "€": "euros", "¥": "yen", "₹": "rupees"},
    **{"¢": "cents"},
    **{"²": "squared", "³": "cubed", "√": "square root of", "∞": "infinity", "×": "times", "→": ",", "|": ","},
    **GREEK,
}
SYMBOLS = "".join(map(re.escape, SYMBOL_NAMES))

# Blank lines, list items and Markdown headings separate paragraphs.
PARAGRAPH = re.compile(r"\n\s*\n\s*|\n\s*(?=[-*•–]\s|#{1,6}\s)")
BULLET = re.compile(r"^(?:[-*•–]|#{1,6})\s+")
MARKS: tuple[Rule, ...] = (
    rule(r"</?[A-Za-z][^<>]{0,100}>", " "),  # markup
    rule(r"(?<=C)\+\+", " plus plus"),
    rule(r"\s[xX](?=\s\d)", " times"),
    rule(r"~\s?(?=\d)", "about "),
    rule(r"(?<![<>])<\s(?=\S)|<(?=\d)", " less than "),
    rule(r"(?<![<>-])>\s(?=\S)|>(?=\d)", " greater than "),
)
SYMBOL_WORDS: tuple[Rule, ...] = (
    rule(rf"[{SYMBOLS}]", lambda match: f" {SYMBOL_NAMES[match[0]]} "),
    rule(r"(?<=[a-z])\.(?=[a-z])", " dot "),  # main.py
    rule(r"-{2,}|\s[-–]+\s|–", ", "),
    rule(r"[()\[\]{}]+", ", "),
    rule(r"(?<!\.)\.{2,}(?=\s[a-z])", ","),
)
TIDY: tuple[Rule, ...] = (
    rule(r"[^A-Za-z' ,.?!;:]", " "),
    rule(r"\s+", " "),
    rule(r"\s*([,.?!;:])(?:\s*[,.?!;:])*", lambda match: _strongest(match[0])),
    rule(r"^[\s,.?!;:]+", ""),
    rule(r"(?<![\w'])'+(?!\w)|'{2,}", ""),
    rule(r"\s+", " "),
)
STEPS = (
    *(letters.WEB, letters.CAPITALS, letters.ABBREVIATIONS, MARKS),
    *(quantities.RULES, letters.ACRONYMS, SYMBOL_WORDS, TIDY),
)


def _strongest(marks: str) -> str:
    """Return the strongest mark of a sequence of punctuation marks."""
    return next(mark for mark in "?!.:;," if mark in marks) + " "


def simplify(text: str) -> str:
    """Return the text with ASCII characters and known symbols only: no accents, emoji and control characters."""
    text = unicodedata.normalize("NFKC", text.translate(REPLACEMENTS)).translate(REPLACEMENTS).translate(PROTECTED)
    kept = []
    for char in unicodedata.normalize("NFD", text):
        if (char.isascii() and char.isprintable()) or char in SYMBOL_NAMES or char in "–•²³":
            kept.append(char)
        elif char.isspace():
            kept.append("\n" if char == "\n" else " ")
        elif char.isdecimal():
            kept.append(str(unicodedata.decimal(char)))
        elif unicodedata.category(char)[0] not in "CM":  # emoji and letters of other scripts separate words
            kept.append(" ")
    return "".join(kept)


def normalize(text: str) -> str:
    """Return the spoken words of a written text, with the punctuation , . ? ! ; : between them.

    Raises EmptyText for a text without words.
    """
    text = simplify(text.replace("\r\n", "\n").replace("\r", "\n"))
    paragraphs = [_paragraph(" ".join(part.split())) for part in PARAGRAPH.split(text)]
    spoken = [part for part in paragraphs if any(char.isalpha() for char in part)]
    if not spoken:
        raise EmptyText
    ended = (part if part[-1] in ".?!:;," else f"{part}." for part in spoken[:-1])
    return " ".join([*ended, spoken[-1]])


def check_words(text: str) -> None:
    """Raise EmptyText for a text that has no words for any front end."""
    if not any(char.isalnum() for char in text):
        normalize(text)  # also accepts symbols that are read as words


def _paragraph(text: str) -> str:
    text = BULLET.sub("", text)
    if text.isupper():
        text = letters.lower_capitals(text)
    for rules in STEPS:
        for pattern, replacement in rules:
            text = pattern.sub(replacement, text)
    return text.strip()
