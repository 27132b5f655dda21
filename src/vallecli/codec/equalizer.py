"""The average spectrum of a recording, and speech moved towards it.

How loud a voice is at each frequency, on average, tells much of who speaks, and of the microphone and the room. A
recording shows it more exactly than codes keep it. Part of the difference between two average spectra is what was said,
not by whom: the less speech, the more of it, so the difference is never taken whole.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from vallecli.codec.base import ENCODEC_GRID
from vallecli.codec.nano import N_FFT, LogMel, mel_edges

HOP, SAMPLE_RATE = ENCODEC_GRID.hop, ENCODEC_GRID.sample_rate
BANDS = 40  # on the mel scale
SPEECH_DB = 30.0  # below the loudest frame: what is softer counts as a pause
LEVEL_HZ = (200.0, 4000.0)  # where two spectra are as loud as each other, whatever their recordings' levels
MOST_DB = 10.0  # of difference
HALF_TRUSTED = 75  # frames of speech of whose difference half is taken for the voice's

Wav = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.float32]  # (BANDS,) in dB


def average_spectrum(wav_N: Wav) -> Spectrum:
    """Given speech (N,) at 24 kHz, return how loud it is in each band (40,), pauses left out, in dB."""
    return _average(_speech(wav_N))


def equalize(wav_N: Wav, towards_C: Spectrum, share: float) -> Wav:
    """Given speech (N,) at 24 kHz, return it with its average spectrum moved towards another; its peak stays.

    `share` is how much of the difference long speech would be moved by; none of a sound shorter than a window.
    """
    if len(wav_N) < N_FFT:
        return wav_N
    power_CT = _speech(wav_N)
    frames = power_CT.shape[1]
    difference_C = towards_C - _average(power_CT)
    centres_C = mel_edges(BANDS)[1:-1].numpy()
    low, high = LEVEL_HZ
    difference_C -= difference_C[(centres_C > low) & (centres_C < high)].mean()
    gain_C = share * frames / (frames + HALF_TRUSTED) * difference_C.clip(-MOST_DB, MOST_DB)
    size = len(wav_N) + N_FFT  # so that the end does not ring in the beginning
    gain_F = np.interp(np.fft.rfftfreq(size, 1 / SAMPLE_RATE), centres_C, gain_C)
    out_N = np.fft.irfft(np.fft.rfft(wav_N, size) * 10 ** (gain_F / 20), size)[: len(wav_N)]
    peak = np.abs(out_N).max()
    return (out_N * (np.abs(wav_N).max() / peak if peak else 1.0)).astype(np.float32)


@cache
def _mel() -> LogMel:
    return LogMel(BANDS, N_FFT, HOP)


def _speech(wav_N: Wav) -> npt.NDArray[np.float32]:
    """Return the power in each band (40, T) of the frames that are no pause."""
    whole = len(wav_N) // HOP * HOP
    with torch.inference_mode():
        power_CT = _mel()(torch.from_numpy(wav_N[None, :whole]))[0].mul(2).exp().numpy()
    loudness_T = power_CT.sum(0)
    spoken: npt.NDArray[np.float32] = power_CT[:, loudness_T >= loudness_T.max() * 10 ** (-SPEECH_DB / 10)]
    return spoken


def _average(power_CT: npt.NDArray[np.float32]) -> Spectrum:
    average_C: Spectrum = 10 * np.log10(power_CT.mean(1))
    return average_C
