"""Pronunciation lexicons: notations, refused files, what is matched, and each front end that uses one."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from vallecli.errors import EmptyText, InputError, TextEncodingError
from vallecli.text import phones
from vallecli.text.amphion_v2 import AmphionV2FrontEnd
from vallecli.text.arpabet import ArpabetFrontEnd
from vallecli.text.base import FrontEnd
from vallecli.text.english.cmudict import pronunciations
from vallecli.text.lexicon import Lexicon, read_lexicon
from vallecli.text.phones import Pronunciation
from vallecli.text.reader import TextReader
from vallecli.text.vallex import VallexFrontEnd


def lexicon(*lines: str) -> Lexicon:
    """Return a lexicon of lines with two spaces in place of the tab."""
    path = Path("lexicon.txt")
    path.write_text("".join(f"{line.replace('  ', chr(9))}\n" for line in lines), encoding="utf-8")
    return read_lexicon(path)


def read(text: str, *lines: str, front_end: FrontEnd | None = None) -> list[str]:
    """Return the phonemes of each sentence."""
    front_end = front_end or ArpabetFrontEnd()
    return [front_end.spell(reading.tokens) for reading in TextReader(front_end, 100, lexicon(*lines)).read(text)]


# Notations


@pytest.mark.parametrize(
    ("written", "arpabet", "ipa"),
    [
        ("HH AH0 L OW1", "HH AH0 L OW1", "həˈloʊ"),
        ("hh ah0 l ow1", "HH AH0 L OW1", "həˈloʊ"),
        ("HH AH L OW", "HH AH0 L OW1", "həˈloʊ"),
        ("N UW1 | Y AO1 R K", "N UW1 | Y AO1 R K", "ˈnuː ˈjoːɹk"),
        ("K AH0 M P Y UW1 T ER0", "K AH0 M P Y UW1 T ER0", "kəmˈpjuːtɚ"),
        ("F OW1 T AH0 G R AE2 F", "F OW1 T AH0 G R AE2 F", "ˈfoʊtəˌɡɹæf"),
        ("/həˈloʊ/", "HH AH0 L OW1", "həˈloʊ"),
        ("[həˈləʊ]", "HH AH0 L OW1", "həˈləʊ"),
        ("/hə'lo:/", "HH AH0 L OW1", "həˈloː"),
        ("/həlˈoʊ/", "HH AH0 L OW1", "həlˈoʊ"),  # as espeak-ng places the stress
        ("/ˈt͡ʃɝt͡ʃ/", "CH ER1 CH", "ˈtʃɝtʃ"),
        ("/kæt/", "K AE1 T", "kæt"),
        ("/ðə/", "DH AH0", "ðə"),
        ("/ˈbʌtn̩/", "B AH1 T AH0 N", "ˈbʌtn̩"),
        ("/ˈnjuː ˈjɔːɹk/", "N Y UW1 | Y AO1 R K", "ˈnjuː ˈjɔːɹk"),
    ],
)
def test_arpabet_and_ipa_are_converted_to_each_other(written: str, arpabet: str, ipa: str) -> None:
    pronunciation = phones.parse(written)
    assert pronunciation is not None
    assert " | ".join(" ".join(word) for word in pronunciation.arpabet()) == arpabet
    assert " ".join(pronunciation.ipa()) == ipa


@pytest.mark.parametrize("written", ["vall-ee", "vee ay ell", "A B C", "O'Brien", "shi vawn"])
def test_everything_else_in_letters_is_a_respelling(written: str) -> None:
    assert phones.parse(written) is None


def test_ipa_of_the_dictionary_is_converted_back() -> None:
    words = pronunciations().lines[::25]
    different = 0
    for line in words:
        _, *symbols = line.split()
        ipa = Pronunciation("arpabet", (tuple(symbols),)).ipa()[0]
        different += Pronunciation("ipa", ((ipa,),)).arpabet()[0] != symbols
    assert len(words) > 4000
    assert different / len(words) < 0.01  # for example, words without a primary stress get one


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("VALL-E  HH AH0 LX OW1", "'LX' is no symbol of ARPAbet"),
        ("VALL-E  K1 AE1 T", "'K1' is no symbol of ARPAbet"),
        ("VALL-E  /hə1lo/", "'1' is no symbol of IPA"),
        ("VALL-E  /həLo/", "'L' is no symbol of IPA"),
        ("VALL-E  /ˈ/", "has no sound"),
        ("VALL-E  //", "it is empty"),
        ("VALL-E  HH AH0 | | L OW1", "an empty word"),
        ("VALL-E  həˈloʊ", "IPA, which is written between slashes"),
        ("VALL-E  vall33", "'3' is neither a letter nor a symbol of ARPAbet"),
        ("VALL-E  --", "it has no letters"),
        ("VALL-E  ", "it has no pronunciation"),
        ("  vall-ee", "it has no word"),
        ("...  dots", "it has no word"),
        ("VALL-E vall-ee", "0 tabs instead of one"),
        ("VALL-E  vall-ee  a name", "2 tabs instead of one"),
        ("first  again", "'first' is already in line 2"),
    ],
)
def test_an_invalid_line_is_refused_with_file_and_line(line: str, problem: str) -> None:
    with pytest.raises(InputError, match=re.escape(problem)) as caught:
        lexicon("# a comment", "first  vurst", "", line)
    assert caught.value.message.startswith("lexicon.txt, line 4: ")
    assert caught.value.exit_code == 3


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_lexicon("none.txt")
    with pytest.raises(InputError, match="there is no such file"):
        read_lexicon(tmp_path)
    Path("latin1.txt").write_bytes("café\tkafay".encode("latin-1"))
    with pytest.raises(TextEncodingError, match=r"latin1\.txt"):
        read_lexicon("latin1.txt")


def test_comments_blank_lines_and_line_ends_of_any_system_are_skipped() -> None:
    Path("a.txt").write_bytes("\ufeff# names\r\n\r\n  # more\r\nC#\tsee sharp\r\nVALL-E\tvall-ee".encode())
    entries = read_lexicon("a.txt").entries
    assert [(entry.written, entry.respelling, entry.line) for entry in entries] == [
        ("C#", "see sharp", 4),
        ("VALL-E", "vall-ee", 5),
    ]


# What is matched

NAME = "V AE1 L IY0"


@pytest.mark.parametrize(
    ("entry", "text", "expected"),
    [
        ("Valley", "In Valley, now.", "In #, now."),
        ("Valley", "In valley and VALLEY.", "In valley and VALLEY."),  # only that case
        ("valley", "In Valley and VALLEY.", "In # and #."),  # any case
        ("ana", "Banana, ana-ana, ana_, ana2.", "Banana, #-#, ana_, ana2."),
        ("t", "don't, t", "don't, #"),
        ("don", "don't, don", "don't, #"),
        ("rock'n'roll", "Rock’n’roll", "#"),
        ("New York", "New\n York. New York’s New Yorkers", "#. # New Yorkers"),
        ("GPU", "GPUs, GPU's, gpus", "#, #, gpus"),
        ("news", "news, new", "#, new"),
        ("new", "news, new", "news, #"),  # a word in lower case has no plural here
        ("C#", "C#, C", "#, C"),
        (".NET", ".NET, NET", "#, NET"),
        ("café", "cafe\u0301 café", "# #"),
        ("苹果", "我喜欢苹果和水", "我喜欢#和水"),
    ],
)
def test_entries_match_whole_words(entry: str, text: str, expected: str) -> None:
    marked = lexicon(f"{entry}  {NAME}").mark(text)
    assert re.sub("qx(?:z[aeiou])+", "#", marked.text, flags=re.IGNORECASE) == expected
    assert marked.unmark(marked.text) == " ".join(text.replace("e\u0301", "é").split())


def test_the_longest_entry_matches() -> None:
    lines = ["York  Y AO1 K", "New York  N UW1", "New York City  S IH1", "new  N Y UW1"]
    marked = lexicon(*lines).mark("New York City, New York, York, new Haven, New Yorkshire")
    words = [(marked.written[name], pron.arpabet()[0]) for name, pron in marked.pronunciations.items()]
    assert words == [
        ("New York City", ["S", "IH1"]),
        ("New York", ["N", "UW1"]),
        ("York", ["Y", "AO1", "K"]),
        ("new", ["N", "Y", "UW1"]),
        ("New", ["N", "Y", "UW1"]),
    ]


def test_an_entry_with_capitals_is_preferred() -> None:
    lines = ["reading  R IY1 D IH0 NG", "Reading  R EH1 D IH0 NG"]
    assert read("Reading is reading.", *lines) == ["R EH1 D IH0 NG | IH1 Z | R IY1 D IH0 NG ."]


@pytest.mark.parametrize(
    ("pronunciation", "expected"),
    [("K AE1 T", "K AE1 T S"), ("D AO1 G", "D AO1 G Z"), ("/fɪʃ/", "F IH1 SH IH0 Z"), ("/biː/", "B IY1 Z")],
)
def test_plural_and_possessive_end_in_the_sound_of_s(pronunciation: str, expected: str) -> None:
    assert read("Zorb's Zorbs", f"Zorb  {pronunciation}") == [f"{expected} | {expected} ."]


def test_names_that_look_like_placeholders_are_left_alone() -> None:
    marked = lexicon(f"Valley  {NAME}").mark("Qxza and Valley")
    assert marked.text.startswith("Qxza and Qxx")
    assert marked.unmark(marked.text) == "Qxza and Valley"


def test_ten_thousand_entries_match_as_one_does() -> None:
    many = [f"the word{index}  {NAME}" for index in range(10_000)]
    marked = lexicon(*many, "the end  DH IY0").mark("the word7, the word9999, the end, the word10000")
    assert list(marked.written.values()) == ["the word7", "the word9999", "the end"]


def test_a_lexicon_can_be_sent_to_other_processes() -> None:
    copy = pickle.loads(pickle.dumps(lexicon(f"Valley  {NAME}")))
    assert copy.mark("Valley").written == {"qxzaza": "Valley"}


# Front ends

LINES = ("VALL-E  V AE1 L | IY1", "nginx  /ˈɛndʒɪn/", "Siobhan  she van")
TEXT = "VALL-E costs $5, said Siobhan; Nginx's code."


def test_arpabet() -> None:
    assert read(TEXT, *LINES) == [
        "V AE1 L | IY1 | K AA1 S T S | F AY1 V | D AA1 L ER0 Z , | S EH1 D | SH IY1 | V AE1 N , | "
        "EH1 N JH IH0 N Z | K OW1 D ."
    ]


def test_the_text_and_the_spoken_words_are_as_written() -> None:
    [reading] = TextReader(ArpabetFrontEnd(), 100, lexicon(*LINES)).read(TEXT)
    assert reading.text == reading.spoken == "VALL-E costs five dollars, said She van; Nginx's code."


@pytest.mark.parametrize("front_end", [ArpabetFrontEnd(), AmphionV2FrontEnd()], ids=lambda front_end: front_end.name)
def test_other_words_are_the_same_without_a_lexicon(front_end: Any) -> None:
    text = "Dr. Smith has lead in St. Louis; I read it. The U.S. GDP rose 5%."
    plain = [front_end.spell(reading.tokens) for reading in TextReader(front_end, 100).read(text)]
    assert read(text, *LINES, front_end=front_end) == plain


def test_amphion_v2_marks_places_within_each_word() -> None:
    front_end = AmphionV2FrontEnd()
    [reading] = TextReader(front_end, 100, lexicon(*LINES)).read("VALL-E!")
    assert reading.tokens == front_end.encode("val e", pronunciations={"val": phones.parse("V AE1 L")})  # type: ignore[dict-item]
    assert front_end.spell(reading.tokens) == "V AE1 L | IY1"


def test_vallex() -> None:
    pytest.importorskip("eng_to_ipa")
    assert read('"VALL-E," said Nginx.', *LINES, front_end=VallexFrontEnd()) == ["\ufffdvæɫ i,\ufffd sɛd ˈɛndʒɪn."]
    assert read("Hello.", "hello  HH AH0 L OW1", front_end=VallexFrontEnd()) == ["həˈloʊ."]


def test_vallex_in_chinese_and_in_tagged_text() -> None:
    pytest.importorskip("jieba")
    pytest.importorskip("eng_to_ipa")
    lines = ("VALL-E  V AE1 L | IY1", "苹果  /ˈæpəl/", "en  /ɛn/")
    [plain] = read("我喜欢和水。", *lines, front_end=VallexFrontEnd())
    [given] = read("我喜欢苹果和水。", *lines, front_end=VallexFrontEnd())
    assert given.replace(" ˈæpəɫ", "") == plain
    tagged = "[EN]I like VALL-E.[EN][ZH]我喜欢苹果和水。[ZH]"
    spelled = "".join(read(tagged, *lines, front_end=VallexFrontEnd()))
    assert spelled.startswith("aɪ laɪk væɫ i.wo")
    assert spelled.endswith(given.partition(" ")[2])


@pytest.mark.espeak
def test_espeak_uses_the_symbols_of_the_checkpoint() -> None:
    from vallecli.text.espeak import EspeakFrontEnd

    symbols = ["<pad>", "<bos>", "<eos>", *'",.;_bdhiklmnpstvzæðɐəɛɪɹʃʌ', "aɪ", "oʊ", "iː", "ɑː", "dʒ", "uː", "ɔː"]
    front_end = EspeakFrontEnd(symbols)
    [spelled] = read('Said "VALL-E", Nginx’s Siobhan.', *LINES, front_end=front_end)
    assert spelled == 'sɛd "væl iː", ɛndʒɪnz ʃiː væn.'
    assert read("Hello.", "hello  HH AH0 L OW1", front_end=front_end) == read("Hello.", front_end=front_end)
    [less] = read("law", "law  L AO1", front_end=EspeakFrontEnd([*symbols[:-1], "ɔ"]))
    assert less == "lɔ"
    with pytest.raises(InputError, match=r"lexicon.txt, line 2: 'thing' cannot be pronounced: .* symbol for 'θ'"):
        read("A thing.", "a  ah", "thing  TH IH1 NG", front_end=front_end)


@pytest.mark.espeak
def test_ecker_has_the_stress_before_the_vowel() -> None:
    pytest.importorskip("phonemizer")
    tokenizers = pytest.importorskip("tokenizers")
    from vallecli.text.ecker import EckerFrontEnd

    letters = " abdefhijklmnopstuvwzæðŋɐɑɔəɚɛɜɡɪɹʃʊʌʒˈˌː.,!?"
    vocabulary = {"<unk>": 0, "<bos>": 1, "</eos>": 2, **{letter: 3 + i for i, letter in enumerate(letters)}}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [], unk_token="<unk>"))
    front_end = EckerFrontEnd(tokenizer.to_str(), "tokenizer.json", languages=("en",), ids=99, symbols={})
    assert read("Hello, world!", "hello  HH AH0 L OW1", front_end=front_end) == read(
        "Hello, world!", front_end=front_end
    )
    assert read("Nginx, VALL-E.", *LINES, front_end=front_end) == ["ˈɛndʒɪn, vˈæl ˈiː."]
    with pytest.raises(InputError, match="line 1: 'thing' cannot be pronounced: the tokenizer has no symbol for 'θ'"):
        read("A thing.", "thing  TH IH1 NG", front_end=front_end)


def test_a_sound_that_arpabet_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="line 2: 'loch' cannot be pronounced: ARPAbet has no symbol for 'x'"):
        read("A loch.", "a  ah", "loch  /lɒx/")


def test_the_transcript_of_the_prompt_is_read_by_the_lexicon_too() -> None:
    front_end = ArpabetFrontEnd()
    reader = TextReader(front_end, 100, lexicon(*LINES))
    [reading] = reader.read("VALL-E.", prompt_words="I am VALL-E.")
    assert front_end.spell(reading.tokens) == "V AE1 L | IY1 ."
    whole = front_end.spell(reading.tokens.__class__(ids=reading.tokens.ids))
    assert whole == "AY1 | AE1 M | V AE1 L | IY1 . | V AE1 L | IY1 ."


def test_text_of_one_entry_has_words() -> None:
    assert read("VALL-E", *LINES) == ["V AE1 L | IY1 ."]
    with pytest.raises(EmptyText):
        read("...", *LINES)
