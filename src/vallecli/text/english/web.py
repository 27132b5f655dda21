"""Rules for web addresses, e-mail addresses, handles, file names and paths."""

from __future__ import annotations

import re

from vallecli.text.english.cmudict import pronunciations
from vallecli.text.english.letters import acronym, camel, spell
from vallecli.text.english.numbers import digits
from vallecli.text.english.rules import ADDRESS, Match, Rule, any_of

MARKS = {
    **{".": "dot", "/": "slash", "@": "at", "-": "dash", "_": "underscore", ":": "colon", "&": "ampersand"},
    **{"+": "plus", "~": "tilde", "\\": "backslash", "%": "percent", "=": "equals", "*": "star", "$": "dollar"},
}
SPELLED = frozenset(
    (
        *("http", "https", "www", "ftp", "ssh", "html", "htm", "css", "php", "pdf", "png", "jpg", "gif", "svg", "csv"),
        *("tsv", "xml", "sql", "txt", "mp"),
    )
)
WORDS = ("co", "me", "so")  # of two letters, read as words
TOP_LEVEL = (
    *("com", "org", "net", "edu", "gov", "mil", "int", "info", "biz", "name", "io", "dev", "ai", "app", "co", "uk"),
    *("us",),
    *("de", "eu", "fr", "ca", "tv", "it", "es", "nl", "be", "ch", "at", "au", "nz", "jp", "cn", "in", "ru", "br", "mx"),
    *("se", "no", "dk", "fi", "pl", "cz", "pt", "gr", "ie", "kr", "za", "me", "sm", "ly", "fm", "gg", "xyz", "site"),
    *("online", "shop", "store", "blog", "tech", "cloud", "live", "news", "wiki", "page", "link", "club", "pro"),
)
WORD_LIKE = (
    "it",
    "at",
    "in",
    "be",
    "no",
    "me",
    "us",
    "so",
    "name",
    "live",
    "news",
    "page",
    "link",
    "store",
    "shop",
    "club",
    "site",
    "pro",
)
EXTENSIONS = (
    *("py", "js", "ts", "cpp", "hpp", "rs", "go", "java", "rb", "php", "sh", "bat", "ps1", "html", "htm", "css"),
    *("json", "yaml", "yml", "toml", "xml", "csv", "tsv", "sql", "md", "rst", "txt", "tex", "log", "ini", "cfg"),
    *("conf",),
    *("pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "rtf", "epub", "zip", "gz", "tar", "rar", "7z", "exe"),
    *("dll", "so", "iso", "img", "png", "jpg", "jpeg", "gif", "svg", "webp", "bmp", "ico", "mp3", "mp4", "wav", "flac"),
    *("ogg", "m4a", "avi", "mov", "mkv", "webm", "ipynb", "lock", "env", "bak", "tmp", "onnx", "pt", "safetensors"),
)
HOST = r"(?:[A-Za-z0-9-]{1,63}\.){1,8}"
NAMES = {"etc": "et cetera", "vs": "versus", "aka": "a k a"}
PART = re.compile(r"[A-Za-z]+|\d+|[^A-Za-z\d]")


def _word(text: str) -> str:
    """Return letters of an address as a word, or by name if they are no word."""
    lower = text.lower()
    if len(text) == 1:
        return spell(text)
    if text.isupper():
        return acronym(text)
    if lower in SPELLED or (len(text) == 2 and lower not in WORDS and lower not in pronunciations()):
        return spell(text)
    if not re.search("[aeiouy]", lower):
        return spell(text)
    return NAMES.get(lower) or (text if text.islower() or text.istitle() else camel(text))


def address(text: str) -> str:
    """Return how an address or a path is read: "example dot com slash one two"."""
    spoken = []
    for part in PART.findall(text):
        if part.isdecimal():
            spoken.append(digits(part))
        elif part[0].isalpha():
            spoken.append(_word(part))
        else:
            spoken.append(MARKS.get(part, " "))
    return " ".join(spoken)


def _top_level(spoken: str, written: str) -> str:
    """Return a spoken address whose country code is spelled: "dot u k"."""
    last = re.search(r"\.([A-Za-z]{2})$", written)
    if not last or last[1].lower() in WORDS:
        return spoken
    return re.sub(rf"{re.escape(_word(last[1]))}$", spell(last[1]), spoken)


def _url(match: Match) -> str:
    written = match[0].rstrip("./,;:!?'")
    end = match[0].removeprefix(written).replace("/", "").replace("'", "")
    host, slash, path = re.split(r"[?#]", written)[0].rstrip("/").partition("://")
    host, slash, path = (host, "", "") if not slash else (host, "://", path)
    if slash:
        site, _, rest = path.partition("/")
        tail = f" slash {address(rest)}" if rest else ""
        body = f"{_top_level(address(site), site)}{tail}" if site else tail.strip()
        return f"{_word(host)} colon slash slash {body}{end}"
    site, _, rest = host.partition("/")
    return _top_level(address(site), site) + (f" slash {address(rest)}" if rest else "") + end


def _email(match: Match) -> str:
    return _top_level(address(match[0]), match[0])


def _path(match: Match) -> str:
    written = match[0].rstrip(".,;:!?'")
    folder, dot, extension = written.rpartition(".")
    spoken = f"{address(folder)} dot {_letters(extension)}" if dot and extension in EXTENSIONS else address(written)
    return spoken + match[0].removeprefix(written).replace("'", "")


def _file(match: Match) -> str:
    *stem, extension = match[0].split(".")
    known = extension.lower() in pronunciations() or extension in ("py", "js", "ts", "md", "json", "toml", "yaml")
    ends = {"py": "py", "json": "Jason", "yaml": "Yammel", "jpeg": "jay peg", "js": "j s", "ts": "t s", "md": "m d"}
    last = ends.get(extension) or (address(extension) if known and len(extension) > 3 else _letters(extension))
    return f"{address('.'.join(stem))} dot {last}"


def _letters(extension: str) -> str:
    return " ".join(digits(part) if part.isdecimal() else spell(part) for part in re.findall(r"[a-z]+|\d+", extension))


RULES: tuple[Rule, ...] = (
    Rule(
        ADDRESS,
        r"(?:[a-z][a-z0-9+]{1,9}://|www\.)[^\s<>\"]{1,2000}",
        _url,
        {
            "https://a.org/news?page=2, now": "h t t p s colon slash slash ay dot org slash news, now",
            "http://www.a.org": "h t t p colon slash slash w w w dot ay dot org",
            "see www.example.co.uk.": "see w w w dot example dot co dot u k.",
            "file:///c/code/x.html": "file colon slash slash slash c slash code slash x dot h t m l",
        },
    ),
    Rule(
        ADDRESS,
        r"[\w.+&-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}(?:/[\w./%~+-]{0,500}\w)?",
        _email,
        {
            "jo.doe@example.co.uk": "jo dot doe at example dot co dot u k",
            "a1b2@abc.com": "ay one b two at abc dot com",
            "a-1.b3_c&-d@i-l.com": "ay dash one dot b three underscore c ampersand dash d at i dash l dot com",
        },
    ),
    Rule(
        ADDRESS,
        rf"{HOST}{any_of(set(TOP_LEVEL) - set(WORD_LIKE))}\b"
        rf"(?![.@-]?\w)(?::\d{{2,5}})?(?:/[\w./%~+-]{{0,500}})?"
        rf"|{HOST}{any_of(WORD_LIKE)}/[\w./%~+-]{{0,500}}",
        _url,
        {
            "visit example.com.": "visit example dot com.",
            "ourdailynews.com/12-sm": "ourdailynews dot com slash one two dash s m",
            "test2.uk": "test two dot u k",
        },
    ),
    Rule(
        "@",
        r"@(?P<name>[A-Za-z_][\w.]{0,50}(?<![.]))",
        lambda match: f"at {address(match['name'])}",
        {"thanks @jo_doe1!": "thanks at jo underscore doe one!"},
        after=r"(?:^|[\s(])",
    ),
    Rule(
        ADDRESS,
        rf"[\w-]{{1,80}}(?:\.[\w-]{{1,40}}){{0,4}}\.(?:{any_of(EXTENSIONS)}|(?<=\w\w\.)[ch])\b(?![.@-]?\w|/)",
        _file,
        {
            "run main.py": "run main dot py",
            "report_final_v2.pdf": "report underscore final underscore v two dot p d f",
            "song.mp3": "song dot m p three",
        },
    ),
    Rule(
        ADDRESS,
        r"(?:~|\.{1,2})?/[\w.~+-]{1,80}(?:/[\w.~+-]{1,80}){1,30}/?|[A-Z]:[\\/][\w.~+\\/-]{0,300}|~/[\w./+-]{1,300}",
        _path,
        {
            "in /usr/local/bin": "in slash usr slash local slash bin",
            r"C:\Users\me": "C colon backslash Users backslash me",
            "edit ~/.bashrc": "edit tilde slash dot bashrc",
        },
    ),
)
