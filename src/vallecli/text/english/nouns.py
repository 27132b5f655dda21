"""Is an amount before a noun an adjective ("a five dollar bill"), or a count ("five dollars more")?"""

from __future__ import annotations

import re

from vallecli.text.english.rules import Match

DETERMINER = re.compile(
    r"(?:^|[^\w'])(?:an?|the|this|that|each|every|another|his|her|its|my|your|our|their|first|new|of)\s\Z",
    re.IGNORECASE,
)
# Words after an amount that are no noun: "the $5 I lent", "a 5 km long road".
NO_NOUN = (
    *("a", "about", "above", "across", "after", "again", "against", "ago", "all", "almost", "alone", "along"),
    *("already",),
    *("also", "although", "always", "am", "among", "an", "and", "annually", "apart", "apiece", "are", "around", "as"),
    *("at", "away", "back", "be", "because", "been", "before", "behind", "below", "between", "beyond", "both", "but"),
    *("by", "came", "can", "come", "comes", "could", "daily", "deep", "did", "do", "does", "down", "downstream", "due"),
    *("during", "each", "early", "east", "either", "else", "even", "ever", "every", "extra", "far", "fast", "faster"),
    *("for", "from", "get", "gets", "go", "goes", "got", "had", "has", "have", "he", "heavier", "heavy", "her", "here"),
    *("high", "higher", "his", "hourly", "how", "i", "if", "in", "inside", "into", "is", "it", "its", "just", "last"),
    *("late", "later", "left", "less", "lighter", "like", "long", "longer", "lower", "made", "makes", "may", "might"),
    *("monthly", "more", "most", "much", "must", "my", "near", "never", "new", "next", "nor", "north", "not", "now"),
    *("of", "off", "old", "on", "once", "only", "onto", "or", "our", "out", "outside", "over", "paid", "past", "per"),
    *("plus", "put", "ran", "right", "round", "run", "runs", "said", "says", "shall", "she", "short", "shorter"),
    *("should", "since", "so", "some", "south", "still", "straight", "such", "tall", "taller", "than", "that", "the"),
    *("their", "them", "then", "there", "these", "they", "thick", "this", "those", "through", "to", "today"),
    *("together", "tomorrow", "tonight", "too", "total", "toward", "towards", "under", "until", "up", "upstream", "us"),
    *("versus", "via", "was", "we", "weekly", "weighs", "went", "were", "west", "what", "when", "where", "which"),
    *("while", "who", "why", "wide", "wider", "will", "with", "within", "without", "would", "yearly", "yesterday"),
    *("yet", "you", "your"),
)
FOLLOWING = re.compile(r" ([a-z]+)(?![\w'])")
HYPHENATED = re.compile(r"-[a-z]")
# Things that are sold by size: "5 lb. bag" even without an article.
CONTAINERS = "bag|box|sack|jar|bottle|pack|package|packet|tin|tub|barrel|keg|carton|crate|bar|block|roll|dumbbell"
CONTAINERS += "|battery|engine|motor|charger|adapter|bulb|disk|laptop|relay|race|dash|lens|hurdle|final"
CONTAINER = re.compile(rf" (?:{CONTAINERS})(?:e?s)?\b")


def has_noun(match: Match) -> bool:
    """Return whether a noun follows a match."""
    following = FOLLOWING.match(match.string, match.end())
    return following is not None and following[1] not in NO_NOUN and not following[1].endswith(("ly", "ing"))


def is_adjective(match: Match, *, of_size: bool = False) -> bool:
    """Return whether the amount that was matched modifies the noun after it, which makes its unit singular.

    With `of_size` that is also so before things that are sold by size.
    """
    text = match.string
    if HYPHENATED.match(text, match.end()) or (of_size and CONTAINER.match(text, match.end())):
        return True
    return has_noun(match) and DETERMINER.search(text, max(0, match.start() - 12), match.start()) is not None
