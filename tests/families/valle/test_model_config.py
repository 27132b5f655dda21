"""The configuration of a model can be written to config.json and read back; impossible values are refused."""

import json

import pytest

from vallecli.families.valle.config import ModelConfig

AR_SIZES = {"text_vocab": 20, "d_model": 32, "n_heads": 2, "n_layers": 2}
SIZES = AR_SIZES | {"nar_d_model": 48, "nar_n_heads": 3, "nar_n_layers": 1}


def test_round_trip() -> None:
    options = {"prefix_mode": 4, "tied_heads": False, "stop": "argmax", "cross_attention": True}
    options |= {"stage_alphas": True, "fixed_stages": True, "ar_prompt_frames": 300}
    options |= {"guidance": (0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 2.0)}
    config = ModelConfig(**SIZES, n_languages=3, bos="start", **options)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_model": "wide"}, "d_model cannot be 'wide'"),
        ({"n_layers": 0}, "n_layers cannot be 0"),
        ({"n_languages": -1}, "n_languages cannot be -1"),
        ({"n_heads": 3}, "width of 32 cannot be shared by 3 heads"),
        ({"nar_d_model": 33}, "width of 33"),
        ({"bos": "middle"}, "bos cannot be 'middle'"),
        ({"prefix_mode": 3}, "prefix_mode cannot be 3"),
        ({"stop": None}, "stop cannot be None"),
        ({"cross_attention": 1}, "cross_attention cannot be 1"),
        ({"n_layers": 10**9}, "n_layers cannot be 1000000000"),
        ({"ar_prompt_frames": -1}, "ar_prompt_frames cannot be -1"),
        ({"ar_prompt_frames": 1.5}, "ar_prompt_frames cannot be 1.5"),
        ({"ar_prompt_frames": True}, "ar_prompt_frames cannot be True"),
        ({"guidance": [1.0]}, "guidance has 1 weights, not 7"),
        ({"guidance": [0.0, 0, 0, 0, 0, 0, -1]}, "guidance cannot be -1"),
        ({"guidance": [float("nan")] * 7}, "guidance cannot be nan"),
        ({"guidance": ["1"] * 7}, "guidance cannot be '1'"),
        ({"guidance": 1.0}, "guidance cannot be 1.0"),
        ({"guidance": {"a": 1}}, "guidance cannot be"),
        ({"n_layers": True}, "n_layers cannot be True"),
        ({"prefix_mode": True}, "prefix_mode cannot be True"),
        ({"d_model": [[[2] * 9] * 9] * 9}, "d_model cannot be .{,300}$"),
        ({"depth": 2}, "unknown model options: depth"),
    ],
)
def test_impossible_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_dict(SIZES | options)


def test_missing_option() -> None:
    with pytest.raises(ValueError, match="text_vocab"):
        ModelConfig.from_dict({name: value for name, value in SIZES.items() if name != "text_vocab"})
