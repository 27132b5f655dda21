"""The configuration of an e-c-k-e-r/vall-e model: JSON in the metadata of its safetensors file, validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vallecli.checkpoints import strict_json
from vallecli.errors import short
from vallecli.families.llama.layers import MAX_RATIO, LlamaConfig
from vallecli.families.llama.published import Published

NUM_CODEBOOKS, CODEBOOK_SIZE = 8, 1024  # of EnCodec, the codec of versions 5 and 6
VERSIONS = (5, 6)
DIGITS = 10  # of a duration, and the class that ends it
LANGUAGES = ("en", "ja", "de", "fr", "zh", "ko")  # in the order of the rows of the language embedding
FULL = {"dim": 1024, "heads": 16, "layers": 12, "ffn": 4}  # the size "full"
MAX_ROWS, MAX_HEADS = 2**16, 64
# What these settings must be: with others, the model computes something else. A missing setting has this value.
FIXED = {"arch_type": "llama", "experts": 1}
FIXED_EXPERIMENTAL = {
    "split_classifiers": True,
    "audio_embedding_sums": True,
    "hf": False,
    "interleave": False,
    "kv_heads": 0,
    "causal_size": 1,
    "monolithic_audio_encoder": False,
    "tie_classifier_to_embedding": False,
    "logit_normalization": 0,
    "use_segmented_attention_mask": False,
    "use_sliding_attention_mask": False,
    "predict_causally": False,
    "layerskip": False,
}


@dataclass(frozen=True, kw_only=True)
class EckerConfig:
    """Sizes and options of a model."""

    name: str
    """Such as `ar+nar-len`; the models that it was trained as."""
    llama: LlamaConfig
    text_vocab: int
    languages: int
    """Rows of the language embedding."""
    unified_positions: bool
    """Whether positions count through the whole sequence, or restart at 0 in each segment."""
    bidirectional: bool
    """Whether passes of the NAR attend to all positions, or only to earlier ones."""
    biases: bool
    """Whether the heads have biases."""
    nar_len: bool
    """Whether codebook 1 can be predicted by demasking."""
    duration: bool
    """Whether the model predicts the number of frames."""

    def __post_init__(self) -> None:
        """Raise ValueError for options that no model has; they may come from a file."""
        if not isinstance(self.name, str) or len(self.name) > 200:
            raise ValueError("its name is not a short string")
        for name, limit in (("text_vocab", MAX_ROWS), ("languages", len(LANGUAGES))):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= limit:
                raise ValueError(f"{name} cannot be {short(value)}")
        for name in ("unified_positions", "bidirectional", "biases", "nar_len", "duration"):
            if not isinstance(value := getattr(self, name), bool):
                raise ValueError(f"{name} cannot be {short(value)}")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as they are stored in config.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EckerConfig:
        """Return the configuration in the fields of config.json. Raises ValueError."""
        try:
            return cls(**{**values, "llama": LlamaConfig(**values["llama"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"its fields are not those of a model: {error}") from error


def parse_metadata(metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return the JSON object under a name of the metadata, {} if there is none. Raises ValueError."""
    try:
        return strict_json.loads_object(metadata.get(name, "{}"))
    except ValueError as error:
        raise ValueError(f"{name} in its metadata: {error}") from error


def read_config(values: Mapping[str, Any], published: Published) -> EckerConfig:
    """Return the configuration of published values, and what they leave open of the tensors. Raises ValueError."""
    version, experimental = values.get("version"), values.get("experimental")
    if version not in VERSIONS or isinstance(version, bool):
        raise ValueError(f"its version is {short(version)}, versions {VERSIONS[0]} and {VERSIONS[1]} can be read")
    if not isinstance(experimental, dict):
        raise ValueError("it has no table of experimental settings")
    for given, fixed in ((values, FIXED), (experimental, FIXED_EXPERIMENTAL)):
        for name, wanted in fixed.items():
            if given.get(name, wanted) != wanted:
                raise ValueError(f"{name} is {short(given[name])}, only {wanted!r} is supported")
    size = FULL if values.get("size") == "full" else values.get("size")
    if not isinstance(size, dict):
        raise ValueError(f"its size is {short(size)}")
    if size.get("audio_tokens", CODEBOOK_SIZE) != CODEBOOK_SIZE:
        raise ValueError(f"it has {short(size['audio_tokens'])} codes, not {CODEBOOK_SIZE}")
    width, ratio = _whole(size, "dim"), _whole(size, "ffn")
    if not 1 <= ratio <= MAX_RATIO:
        raise ValueError(f"its MLP is {ratio} times as wide as the model")
    languages = published.size("langs_emb.weight", 0)
    if values.get("langs", languages) != languages:
        raise ValueError(f"it has {short(values['langs'])} languages, and {languages} embeddings of them")
    unified = experimental.get("unified_position_ids")
    if unified is None:  # all published files have it, and nothing else in the file says so
        raise ValueError("it does not say whether positions are unified")
    return EckerConfig(
        name=values.get("name", ""),
        llama=LlamaConfig(
            layers=_whole(size, "layers"),
            width=width,
            heads=_whole(size, "heads"),
            ffn=width * ratio,
            activation="gelu",
        ),
        text_vocab=published.size("text_emb.weight", 0),
        languages=languages,
        unified_positions=unified,
        bidirectional=experimental.get("noncausal_masks", False),
        biases="classifiers.proj.0.bias" in published,
        nar_len=f"resps_emb.embeddings.{NUM_CODEBOOKS}.weight" in published,
        duration=length_head(published) is not None,
    )


def length_head(published: Published) -> int | None:
    """Return the index of the head that predicts durations, by its size; None without one."""
    heads = (k for k in range(MAX_HEADS) if published.size(f"classifiers.proj.{k}.weight", 0) == DIGITS + 1)
    return next(heads, None) if "len_emb.weight" in published else None


def _whole(size: Mapping[str, Any], name: str) -> int:
    value = size.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"the size {name} is {short(value)}")
    return value
