"""What nano is: the sizes of its two language models and its limits, as they go into config.json."""

from __future__ import annotations

from vallecli.formats.base import Limits
from vallecli.text.arpabet import ArpabetFrontEnd

MIN_PROMPT, MAX_PROMPT = 60, 300  # frames of a training prompt: 0.8 to 4 seconds
MODEL = {
    "text_vocab": len(ArpabetFrontEnd.vocabulary),
    "d_model": 256,
    "n_heads": 4,
    "n_layers": 6,
    "nar_d_model": 256,
    "nar_n_heads": 4,
    "nar_n_layers": 5,
    "bos": "after_prompt",
    "prefix_mode": 1,
    "tied_heads": True,
    "fixed_stages": True,
}
LIMITS = Limits(max_prompt_frames=MAX_PROMPT, max_text_chars=90)
SAMPLING = {"temperature": 0.5, "top_p": 0.9}
EQUALIZE = 0.5  # of the difference to the average spectrum of the prompt
