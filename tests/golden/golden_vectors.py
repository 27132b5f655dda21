"""Outputs of small models in every published layout of VALL-E, frozen in vectors.json.

    python tests/golden/golden_vectors.py    # write vectors.json

They stand in for the vectors of the published code, which are too large for this repository: write them only while
check_published.py holds. Names, shapes and files are those of the published layouts, so that the readers are tested as
well. Weights and inputs are from numpy's RandomState, whose stream never changes: first the inputs, then the tensors in
the order of their names. The seed of a case is the first for which no choice is too close to call.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from check_published import request_of
from safetensors.torch import save_file
from torch import Tensor

from vallecli.families.base import Request
from vallecli.families.valle.backend import ValleBackend
from vallecli.synthesizer import Synthesizer

sys.path.insert(0, str(Path(__file__).parents[1]))  # for this module as a script

from published import legacy, shapes, tie_heads

VECTORS = Path(__file__).with_name("vectors.json")
SEEDS = 100  # for each case, not those of another case
MARGIN = 5e-3  # least distance between the two largest logits of a choice: far above rounding on any machine
EVERY = 64  # classes of which one logit is stored

State = dict[str, Tensor]
TEXT, WIDTH, NAR_WIDTH, LAYERS, HEADS = 40, 32, 48, 2, 4
SETTINGS = {"nhead": HEADS, "scale_factor": 1.5, "norm_first": True, "add_prenet": False, "share_embedding": True}
EPOCH = "epoch-0001_step-0000010_loss-3.5"


@dataclass(frozen=True)
class Inputs:
    """A text (S,), the codes of a prompt (P, 8) and, for VALL-E X, the language of each text id."""

    text_S: Tensor
    prompt_PQ: Tensor
    languages_S: Tensor | None
    prompt_tokens: int
    frames: int

    @classmethod
    def draw(cls, random: np.random.RandomState, text: int, prompt: int, frames: int, *, languages: bool) -> Inputs:
        """Return random inputs of these lengths."""
        return cls(
            torch.from_numpy(random.randint(0, TEXT, text)),
            torch.from_numpy(random.randint(0, 1024, (prompt, 8))),
            torch.from_numpy(random.randint(0, 3, text)) if languages else None,
            prompt_tokens=text // 2,
            frames=frames,
        )

    def request(self, frames: int | None = None) -> Request:
        """Return a request of this number of frames or of another."""
        frames = frames or self.frames
        given = (self.text_S, self.prompt_PQ, self.languages_S)
        return request_of(*given, prompt_tokens=self.prompt_tokens, frames=frames)


# Files of the published layouts: each writes a state dict, and returns the path and the loader options that it needs

Written = tuple[Path, dict[str, Any]]


def trainer_file(path: Path, state: State, **settings: Any) -> Written:
    """The file that a trainer of lifeiteng/vall-e or VALL-E X writes."""
    torch.save({"model": state, "epoch": 1, "optimizer": None, **SETTINGS, **settings}, path)
    return path, {}


def state_dict_alone(path: Path, state: State, *, prefix_mode: int = 1, **_: Any) -> Written:
    """A state dict without the settings of its trainer."""
    torch.save(state, path)
    return path, {"heads": HEADS, "prefix_mode": prefix_mode}


def distributed_safetensors(path: Path, state: State, *, prefix_mode: int = 1, **_: Any) -> Written:
    """The same as a safetensors file, under the names of distributed training."""
    save_file({f"module.{name}": tensor.clone() for name, tensor in state.items()}, path)
    return path, {"heads": HEADS, "prefix_mode": prefix_mode}


def first_layout_file(path: Path, state: State, **_: Any) -> Written:
    """The file that the trainer of lifeiteng/vall-e wrote until March 2023."""
    settings = {name: SETTINGS[name] for name in ("nhead", "norm_first", "add_prenet", "share_embedding")}
    torch.save({"model": legacy(state), **settings}, path)
    return path, {}


def amphion_folder(path: Path, state: State, *, file: str = "pytorch_model.bin", **_: Any) -> Written:
    """An experiment folder of Amphion v1, with its JSON5."""
    weights = path / "checkpoint" / EPOCH / file
    weights.parent.mkdir(parents=True)
    model = f'"nhead": {HEADS}, "prefix_mode": 1, "share_embedding": true, "nar_scale_factor": 1.5,'
    (path / "args.json").write_text(f'{{\n  model_type: "VALLE",  // JSON5\n  "model": {{{model}}},\n}}\n')
    if weights.suffix == ".bin":
        torch.save(state, weights)
    else:
        save_file(state, weights)
    return path, {}


def accelerate_folder(path: Path, state: State, **_: Any) -> Written:
    """The same with the safetensors file of newer versions of accelerate, which has tied tensors once."""
    heads = {f"nar_predict_layers.{stage}.weight" for stage in range(6)}
    once = {name: tensor for name, tensor in state.items() if name not in heads}
    return amphion_folder(path, once, file="model.safetensors")


NATIVE_CONFIG = {
    "format": "vallecli-1",
    "name": "golden",
    "model": {
        **{"text_vocab": TEXT, "d_model": WIDTH, "n_heads": HEADS, "n_layers": LAYERS},
        **{"nar_d_model": NAR_WIDTH, "nar_n_heads": HEADS, "nar_n_layers": LAYERS},
        **{"bos": "after_prompt", "prefix_mode": 1, "tied_heads": True, "fixed_stages": True, "ar_prompt_frames": 6},
        "guidance": [0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5],
    },
    "codec": {"kind": "encodec"},
    "front_end": "arpabet-1",
    "limits": {"max_prompt_frames": 75, "max_text_chars": 90},
}


def native_shapes() -> dict[str, tuple[int, ...]]:
    """Return names and shapes of a checkpoint in valle's own format with the options of nano."""
    named: dict[str, tuple[int, ...]] = {
        "ar.audio_embedding.weight": (1026, WIDTH),
        "ar.head.weight": (1025, WIDTH),
        "nar.heads.6.weight": (1024, NAR_WIDTH),
    }
    for codebook in range(8):
        named[f"nar.audio_embeddings.{codebook}.weight"] = (1024 if codebook else 1025, NAR_WIDTH)
    for model, dim in (("ar", WIDTH), ("nar", NAR_WIDTH)):
        named[f"{model}.text_embedding.weight"] = (TEXT, dim)
        named |= {f"{model}.{kind}_positions.alpha": (1,) for kind in ("text", "audio")}
        linears = {"attention.qkv": (3 * dim, dim), "attention.out": (dim, dim)}
        linears |= {"linear1": (4 * dim, dim), "linear2": (dim, 4 * dim)}
        for layer in range(LAYERS):
            for name, shape in linears.items():
                named[f"{model}.layers.{layer}.{name}.weight"] = shape
                named[f"{model}.layers.{layer}.{name}.bias"] = shape[:1]
        for norm in [*(f"layers.{i}.{name}" for i in range(LAYERS) for name in ("norm1", "norm2")), "norm"]:
            place = f"{model}.{norm}"
            if model == "nar":
                named[f"{place}.scales_and_shifts"] = (7, 2, dim)
                place += ".norm"
            named |= {f"{place}.weight": (dim,), f"{place}.bias": (dim,)}
    return named


