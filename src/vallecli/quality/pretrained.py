"""Models of published checkpoints that only measure: found by the registry, read safely, run by transformers.

N samples, E values of an embedding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vallecli.audio.pcm import Wav
from vallecli.checkpoints import lookup, registry, strict_json, weights
from vallecli.codec.encodec import torchaudio_or_stand_in
from vallecli.errors import DamagedCheckpoint, MissingCheckpoint
from vallecli.extras import extra
from vallecli.inputs import read_small

EXTRA = "eval"
RATE = 16_000  # Hz, of all these models
MAX_JSON = 2**20  # bytes
WEIGHTS = ("model.safetensors", "pytorch_model.bin")

Embedding = npt.NDArray[np.float32]


def find(name: str) -> Path | None:
    """Return the folder or file of an entry of the registry; None if it is not on this machine, or there is no entry.

    Raises CheckpointError for damaged files.
    """
    if registry.load().get(name) is None:
        return None
    try:
        return lookup.find(name)
    except MissingCheckpoint:
        return None


class Pretrained:
    """A model of transformers with the weights and the configuration of a folder."""

    def __init__(self, folder: Path, model: str, *, prefix: str = "") -> None:
        """`model` is the name of its class; of the weights, those that begin with `prefix` are used.

        Raises ExtraMissing, and DamagedCheckpoint for files that do not fit.
        """
        with extra(EXTRA, "this model"), torchaudio_or_stand_in():  # it imports torchaudio, too, and does not use it
            import transformers

            kind = getattr(transformers, model)
        values = _json(folder / "config.json")
        path = next((folder / name for name in WEIGHTS if (folder / name).is_file()), folder / WEIGHTS[-1])
        tensors = weights.read_tensors(path)
        state = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        try:
            self.model = kind(kind.config_class.from_dict(values))
            missing, _ = self.model.load_state_dict(state, strict=False)
        except Exception as error:  # a configuration of others can cause any
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise DamagedCheckpoint(f"{folder} is not a checkpoint of {model}: {reason}", _AGAIN) from error
        if wanted := [name for name in missing if name != "masked_spec_embed"]:  # only for training
            raise DamagedCheckpoint(f"{path} has no {wanted[0]}", _AGAIN)
        self.model.eval()
        features = folder / "preprocessor_config.json"
        self.normalizes = bool(_json(features).get("do_normalize")) if features.is_file() else False

    @torch.inference_mode()
    def run(self, wav_N: Wav) -> Any:
        """Given audio (N,) at RATE, return the model's output."""
        if self.normalizes:
            wav_N = (wav_N - wav_N.mean()) / np.sqrt(wav_N.var() + 1e-7)
        return self.model(torch.from_numpy(np.ascontiguousarray(wav_N, np.float32))[None])


_AGAIN = "Download it again: valle checkpoints pull NAME"


def _json(path: Path) -> dict[str, Any]:
    """Return the object in a small file. Raises DamagedCheckpoint."""
    try:
        return strict_json.loads_object(read_small(path, MAX_JSON).decode())
    except (OSError, ValueError) as error:
        raise DamagedCheckpoint(f"{path} cannot be read: {error}", _AGAIN) from error


def cosine(one_E: Embedding, other_E: Embedding) -> float:
    """Return the cosine of two embeddings."""
    return float(np.dot(one_E, other_E) / (np.linalg.norm(one_E) * np.linalg.norm(other_E)))
