"""Texts for the front end of VALL-E X, whose phonemes and ids are frozen in vallex_golden.json.

    python tests/text/vallex_golden.py    # write the file again

Do that only while check_text_published.py passes: the vectors were frozen then, and replace the published ones.
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from vallecli.text.base import MIX
from vallecli.text.vallex import LANGUAGES, VallexFrontEnd

VECTORS = Path(__file__).with_suffix(".json")
NAMES = {row: name for name, row in LANGUAGES.items()}
TEXTS = (
    "[EN]Good morning, everyone. Um, well, I was reading... But the train is late again![EN]",
    "[EN]Prof. Lee and Dr. Hall owe me $4.75 since 1987, not since 2003 or 2200.[EN]",
    "[EN]We sold 2,345,678 apples on the 3rd day; 0.5 of them were red.[EN]",
    '[EN]Mrs. Kim\'s naïve plan - "too bold" (she said) - cost £30.[EN]',
    "[EN]A brand-new qwrtz is a little full.[EN]",
    "_[EN]An underscore before the tag is dropped[EN]",
    "[ZH]今天天气很好。 我们去公园散步，好吗？[ZH]",
    "[ZH]他买了2.5公斤苹果和100本书！[ZH]",
    "[ZH]她问：“银行几点开门？”我不知道；谢谢[ZH]",
    "[ZH]长大以后，我要用XYZ写诗…是吗——是的[ZH]",
    "[JA]東京の天気はとても良いです。 明日、友達と公園へ行きましょう。[JA]",
    "[JA]切手を100枚ください、お願いします！[JA]",
    "[EN]I like[EN] this is dropped [ZH]苹果[ZH][JA]りんご[JA]",
)


def compute(text: str) -> dict[str, Any]:
    """Return the phonemes, the ids, and the language of each run of ids with its length."""
    front_end = VallexFrontEnd()
    tokens = front_end.encode(text, language=MIX)
    runs = [[NAMES[row], len(list(run))] for row, run in groupby(tokens.languages or [])]
    return {"phonemes": front_end.phonemes(text, language=MIX), "ids": tokens.ids, "lang_runs": runs}


def main() -> None:
    """Write vallex_golden.json, one line per text."""
    cases = ({"text": text, **compute(text)} for text in TEXTS)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    VECTORS.write_text(f'{{"cases":[\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