def native_folder(path: Path, state: State, **_: Any) -> Written:
    """A folder in valle's own format."""
    path.mkdir()
    (path / "config.json").write_text(json.dumps(NATIVE_CONFIG))
    save_file(state, path / "model.safetensors")
    return path, {}


@dataclass(frozen=True)
class Case:
    """A model in a published layout; the first of its files is the one whose outputs are frozen."""

    files: tuple[Callable[..., Written], ...]
    shapes: dict[str, tuple[int, ...]]
    settings: dict[str, Any] = field(default_factory=dict)
    tied: bool = True
    languages: bool = False
    guidance: tuple[float, ...] = (0.0,) * 7

    def inputs(self, random: np.random.RandomState) -> tuple[Inputs, Inputs]:
        """Return two inputs of different lengths."""
        first = Inputs.draw(random, 11, 9, 16, languages=self.languages)
        return first, Inputs.draw(random, 7, 13, 6, languages=self.languages)

    def state(self, random: np.random.RandomState) -> State:
        """Return random tensors of a size that keeps activations and logits well above rounding."""
        state = {}
        for name, shape in sorted(self.shapes.items()):
            values = torch.from_numpy(random.uniform(-1, 1, shape)).float()
            if name.endswith(("alpha", "norm.weight", "norm1.weight", "norm2.weight", "norm3.weight")):
                values = 1 + values / 5
            elif len(shape) == 1:
                values = values / 5
            elif len(shape) == 3:
                values = 2 * values
            elif "layer" in name and "predict" not in name:
                values = 4 * values / shape[1] ** 0.5
            state[name] = values
        if self.tied and "nar_predict_layers.0.weight" in state:
            tie_heads(state)
        return state


