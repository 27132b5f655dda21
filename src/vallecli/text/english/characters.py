"""Unicode to the ASCII characters and symbols that the rules know; rules for symbols and marks that are left."""

from __future__ import annotations

import re
import unicodedata

from vallecli.text.english.rules import Match, Rule

# Letters that Unicode does not decompose into an ASCII letter and an accent, and marks with an ASCII equivalent.
REPLACEMENTS = str.maketrans(
    {
        **{"ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "Oe", "ł": "l", "Ł": "L", "đ": "d"},
        **{"Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i"},
        **dict.fromkeys("‘’‛ʼ´`′", "'"),
        **dict.fromkeys("“”„‟«»″", '"'),
        **dict.fromkeys("‐‑‒−⁃﹣－", "-"),
        **dict.fromkeys("—―", " -- "),
        **dict.fromkeys("™®©℠†‡¶", ""),
        **{"½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "⅛": " 1/8", "⅜": " 3/8", "⅝": " 5/8"},
        **{"⅞": " 7/8", "⅕": " 1/5", "⅖": " 2/5", "⅗": " 3/5", "⅘": " 4/5", "⅙": " 1/6", "⅚": " 5/6"},
        **{"⁄": "/", "№": "No. ", "…": "...", "\u2028": "\n", "\u2029": "\n\n", "\x85": "\n"},
        **{"↔": " to ", "⇒": "→", "➔": "→", "➜": "→", "≦": "≤", "≧": "≥", "≅": "≈", "≠": "!=", "✕": "×", "✖": "×"},
        # protected from NFKC, which converts ² and ³ to digits
        **{"µ": "\ue001", "μ": "\ue001", "²": "\ue002", "³": "\ue003"},
    }
)
PROTECTED = str.maketrans({"\ue001": "µ", "\ue002": "²", "\ue003": "³"})
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
SUPERSCRIPT_DIGITS = str.maketrans(SUPERSCRIPTS + "⁻⁺", "0123456789-+")
POWER = re.compile(rf"(?<=[\w)])[⁻⁺]?[{SUPERSCRIPTS}]+")
BETWEEN_DIGITS = (
    (re.compile(r"(?<=\d)\s?[—―]\s?(?=[$£€¥]?\d)"), "–"),  # 3—5 is a range
    (re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))"), ","),  # 10 000 with a fixed space
)

GREEK = {
    **{"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta"},
    **{"κ": "kappa", "λ": "lambda", "µ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau"},
    **{"φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "gamma", "Δ": "delta", "Θ": "theta", "Λ": "lambda"},
    **{"Π": "pi", "Σ": "sigma", "Φ": "phi", "Ψ": "psi", "Ω": "omega"},
}
CURRENCY_SIGNS = {  # read on their own; with an amount, see money.py
    **{"$": "dollars", "£": "pounds", "€": "euros", "¥": "yen", "₹": "rupees", "¢": "cents", "₩": "won"},
    **{"₽": "rubles", "₺": "lira", "₫": "dong", "฿": "baht", "₪": "shekels", "₱": "pesos", "₦": "naira"},
    **{"₴": "hryvnias", "₿": "bitcoins", "₡": "colones", "₵": "cedis", "₸": "tenge", "₲": "guaranis"},
}
NAMES = {
    **{"&": "and", "@": "at", "+": "plus", "=": "equals", "%": "percent", "÷": "divided by", "±": "plus or minus"},
    **{"‰": "per mille", "§": "section", "°": "degrees", "²": "squared", "³": "cubed", "√": "square root of"},
    **{"∞": "infinity", "×": "times", "·": ",", "→": ",", "←": ",", "|": ",", "≈": "approximately"},
    **{"≤": "is less than or equal to", "≥": "is greater than or equal to"},
    **CURRENCY_SIGNS,
    **GREEK,
}
KEPT = frozenset(NAMES) | frozenset("–•")


def simplify(text: str) -> str:
    """Return the text with ASCII characters and known symbols only: no accents, emoji and control characters."""
    if not text.isascii():
        for pattern, replacement in BETWEEN_DIGITS:
            text = pattern.sub(replacement, text)
        text = POWER.sub(_power, text)
        text = unicodedata.normalize("NFKC", text.translate(REPLACEMENTS)).translate(REPLACEMENTS).translate(PROTECTED)
        text = unicodedata.normalize("NFD", text)
    elif text.isprintable() and "`" not in text:
        return text
    kept = []
    for char in text:
        if char == "`":
            kept.append("'")
        elif (char.isascii() and char.isprintable()) or char in KEPT:
            kept.append(char)
        elif char.isspace():
            kept.append("\n" if char == "\n" else " ")
        elif char.isdecimal():
            kept.append(str(unicodedata.decimal(char)))
        elif unicodedata.category(char)[0] not in "CM":  # emoji and letters of other scripts separate words
            kept.append(" ")
    return "".join(kept)


def _power(match: Match) -> str:
    """Return an exponent as "^6"; a single ² or ³ stays, which units use."""
    return match[0] if match[0] in ("²", "³") else f"^{match[0].translate(SUPERSCRIPT_DIGITS)}"


RULES: tuple[Rule, ...] = (
    Rule(
        "/",
        r"/",
        " slash ",
        {"upgrade / update": "upgrade slash update", "he/they": "he slash they"},
        after=r"\w\s?",
    ),
    Rule("-–", r"-{2,}|–", ", ", {"so -- yes": "so, yes", "well–known": "well, known"}),
    Rule("-–", r"[-–]+\s", ", ", {"so - yes": "so, yes"}, after=r"(?:^|\s)"),
    Rule("()[]{}", r"[()\[\]{}]+", ", ", {"well-known (old) twenty-one": "well known, old, twenty one"}),
    Rule(".", r"\.(?=[a-z])", " dot ", {"a.b": "a dot b"}, after=r"[a-z]"),
    Rule(".", r"(?<!\.)\.{2,}(?=\s[a-z])", ",", {"well... maybe": "well, maybe"}),
    Rule(
        NAMES,
        ".",
        lambda match: f" {NAMES[match[0]]} ",
        {
            "salt & pepper": "salt and pepper",
            "x + y = z": "x plus y equals z",
            "α and Ω": "alpha and omega",
            "a ≠ b": "ay is not equal to b",
            "50 ± 2": "fifty plus or minus two",
            "5 ÷ 2 ≈ 2.5": "five divided by two approximately two point five",
            "a → b": "ay, b",
            "pay in € or ₩": "pay in euros or won",
        },
    ),
)
