"""DNSMOS P.835: opinions of listeners on speech, background noise and the whole, predicted by a small network.

C. Reddy et al., arXiv 2110.01763. The scores are from 1 to 5. The weights are those of the registry's entry `dnsmos`,
or of the installed package speechmos, which is not imported: it needs librosa for another score.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vallecli.audio.pcm import Wav
from vallecli.checkpoints import registry
from vallecli.checkpoints.local import sha256
from vallecli.errors import DamagedCheckpoint, DependencyMissing
from vallecli.extras import extra
from vallecli.quality.pretrained import EXTRA, RATE, find

CHECKPOINT = "dnsmos"  # its entry in the registry
PACKAGE, FILE = "speechmos", "dnsmos_models/sig_bak_ovr.onnx"
SECONDS = 9.01  # of the network's input; shorter audio is repeated. Windows begin every second
WINDOW = int(SECONDS * RATE)  # samples
# From the network's outputs to scores: coefficients of a polynomial, the highest power first, as published.
SIGNAL = (-0.08397278, 1.22083953, 0.0052439)
BACKGROUND = (-0.13166888, 1.60915514, -0.39604546)
OVERALL = (-0.06766283, 1.11546468, 0.04602535)

Scores = dict[str, float]  # "ovrl", "sig" and "bak"


class OpinionModelMissing(DependencyMissing):
    """The file of DNSMOS is not on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "predicting opinions needs the file of DNSMOS, sig_bak_ovr.onnx",
            f"Run: valle checkpoints pull {CHECKPOINT}; or pip install --no-deps speechmos; or, with a copy of the "
            f"file: valle checkpoints add FILE --as {CHECKPOINT}",
        )


class OpinionModel:
    """The network, ready for recordings."""

    def __init__(self) -> None:
        """Raises OpinionModelMissing, ExtraMissing, and DamagedCheckpoint for another file than the published one."""
        path = find(CHECKPOINT) or packaged_file()
        if path is None:
            raise OpinionModelMissing
        if not registry.get(CHECKPOINT).has_hash(sha256(path)):
            raise DamagedCheckpoint(f"{path} is not the published file", f"valle checkpoints pull {CHECKPOINT}")
        with extra(EXTRA, "predicting opinions"):
            import onnxruntime

        onnxruntime.set_default_logger_severity(3)  # errors; it warns of machines without a GPU
        self._session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def scores(self, wav_N: Wav) -> Scores:
        """Given audio (N,) at RATE, return the means over its windows of 9 s, which begin every second.

        Raises ValueError for no samples.
        """
        if len(wav_N) == 0:
            raise ValueError("there is no audio")
        repeated_N = np.clip(wav_N, -1, 1)
        while len(repeated_N) < WINDOW:
            repeated_N = np.append(repeated_N, repeated_N)
        windows = (repeated_N[start:end] for start, end in _windows(len(repeated_N)))
        raw_K3 = np.array([self._run(window_N) for window_N in windows])
        columns = zip(("sig", "bak", "ovrl"), (SIGNAL, BACKGROUND, OVERALL), raw_K3.T, strict=True)
        return {name: float(np.polyval(coefficients, raw_K).mean()) for name, coefficients, raw_K in columns}

    def _run(self, window_N: Wav) -> Any:
        (raw_13,) = self._session.run(None, {"input_1": window_N.astype(np.float32)[None]})
        return raw_13[0]


def _windows(samples: int) -> Iterator[tuple[int, int]]:
    """Yield the begin and the end of each window of the published script.

    It leaves out those whose end is rounded down to one sample too few.
    """
    for second in range(int(samples // RATE - SECONDS) + 1):
        begin, end = second * RATE, int((second + SECONDS) * RATE)
        if end - begin == WINDOW:
            yield begin, end


def packaged_file() -> Path | None:
    """Return the file in the installed package, which is not imported; None if there is none."""
    found = importlib.util.find_spec(PACKAGE)
    places = () if found is None else found.submodule_search_locations or ()
    return next((path for place in places if (path := Path(place) / FILE).is_file()), None)
