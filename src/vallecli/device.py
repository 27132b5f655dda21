"""Where and in which precision to compute: from the words of `--device` and `--dtype` to torch's own."""

from __future__ import annotations

import torch

from vallecli.errors import DeviceError, UsageError


def pick(name: str) -> torch.device:
    """Return the device for auto, cpu, cuda, cuda:N or mps; DeviceError tells what is there when it is not."""
    if name == "auto":  # mps has to be asked for: it has not been measured
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    kind, colon, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not (kind == "cuda" and index.isdecimal())):
        raise UsageError(f"there is no kind of device called {name!r}", "Give auto, cpu, cuda, cuda:N or mps.")
    if kind == "cuda" and int(index or 0) >= _cuda_count():
        raise DeviceError(f"{name} is not there", f"Here is: {', '.join(available())}. --device auto takes the best.")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("mps is not there", f"Here is: {', '.join(available())}. --device auto takes the best.")
    return torch.device(kind, int(index or 0)) if kind == "cuda" else torch.device(kind)


def available() -> list[str]:
    """Return the names of the devices of this machine."""
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *(f"cuda:{index}" for index in range(_cuda_count())), *mps]


def _cuda_count() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def pick_dtype(name: str) -> torch.dtype:
    """Return the precision of the language models' weights: auto is float32 until another is measured as good."""
    types = {"auto": torch.float32, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in types:
        raise UsageError(f"there is no precision called {name!r}", f"Give one of {', '.join(types)}.")
    return types[name]
