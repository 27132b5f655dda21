"""Source-filter synthesis: pulses at the pitch and noise, each shaped by a filter, as in a voice.

The network predicts a pitch and two smooth spectra per frame, and no phases: the phases of successive pulses are
consistent by construction, and the filters have minimum phase (Oppenheim and Schafer, Discrete-Time Signal Processing,
on the cepstrum). A small model can learn that in hours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vallecli.codec.base import ENCODEC_GRID

HOP, SAMPLE_RATE = ENCODEC_GRID.hop, ENCODEC_GRID.sample_rate
WINDOW = 2 * HOP  # samples of the source per filter; neighbours overlap by half
N_FFT = 1024  # the window and the impulse response of a filter
BINS = N_FFT // 2 + 1
LOWEST, HIGHEST, PITCHES = 60.0, 500.0, 96  # Hz, and the number of classes between them, evenly spaced in log
NEAR = 2  # classes on each side of the most likely one that count in the pitch
PULSE_BANDS, NOISE_BANDS = 128, 48  # points of each filter, evenly spaced in mel, interpolated linearly
PULSE_LEVEL, NOISE_LEVEL = -3.0, -5.0  # natural-log gains at the start of training
MAX_LOG_GAIN = 5.0  # bounds exp() of a filter
PAUSE_DB = 38.0  # below the loudest frame; softer frames are pauses
SOFTER_DB = 20.0  # largest attenuation of a pause
DECIBEL = math.log(10) / 20  # as a natural-log gain


@dataclass(frozen=True)
class Controls:
    """Pitch and spectra of each frame."""

    pitch_BTC: Tensor
    """Logits of PITCHES classes and, last, of an unvoiced frame."""
    pulses_BTF: Tensor
    """Natural-log gain of the pulses at each bin."""
    noise_BTF: Tensor

    def hertz(self) -> Tensor:
        """Return the pitch (B, T) in Hz, 0 for unvoiced frames: the mean around the most likely class.

        A frame whose voicing differs from that of both neighbours gets theirs.
        """
        classes_BTC, none_BT = self.pitch_BTC[..., :-1], self.pitch_BTC[..., -1]
        at = torch.arange(PITCHES, device=classes_BTC.device)
        near = (at - classes_BTC.argmax(-1, keepdim=True)).abs() <= NEAR
        weight_BTC = classes_BTC.masked_fill(~near, -math.inf).softmax(-1)
        hertz_BT = (weight_BTC @ pitches(classes_BTC.device).log()).exp()
        voiced_BT = (classes_BTC.logsumexp(-1) >= none_BT).float()
        around_BT3 = F.pad(voiced_BT[:, None], (1, 1), mode="replicate")[:, 0].unfold(1, 3, 1)
        return hertz_BT * around_BT3.median(-1).values

    def with_softer_pauses(self, hertz_BT: Tensor) -> Controls:
        """Given the pitch (B, T), return the controls with softer pauses.

        It is a downward expander with a ratio of 1:2 and the threshold PAUSE_DB, limited to SOFTER_DB.
        """
        loudness_BT = (2 * self.noise_BTF).logsumexp(-1)
        voiced_BT = loudness_BT.logaddexp((2 * self.pulses_BTF).logsumexp(-1))
        loudness_BT = torch.where(hertz_BT > 0, voiced_BT, loudness_BT) / (2 * DECIBEL)
        below_BT = loudness_BT.amax(1, keepdim=True) - loudness_BT
        softer_BT1 = DECIBEL * (below_BT - PAUSE_DB).clamp(0, SOFTER_DB)[..., None]
        return replace(self, pulses_BTF=self.pulses_BTF - softer_BT1, noise_BTF=self.noise_BTF - softer_BT1)


def pitches(device: torch.device) -> Tensor:
    """Return the pitch of each class (PITCHES,) in Hz."""
    return torch.logspace(math.log10(LOWEST), math.log10(HIGHEST), PITCHES, device=device)


def interpolation(bands: int) -> Tensor:
    """Return weights (bands, BINS) that interpolate from points evenly spaced in mel to frequency bins."""
    hertz = torch.linspace(0, SAMPLE_RATE / 2, BINS, dtype=torch.float64)
    place = torch.log1p(hertz / 700) / math.log1p(SAMPLE_RATE / 2 / 700) * (bands - 1)
    return (1 - (place - torch.arange(bands)[:, None]).abs()).clamp(min=0).float()


class SourceFilter(nn.Module):
    """Frames (B, T, D) to audio: one linear layer, then signal processing without parameters."""

    pulse_points: Tensor
    noise_points: Tensor
    window: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out = nn.Linear(dim, PITCHES + 1 + PULSE_BANDS + NOISE_BANDS)
        nn.init.trunc_normal_(self.out.weight, std=0.02)
        with torch.no_grad():
            self.out.bias[:] = 0.0
            self.out.bias[-PULSE_BANDS - NOISE_BANDS :] = PULSE_LEVEL
            self.out.bias[-NOISE_BANDS:] = NOISE_LEVEL
        with torch.device("cpu"):  # also in a module on the meta device: no checkpoint stores these
            self.register_buffer("pulse_points", interpolation(PULSE_BANDS), persistent=False)
            self.register_buffer("noise_points", interpolation(NOISE_BANDS), persistent=False)
            self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    def controls(self, x_BTD: Tensor) -> Controls:
        """Given frames (B, T, D), return pitch and spectra of each."""
        pitch, pulses, noise = self.out(x_BTD).float().split([PITCHES + 1, PULSE_BANDS, NOISE_BANDS], -1)
        return Controls(pitch, pulses @ self.pulse_points, noise @ self.noise_points)

    def render(self, hertz_BT: Tensor, controls: Controls) -> Tensor:
        """Given a pitch (B, T) in Hz, 0 for unvoiced frames, return audio (B, T * HOP) shaped by the controls."""
        spectrum_BTF = self._spectrum(pulses(hertz_BT)) * filters(controls.pulses_BTF)
        spectrum_BTF = spectrum_BTF + self._spectrum(noise(hertz_BT)) * filters(controls.noise_BTF)
        frames = hertz_BT.shape[1]
        parts = torch.fft.irfft(spectrum_BTF, N_FFT).transpose(1, 2)  # (B, N_FFT, T)
        audio = F.fold(parts, (1, (frames - 1) * HOP + N_FFT), (1, N_FFT), stride=(1, HOP))[:, 0, 0]
        return audio[:, (WINDOW - HOP) // 2 :][:, : frames * HOP]

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Given frames (B, T, D), return audio (B, T * HOP), with quiet pauses."""
        controls = self.controls(x_BTD)
        hertz_BT = controls.hertz()
        return self.render(hertz_BT, controls.with_softer_pauses(hertz_BT))

    def _spectrum(self, source_BN: Tensor) -> Tensor:
        """Return the spectra (B, T, BINS) of overlapping windows, each centred on its frame."""
        padded = F.pad(source_BN, ((WINDOW - HOP) // 2, (WINDOW - HOP) // 2))
        spectrum: Tensor = torch.fft.rfft(padded.unfold(1, WINDOW, HOP) * self.window, N_FFT)
        return spectrum


def pulses(hertz_BT: Tensor) -> Tensor:
    """Return pulses (B, T * HOP) at the pitch, of unit power, with equal amplitudes of all harmonics below Nyquist.

    The sum of cosines k = 1..K has a closed form, the Dirichlet kernel.
    """
    voiced_BT = hertz_BT > 0
    hertz_BN = F.interpolate(_held(hertz_BT)[:, None], scale_factor=HOP, mode="linear")[:, 0]
    cycles = (hertz_BN.double() / SAMPLE_RATE).cumsum(1)
    half_turn = math.pi * (cycles - cycles.round()).float()  # half the phase, -pi/2..pi/2
    harmonics = (SAMPLE_RATE / 2 / hertz_BN).floor()
    below = half_turn.sin()
    at_pulse = below.abs() < 1e-5
    kernel = ((2 * harmonics + 1) * half_turn).sin() / (2 * below.masked_fill(at_pulse, 1.0)) - 0.5
    kernel = torch.where(at_pulse, harmonics, kernel)
    loudness = F.interpolate(voiced_BT.float()[:, None], scale_factor=HOP, mode="linear")[:, 0]
    return kernel * (2 / harmonics).sqrt() * loudness


def _held(hertz_BT: Tensor) -> Tensor:
    """Return the pitch (B, T) with each gap filled by the value before it, the first one by the value after it."""
    at = torch.arange(hertz_BT.shape[1], device=hertz_BT.device).expand_as(hertz_BT)
    voiced = hertz_BT > 0
    last = at.masked_fill(~voiced, -1).cummax(1).values
    first = voiced.int().argmax(1, keepdim=True)
    held = hertz_BT.gather(1, torch.where(last < 0, first, last))
    return held.clamp(min=LOWEST)  # if all frames are unvoiced


def noise(hertz_BT: Tensor) -> Tensor:
    """Return white noise (B, T * HOP) of unit power, the same in every call."""
    generator = torch.Generator().manual_seed(0)
    line = torch.randn(hertz_BT.shape[1] * HOP, generator=generator)
    return line.to(hertz_BT.device).expand(len(hertz_BT), -1)


def filters(log_gain_BTF: Tensor) -> Tensor:
    """Given natural-log gains (B, T, BINS), return the complex minimum-phase filters with these gains."""
    log_gain_BTF = log_gain_BTF.clamp(max=MAX_LOG_GAIN)
    cepstrum = torch.fft.irfft(log_gain_BTF, N_FFT)
    once = cepstrum[..., : N_FFT // 2 + 1]
    doubled = torch.cat([once[..., :1], 2 * once[..., 1:-1], once[..., -1:]], -1)
    phase = torch.fft.rfft(doubled, N_FFT).imag
    return torch.polar(log_gain_BTF.exp(), phase)
