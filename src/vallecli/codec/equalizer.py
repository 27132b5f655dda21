"""The average spectrum of a recording, and a filter that moves speech towards it.

The average level of each frequency band is typical of a speaker, and of the microphone and the room. The recording has
it more exactly than its codes. Part of the difference between two average spectra is due to the words and not to the
speaker, the more so the less speech there is; that is why the difference is corrected only in part.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from vallecli.codec.base import ENCODEC_GRID
from vallecli.codec.nano import N_FFT, LogMel, mel_edges

HOP, SAMPLE_RATE = ENCODEC_GRID.hop, ENCODEC_GRID.sample_rate
BANDS = 40  # evenly spaced on the mel scale
SPEECH_DB = 30.0  # below the loudest frame; softer frames are pauses
LEVEL_HZ = (200.0, 4000.0)  # range in which two spectra are aligned, so that levels of recordings do not matter
MAX_DB = 10.0  # largest difference that counts
HALF_FRAMES = 75  # frames of speech at which half of the given share is corrected

Wav = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.float32]  # (BANDS,) in dB


def average_spectrum(wav_N: Wav) -> Spectrum:
    """Given speech (N,) at 24 kHz, return the average level of each band (40,) in dB, without pauses."""
    return _average(_speech(wav_N))


def equalize(wav_N: Wav, towards_C: Spectrum, share: float) -> Wav:
    """Given speech (N,) at 24 kHz, return it with its average spectrum moved towards another, and with the same peak.

    `share` is the part of the difference, 0 to 1, that is corrected in long speech. A sound shorter than a window is
    returned unchanged.
    """
    if len(wav_N) < N_FFT:
        return wav_N
    power_CT = _speech(wav_N)
    frames = power_CT.shape[1]
    difference_C = towards_C - _average(power_CT)
    centres_C = mel_edges(BANDS)[1:-1].numpy()
    low, high = LEVEL_HZ
    difference_C -= difference_C[(centres_C > low) & (centres_C < high)].mean()
    gain_C = share * frames / (frames + HALF_FRAMES) * difference_C.clip(-MAX_DB, MAX_DB)
    size = len(wav_N) + N_FFT  # so that the filter does not wrap around from the end to the beginning
    gain_F = np.interp(np.fft.rfftfreq(size, 1 / SAMPLE_RATE), centres_C, gain_C)
    out_N = np.fft.irfft(np.fft.rfft(wav_N, size) * 10 ** (gain_F / 20), size)[: len(wav_N)]
    peak = np.abs(out_N).max()
    return (out_N * (np.abs(wav_N).max() / peak if peak else 1.0)).astype(np.float32)


@cache
def _mel() -> LogMel:
    return LogMel(BANDS, N_FFT, HOP)


def _speech(wav_N: Wav) -> npt.NDArray[np.float32]:
    """Return the power of each band (40, T) in the frames of speech."""
    whole = len(wav_N) // HOP * HOP
    with torch.inference_mode():
        power_CT = _mel()(torch.from_numpy(wav_N[None, :whole]))[0].mul(2).exp().numpy()
    loudness_T = power_CT.sum(0)
    spoken: npt.NDArray[np.float32] = power_CT[:, loudness_T >= loudness_T.max() * 10 ** (-SPEECH_DB / 10)]
    return spoken


def _average(power_CT: npt.NDArray[np.float32]) -> Spectrum:
    average_C: Spectrum = 10 * np.log10(power_CT.mean(1))
    return average_C
