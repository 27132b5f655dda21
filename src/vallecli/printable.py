"""Text of files and servers made safe to print: no control characters, and no credentials in URLs."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit

# Unicode categories: control, format (such as reversed text), surrogate, private, unassigned, line and paragraph.
INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
HIDDEN = "***"

_USER = re.compile(r"(?<=://)[^/?#\s]*@")
_QUERY = re.compile(r"(://[^\s?#]*)[?#][^\s'\"]+")


def printable(text: str, *, keep: str = "") -> str:
    """Return a text in which control and invisible characters are escaped as in Python, except those in `keep`.

    A terminal would obey some of them: they move the cursor, change its title, or reverse the order of letters.
    """
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in INVISIBLE and char not in keep
        else char
        for char in text
    )


def mask_credentials(text: str) -> str:
    """Return a text without user names, passwords and queries in its URLs: a query may have a token."""
    return _QUERY.sub(rf"\1?{HIDDEN}", _USER.sub(f"{HIDDEN}@", text))


def public_url(url: str) -> str:
    """Return a URL for messages: without credentials, and printable. Only scheme, host, port and path are kept."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")
    except ValueError:
        return mask_credentials(printable(url))
    place = f"{parts.scheme}://{HIDDEN + '@' if host[1] else ''}{host[2]}{parts.path}"
    return printable(f"{place}?{HIDDEN}" if parts.query else place)
