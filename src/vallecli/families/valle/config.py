"""Sizes and options of a VALL-E in the lifeiteng layout, and the letters of tensor shapes.

Suffixes of tensors that cross a function boundary:
B batch, S text tokens, P prompt frames, T generated frames, A audio positions (prompt, BOS and generated),
L text and audio positions together, K cache positions, Q codebooks, V classes, H heads, D width, N samples.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from vallecli.errors import short

NUM_CODEBOOKS = 8  # 6 kbps of EnCodec at 24 kHz
CODEBOOK_SIZE = 1024
EOS = CODEBOOK_SIZE  # the class that ends speech; its embedding exists but is never used
BOS = CODEBOOK_SIZE + 1  # embedding only, never predicted

Bos = Literal["none", "start", "after_prompt"]
PrefixMode = Literal[0, 1, 2, 4]
Stop = Literal["sample", "argmax"]
MAX_LAYERS, MAX_WIDTH, MAX_ROWS = 128, 2**13, 2**20  # above any model: sizes may come from a damaged file
MAX_GUIDANCE = 100.0
SIZES = ("text_vocab", "d_model", "n_heads", "n_layers", "nar_d_model", "nar_n_heads", "nar_n_layers")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes and options of one AR and NAR pair; see the published layouts of lifeiteng/vall-e and VALL-E X."""

    text_vocab: int
    d_model: int
    n_heads: int
    n_layers: int
    nar_d_model: int
    nar_n_heads: int
    nar_n_layers: int
    n_languages: int = 0
    """Rows of the language embeddings (VALL-E X: 3), 0 for none."""
    bos: Bos = "none"
    """Position of BOS in the AR's audio: none, before the prompt, or (nano) between prompt and speech."""
    prefix_mode: PrefixMode = 1
    """Codebooks of the prompt that are visible to the NAR: in mode 0 those known so far, otherwise all eight.

    Modes 2 and 4 also drop the prompt's phonemes from the NAR's text."""
    tied_heads: bool = True
    """Whether the NAR's heads for codebooks 3 to 8 are the embedding tables of those codebooks."""
    stop: Stop = "sample"
    """Whether only a sampled EOS stops the AR, or also an EOS that is the most likely class."""
    cross_attention: bool = False
    """Whether audio attends to the text by cross-attention (VALL-F), or text and audio are one sequence."""
    stage_alphas: bool = False
    """Whether the NAR has one scale of the audio positions for each stage (lifeiteng's first layout)."""
    fixed_stages: bool = False
    """Whether the NAR's norms store a scale and a shift for each stage (nano), or project stage embeddings."""
    ar_prompt_frames: int = 0
    """Number of first prompt frames that the AR uses; 0 for all, as the NAR does."""
    guidance: tuple[float, ...] = ()
    """Classifier-free guidance weight per NAR stage (arXiv 2207.12598); () disables it.

    Logits are (1 + w) * with the prompt - w * without one, for which the NAR must have been trained."""

    def __post_init__(self) -> None:
        """Raise ValueError for impossible values; they may come from a file."""
        for name in (*SIZES, "n_languages"):
            least = 0 if name == "n_languages" else 1
            most = MAX_LAYERS if name.endswith("layers") else MAX_WIDTH if name.endswith("model") else MAX_ROWS
            if type(value := getattr(self, name)) is not int or not least <= value <= most:
                raise ValueError(f"{name} cannot be {short(value)}")
        for width, heads in ((self.d_model, self.n_heads), (self.nar_d_model, self.nar_n_heads)):
            if width % heads or width % 2:
                raise ValueError(f"a width of {width} cannot be shared by {heads} heads")
        for name, kind in (("bos", Bos), ("prefix_mode", PrefixMode), ("stop", Stop)):
            value, values = getattr(self, name), get_args(kind)
            if type(value) is not type(values[0]) or value not in values:
                raise ValueError(f"{name} cannot be {short(value)}")
        for name in ("tied_heads", "cross_attention", "stage_alphas", "fixed_stages"):
            if not isinstance(value := getattr(self, name), bool):
                raise ValueError(f"{name} cannot be {short(value)}")
        frames = self.ar_prompt_frames
        if type(frames) is not int or not 0 <= frames <= MAX_ROWS:
            raise ValueError(f"ar_prompt_frames cannot be {short(frames)}")
        if self.guidance and len(self.guidance) != NUM_CODEBOOKS - 1:
            raise ValueError(f"guidance has {len(self.guidance)} weights, not {NUM_CODEBOOKS - 1}")
        for weight in self.guidance:
            if type(weight) not in (int, float) or not 0 <= weight <= MAX_GUIDANCE:
                raise ValueError(f"guidance cannot be {short(weight)}")

    @property
    def needs_transcript(self) -> bool:
        """Return whether a voice needs the words of its recording: the text includes them, as the audio the prompt."""
        return self.bos != "after_prompt"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as in config.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Given the fields of config.json, return the config; raise ValueError for unknown, missing or invalid ones."""
        if not isinstance(values.get("guidance", []), list | tuple):
            raise ValueError(f"guidance cannot be {short(values['guidance'])}")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(values.keys() - known):
            raise ValueError(f"unknown model options: {', '.join(unknown)[:100]}")
        try:
            return cls(**{**values, "guidance": tuple(values.get("guidance", ()))})
        except TypeError as error:
            raise ValueError(str(error)) from error
