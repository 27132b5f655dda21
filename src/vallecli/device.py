"""Device and precision, from their names to torch's objects."""

from __future__ import annotations

import re

import torch

from vallecli.errors import DeviceError, UsageError

FULL_SIZE = 100_000_000  # parameters; nano has 12 million, the published checkpoints 220 to 370 million
FBGEMM = "fbgemm" in torch.backends.quantized.supported_engines  # on x86
DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.int8,
}


def pick(name: str) -> torch.device:
    """Return the device for auto, cpu, cuda, cuda:N or mps. DeviceError lists the devices of this machine."""
    if name == "auto":  # mps is used on request only: it has not been measured
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    kind, colon, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not (kind == "cuda" and re.fullmatch(r"[0-9]{1,4}", index))):
        raise UsageError(f"there is no kind of device called {name!r}", "Give auto, cpu, cuda, cuda:N or mps.")
    if kind == "cuda" and int(index or 0) >= _cuda_count():
        raise DeviceError(
            f"there is no device {name}", f"This machine has: {', '.join(available())}; auto uses the best."
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("there is no device mps", f"This machine has: {', '.join(available())}; auto uses the best.")
    return torch.device(kind, int(index or 0)) if kind == "cuda" else torch.device(kind)


def available() -> list[str]:
    """Return the names of the devices of this machine."""
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *(f"cuda:{index}" for index in range(_cuda_count())), *mps]


def _cuda_count() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def pick_dtype(name: str, device: torch.device, parameters: int, *, stored_in_half: bool = False) -> torch.dtype:
    """Return the precision of language models with that many parameters; see `stored_in_half` in valle's Checkpoint.

    On a CPU, int8 and float16 are those of the weights; see decoding.linear. auto is for full-size models, where half
    the bytes take half the time: bfloat16 on a CUDA device that supports it, and float16 on a CPU with FBGEMM, where it
    rounds the weights alone, to 11 bits. There it is also for weights that are stored in float16, which it does not
    round. Otherwise it is float32. Raises UsageError for an unknown name, and for int8 on other devices than a CPU.
    """
    if name not in ("auto", *DTYPES):
        raise UsageError(f"there is no precision called {name!r}", f"Give one of auto, {', '.join(DTYPES)}.")
    if name == "int8" and device.type != "cpu":
        raise UsageError(f"int8 needs a CPU, not {device}", "Use bfloat16 or auto.")
    if name == "auto":
        full_size = parameters >= FULL_SIZE
        if full_size and _computes_in_bfloat16(device):
            return torch.bfloat16
        halved = (full_size or stored_in_half) and device.type == "cpu" and FBGEMM
        return torch.float16 if halved else torch.float32
    return DTYPES[name]


def _computes_in_bfloat16(device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        supported: bool = torch.cuda.is_bf16_supported(including_emulation=False)
    return supported
