"""Source-filter synthesis of nano's codec: pulses at a pitch, noise, and minimum-phase filters."""

import math

import pytest
import torch

from vallecli.codec.source_filter import (
    BINS,
    DECIBEL,
    HOP,
    N_FFT,
    PAUSE_DB,
    PITCHES,
    SAMPLE_RATE,
    SOFTER_DB,
    Controls,
    SourceFilter,
    filters,
    interpolation,
    noise,
    pitches,
    pulses,
)

SILENT = -20.0  # a log gain


@pytest.mark.parametrize("hertz", [75, 120, 240, 480])
def test_pulses_have_the_pitch_and_the_power_of_noise(hertz: int) -> None:
    wav = pulses(torch.full((1, 75), float(hertz)))[0]
    spectrum = torch.fft.rfft(wav).abs()  # a second, so a bin is 1 Hz
    peaks = spectrum.topk(10).indices
    assert (peaks % hertz == 0).all()
    assert wav.std().item() == pytest.approx(1, rel=0.02)
    assert noise(torch.zeros(1, 75)).std().item() == pytest.approx(1, rel=0.02)


def test_there_are_no_pulses_in_unvoiced_frames() -> None:
    hertz_BT = torch.zeros(2, 40)
    hertz_BT[0, 10:30] = 150
    wav = pulses(hertz_BT)
    assert not wav[1].any()
    assert not wav[0, : 9 * HOP].any()
    assert not wav[0, 31 * HOP :].any()
    assert wav[0, 11 * HOP : 29 * HOP].std() > 0.9


def test_a_filter_has_its_gain_and_is_causal() -> None:
    log_gain_BTF = torch.rand(1, 4, 24, generator=torch.Generator().manual_seed(0)) * 4 @ interpolation(24)
    made = filters(log_gain_BTF)
    assert torch.allclose(made.abs(), log_gain_BTF.exp(), rtol=1e-4)
    ringing = torch.fft.irfft(made, N_FFT).square()
    assert (ringing[..., N_FFT // 2 :].sum(-1) < 1e-3 * ringing.sum(-1)).all()


def test_filters_with_gain_1_do_not_change_the_source() -> None:
    hertz_BT = torch.linspace(90, 200, 50)[None]
    flat, silent = torch.zeros(1, 50, BINS), torch.full((1, 50, BINS), SILENT)
    voice, logits = SourceFilter(4), torch.zeros(1, 50, PITCHES + 1)
    inside = slice(HOP, -HOP)  # the edges fade
    out = voice.render(hertz_BT, Controls(logits, flat, silent))
    assert out.shape == (1, 50 * HOP)
    assert torch.allclose(out[:, inside], pulses(hertz_BT)[:, inside], atol=1e-4)
    out = voice.render(hertz_BT, Controls(logits, silent, flat))
    assert torch.allclose(out[:, inside], noise(hertz_BT)[:, inside], atol=1e-4)


def test_the_pitch_is_the_mean_of_the_most_likely_classes() -> None:
    steps = pitches(torch.device("cpu"))
    logits = torch.full((1, 4, PITCHES + 1), -10.0)
    logits[0, 0, 40] = 5
    logits[0, 1, 40] = logits[0, 1, 41] = 5
    logits[0, 2:, PITCHES] = 5
    hertz = Controls(logits, torch.zeros(1, 4, BINS), torch.zeros(1, 4, BINS)).hertz()[0]
    assert hertz[0].item() == pytest.approx(steps[40].item(), rel=1e-3)
    assert hertz[1].item() == pytest.approx(math.sqrt(steps[40] * steps[41]), rel=1e-3)
    assert not hertz[2:].any()


def test_voicing_of_a_single_frame_is_that_of_its_neighbours() -> None:
    logits = torch.zeros(1, 12, PITCHES + 1)
    voiced = torch.tensor([0, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1])
    logits[0, :, 40] = 20.0 * voiced
    logits[0, :, PITCHES] = 20.0 * (1 - voiced)
    hertz = Controls(logits, torch.zeros(1, 12, BINS), torch.zeros(1, 12, BINS)).hertz()[0]
    assert (hertz > 0).tolist() == [False] * 5 + [True] * 7


def test_pauses_become_softer_and_speech_does_not_change() -> None:
    silent, decibels = torch.full((1, 4, BINS), SILENT), torch.tensor([0.0, -30.0, -45.0, -80.0])
    noise_BTF = (DECIBEL * decibels)[None, :, None].expand(1, 4, BINS)
    unvoiced = Controls(torch.zeros(1, 4, PITCHES + 1), noise_BTF, noise_BTF).with_softer_pauses(torch.zeros(1, 4))
    for gains_BTF in (unvoiced.noise_BTF, unvoiced.pulses_BTF):
        assert (gains_BTF[0, :, 0] / DECIBEL).tolist() == pytest.approx([0, -30, -45 - 45 + PAUSE_DB, -80 - SOFTER_DB])
    voiced = Controls(torch.zeros(1, 4, PITCHES + 1), noise_BTF, silent).with_softer_pauses(torch.full((1, 4), 100.0))
    assert torch.allclose(voiced.pulses_BTF, unvoiced.pulses_BTF, atol=1e-3)


def test_the_audio_has_the_predicted_pitch() -> None:
    torch.manual_seed(0)
    voice = SourceFilter(4)
    with torch.no_grad():
        voice.out.weight.zero_()
        voice.out.bias[: PITCHES + 1] = -10
        voice.out.bias[50] = 10
        voice.out.bias[-48:] = SILENT
        wav = voice(torch.zeros(1, 75, 4))[0]
    predicted = pitches(torch.device("cpu"))[50].item()
    loudest = torch.fft.rfft(wav).abs()[: SAMPLE_RATE // 48].argmax().item()  # up to 500 Hz
    assert loudest % predicted == pytest.approx(0, abs=2) or loudest % predicted == pytest.approx(predicted, abs=2)


def test_decoded_audio_has_softer_pauses() -> None:
    torch.manual_seed(0)
    voice, x_BTD = SourceFilter(4), torch.zeros(1, 60, 4)
    x_BTD[0, 30:, 0] = 1.0  # the second half is a pause
    with torch.no_grad():
        voice.out.weight.zero_()
        voice.out.weight[-48:, 0] = -50 * DECIBEL
        voice.out.bias[PITCHES] = 10.0  # unvoiced
        controls = voice.controls(x_BTD)
        plain, decoded = voice.render(controls.hertz(), controls)[0], voice(x_BTD)[0]
    speech, pause = slice(HOP, 28 * HOP), slice(34 * HOP, -HOP)
    assert torch.allclose(decoded[speech], plain[speech], atol=1e-6)
    softer = (decoded[pause].std() / plain[pause].std()).log().item() / DECIBEL
    assert softer == pytest.approx(PAUSE_DB - 50, abs=0.1)
