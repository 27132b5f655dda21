"""How the AR loop begins, draws and ends."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vallecli.decoding import ar
from vallecli.decoding.sampling import Sampling
from vallecli.decoding.stepper import Stepper
from vallecli.decoding.utterance import Speech, StopReason, Utterance, audio_prefix
from vallecli.families.valle.ar import AR
from vallecli.decoding.cache import KVCache
from vallecli.families.valle.config import BOS, EOS, Bos, ModelConfig, Stop

TEXT = torch.tensor([1, 2, 3])
PROMPT = torch.tensor([10, 11, 12, 13])
PUBLISHED_LIMIT = 16 * len(TEXT)
Logits = Callable[[int], dict[int, float]]


def model(*, bos: Bos = "after_prompt", stop: Stop = "sample") -> AR:
    torch.manual_seed(0)
    sizes = {"d_model": 32, "n_heads": 2, "n_layers": 2, "nar_d_model": 32, "nar_n_heads": 2, "nar_n_layers": 1}
    return AR(ModelConfig(text_vocab=20, **sizes, bos=bos, stop=stop)).eval()


class Scripted(AR):
    """An AR whose logits come from a script, and that remembers what it was fed."""

    def __init__(self, script: Logits, *, bos: Bos = "after_prompt", stop: Stop = "sample") -> None:
        super().__init__(model(bos=bos, stop=stop).config)
        self.script = script
        self.fed: list[int] = []

    def prefill(self, text_S: Tensor, audio_A: Tensor, cache: KVCache, row: int, **_: object) -> Tensor:
        cache.begin(row, len(text_S), len(audio_A))
        self.fed = audio_A.tolist()
        return self._logits(0)

    def step(self, codes_B: Tensor, _cache: object) -> Tensor:
        self.fed += codes_B.tolist()
        return self._logits(len(self.fed))

    def _logits(self, fed: int) -> Tensor:
        logits = torch.full((1, EOS + 1), -50.0)
        for code, logit in self.script(fed).items():
            logits[0, code] = logit
        return logits


def generate(model: AR, prompt: Tensor, sampling: Sampling, **options: Callable[[int], None]) -> Speech:
    return ar.generate(Stepper(model, 1), Utterance(TEXT, prompt[:, None], sampling), **options)


def speak(script: Iterable[dict[int, float]], sampling: Sampling, **options: object) -> tuple[list[int], StopReason]:
    frames = iter(script)
    speech = generate(Scripted(lambda _: next(frames), **options), PROMPT, sampling)
    return speech.codes_T.tolist(), speech.stop_reason


GREEDY = Sampling(greedy=True)


def test_eos_ends_speech_and_is_not_part_of_it() -> None:
    assert speak([{5: 1.0}, {6: 1.0}, {EOS: 1.0}], GREEDY) == ([5, 6], StopReason.EOS)


def test_before_min_frames_eos_is_forbidden() -> None:
    script = [{EOS: 2.0, 5: 1.0}] * 9
    assert speak(script, Sampling(greedy=True, min_frames=3)) == ([5, 5, 5], StopReason.EOS)
    assert speak(script, Sampling(min_frames=3, temperature=0.1)) == ([5, 5, 5], StopReason.EOS)
    assert speak(script, Sampling(greedy=True, min_frames=0)) == ([], StopReason.EOS)


def test_max_frames_ends_speech() -> None:
    assert speak([{5: 1.0}] * 4, Sampling(greedy=True, max_frames=4)) == ([5] * 4, StopReason.MAX_FRAMES)


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({"bos": "start", "stop": "sample"}, PUBLISHED_LIMIT),  # VALL-E X
        ({"bos": "start", "stop": "argmax"}, PUBLISHED_LIMIT),  # lifeiteng/vall-e with prepend_bos
        ({"bos": "none", "stop": "argmax"}, PUBLISHED_LIMIT + 1),  # lifeiteng/vall-e
    ],
)
def test_speech_without_end_is_cut_where_the_published_code_cuts_it(options: dict[str, object], limit: int) -> None:
    codes, reason = speak([{5: 1.0}] * 99, GREEDY, **options)
    assert (len(codes), reason) == (limit, StopReason.MAX_FRAMES)
    codes, _ = speak([{5: 1.0}] * 99, Sampling(greedy=True, max_frames=99), **options)
    assert len(codes) == limit


def test_with_the_argmax_rule_an_eos_that_is_likeliest_ends_speech_undrawn() -> None:
    script = [{5: 9.0}, {6: 9.0}, {7: 9.0, EOS: 9.1}, {EOS: 9.0}]
    drawn = {
        stop: {tuple(speak(script, Sampling(seed=s), stop=stop)[0]) for s in range(20)} for stop in ("sample", "argmax")
    }
    assert drawn == {"sample": {(5, 6), (5, 6, 7)}, "argmax": {(5, 6)}}


@pytest.mark.parametrize(
    ("bos", "fed"),
    [("none", PROMPT.tolist()), ("start", [BOS, *PROMPT.tolist()]), ("after_prompt", [*PROMPT.tolist(), BOS])],
)
def test_what_the_model_hears(bos: Bos, fed: list[int]) -> None:
    scripted = Scripted(lambda fed: {7: 1.0} if fed == 0 else {EOS: 1.0}, bos=bos)
    generate(scripted, PROMPT, GREEDY)
    assert scripted.fed == [*fed, 7]


def test_without_bos_there_must_be_a_prompt() -> None:
    with pytest.raises(ValueError, match="needs a prompt"):
        generate(model(bos="none"), PROMPT[:0], GREEDY)
    assert len(generate(model(bos="start"), PROMPT[:0], Sampling(greedy=True, max_frames=2)).codes_T) > 0


def test_the_seed_alone_decides() -> None:
    babbler = model()

    def take(seed: int) -> list[int]:
        return generate(babbler, PROMPT, Sampling(seed=seed, min_frames=20, max_frames=20)).codes_T.tolist()

    first = take(3)
    torch.manual_seed(99)
    assert take(3) == first
    assert take(4) != first


def test_every_frame_is_reported_once_and_ctrl_c_gets_through() -> None:
    heard: list[int] = []
    sampling = Sampling(min_frames=5, max_frames=5)
    generate(model(), PROMPT, sampling, on_frame=heard.append)
    assert heard == [1, 2, 3, 4, 5]

    def stop(frame: int) -> None:
        if frame == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(model(), PROMPT, sampling, on_frame=stop)


@pytest.mark.parametrize(("frames", "heard"), [(0, PROMPT), (2, PROMPT[:2]), (5, PROMPT)])
def test_the_ar_hears_the_beginning_of_a_prompt(frames: int, heard: Tensor) -> None:
    config = replace(model().config, ar_prompt_frames=frames)
    assert torch.equal(audio_prefix(config, PROMPT), torch.cat([heard, torch.tensor([BOS])]))