COMMON = {"text": TEXT, "width": WIDTH, "layers": LAYERS}
VALLE, VALLF = shapes(**COMMON, nar_width=NAR_WIDTH), shapes(**COMMON, nar_width=NAR_WIDTH, cross_attention=True)
LIFEITENG_FILES = (trainer_file, state_dict_alone, distributed_safetensors)
CASES = {
    "nano": Case((native_folder,), native_shapes(), guidance=tuple(NATIVE_CONFIG["model"]["guidance"])),
    "vallex": Case(
        (trainer_file, state_dict_alone),
        shapes(**COMMON, nar_width=NAR_WIDTH, languages=3, bos=True),
        {"prefix_mode": 1},
        languages=True,
    ),
    **{f"valle_mode{mode}": Case(LIFEITENG_FILES, VALLE, {"prefix_mode": mode}) for mode in (0, 1, 4)},
    "valle_untied": Case(LIFEITENG_FILES, VALLE, {"prefix_mode": 1, "share_embedding": False}, tied=False),
    **{f"vallf_mode{mode}": Case(LIFEITENG_FILES, VALLF, {"prefix_mode": mode}) for mode in (0, 1, 4)},
    "first_layout": Case((first_layout_file,), shapes(**COMMON, stage_alphas=True)),
    "amphion": Case((amphion_folder, accelerate_folder), VALLE),
}


def load(
    name: str, seed: int, folder: Path, file: Callable[..., Written] | None = None, **options: Any
) -> tuple[ValleBackend, tuple[Inputs, Inputs]]:
    """Write the checkpoint of a case to a new folder, and return what the readers make of it, and the inputs."""
    case, random = CASES[name], np.random.RandomState(seed)
    inputs = case.inputs(random)
    folder.mkdir(exist_ok=True)
    path, needed = (file or case.files[0])(folder / "checkpoint", case.state(random), **case.settings)
    backend = Synthesizer.load(path, device="cpu", dtype="float32", options=needed | options).backend
    assert isinstance(backend, ValleBackend)
    return backend, inputs


def compute(backend: ValleBackend, item: Inputs, guidance: tuple[float, ...]) -> dict[str, Any]:
    """Return codes (T, 8), logits of some classes and frames, and the least margin of all choices."""
    given: dict[str, Any] = {"languages": item.languages_S}
    codes_T = backend.generate_codes(
        item.text_S, item.prompt_PQ, frames=item.frames, exclude_eos=True, greedy=True, **given
    )
    ar_logits_TV = backend.ar_logits(item.text_S, item.prompt_PQ, codes_T, **given)
    given["prompt_tokens"] = item.prompt_tokens
    codes_TQ = backend.refine(item.text_S, item.prompt_PQ, codes_T, **given)
    nar_logits = backend.nar_logits(item.text_S, item.prompt_PQ, codes_TQ, **given)
    weights = torch.tensor(guidance)[:, None, None]
    guided = nar_logits
    if weights.any():
        guided = (1 + weights) * nar_logits - weights * backend.nar_logits(item.text_S, [], codes_TQ, **given)
    first, second = torch.cat([ar_logits_TV[None, :-1, :1024], guided]).topk(2).values.unbind(-1)
    return {
        "codes": codes_TQ.tolist(),
        "ar_logits": ar_logits_TV[[0, 1, -1], ::EVERY],
        "nar_logits": nar_logits[:, [0, -1], ::EVERY],
        "margin": (first - second).min().item(),
    }


def main() -> None:
    """Write vectors.json."""
    frozen: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, case) in enumerate(CASES.items()):
            for seed in range(SEEDS * number, SEEDS * (number + 1)):
                backend, inputs = load(name, seed, Path(folder) / f"{name}-{seed}")
                outputs = [compute(backend, item, case.guidance) for item in inputs]
                if min(output["margin"] for output in outputs) >= MARGIN:
                    break
            else:
                raise SystemExit(f"{name}: every seed has a choice that is too close to call")
            print(name, "seed", seed, flush=True)
            frozen[name] = {"seed": seed, "outputs": outputs}
    for case in frozen.values():
        for output in case["outputs"]:
            del output["margin"]
            for kind in ("ar_logits", "nar_logits"):
                output[kind] = [round(value, 5) for value in output[kind].flatten().double().tolist()]
    lines = ",\n".join(f'"{name}": {json.dumps(case, separators=(",", ":"))}' for name, case in frozen.items())
    VECTORS.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
