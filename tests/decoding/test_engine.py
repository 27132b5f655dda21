"""How decoding of one request starts, samples and ends."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vallecli.decoding.batcher import ContinuousBatcher
from vallecli.decoding.cache import KVCache
from vallecli.decoding.engine import decode_one
from vallecli.decoding.request import CausalOutput, CausalRequest, StopReason
from vallecli.decoding.sampling import Sampling
from vallecli.families.valle.ar import AR, Prefix, audio_prefix
from vallecli.families.valle.backend import max_frames
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
    """An AR whose logits come from a script; it records its input."""

    def __init__(self, script: Logits, *, bos: Bos = "after_prompt", stop: Stop = "sample") -> None:
        super().__init__(model(bos=bos, stop=stop).config)
        self.script = script
        self.inputs: list[int] = []

    def prefill(self, prefix: Prefix, cache: KVCache, row: int) -> Tensor:
        cache.begin(row, self.prefix_size(prefix).sequence, position=len(prefix.audio_A))
        self.inputs = prefix.audio_A.tolist()
        return self._logits(0)

    def step(self, codes_B: Tensor, _cache: object) -> Tensor:
        self.inputs += codes_B.tolist()
        return self._logits(len(self.inputs))

    def _logits(self, inputs: int) -> Tensor:
        logits = torch.full((1, EOS + 1), -50.0)
        for code, logit in self.script(inputs).items():
            logits[0, code] = logit
        return logits


def generate(model: AR, prompt_P: Tensor, sampling: Sampling, **options: Callable[[int], None]) -> CausalOutput:
    prefix = Prefix(TEXT, audio_prefix(model.config, prompt_P))
    request = CausalRequest(prefix, sampling, max_frames(model.config, len(TEXT)))
    return decode_one(ContinuousBatcher(model, 1), request, **options)


def scripted(script: Iterable[dict[int, float]], sampling: Sampling, **options: object) -> tuple[list[int], StopReason]:
    frames = iter(script)
    output = generate(Scripted(lambda _: next(frames), **options), PROMPT, sampling)
    return output.codes_T.tolist(), output.stop_reason


GREEDY = Sampling(greedy=True)


def test_eos_ends_a_request_and_is_not_among_its_codes() -> None:
    assert scripted([{5: 1.0}, {6: 1.0}, {EOS: 1.0}], GREEDY) == ([5, 6], StopReason.EOS)


def test_eos_is_masked_before_min_frames() -> None:
    script = [{EOS: 2.0, 5: 1.0}] * 9
    assert scripted(script, Sampling(greedy=True, min_frames=3)) == ([5, 5, 5], StopReason.EOS)
    assert scripted(script, Sampling(min_frames=3, temperature=0.1)) == ([5, 5, 5], StopReason.EOS)
    assert scripted(script, Sampling(greedy=True, min_frames=0)) == ([], StopReason.EOS)


def test_max_frames_ends_a_request() -> None:
    assert scripted([{5: 1.0}] * 4, Sampling(greedy=True, max_frames=4)) == ([5] * 4, StopReason.MAX_FRAMES)


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({"bos": "start", "stop": "sample"}, PUBLISHED_LIMIT),  # VALL-E X
        ({"bos": "start", "stop": "argmax"}, PUBLISHED_LIMIT),  # lifeiteng/vall-e with prepend_bos
        ({"bos": "none", "stop": "argmax"}, PUBLISHED_LIMIT + 1),  # lifeiteng/vall-e
    ],
)
def test_speech_without_eos_is_cut_where_the_published_code_cuts_it(options: dict[str, object], limit: int) -> None:
    codes, reason = scripted([{5: 1.0}] * 99, GREEDY, **options)
    assert (len(codes), reason) == (limit, StopReason.MAX_FRAMES)
    codes, _ = scripted([{5: 1.0}] * 99, Sampling(greedy=True, max_frames=99), **options)
    assert len(codes) == limit


def test_with_stop_on_argmax_a_most_likely_eos_ends_speech_even_if_not_sampled() -> None:
    script = [{5: 9.0}, {6: 9.0}, {7: 9.0, EOS: 9.1}, {EOS: 9.0}]
    sampled = {
        stop: {tuple(scripted(script, Sampling(seed=s), stop=stop)[0]) for s in range(20)}
        for stop in ("sample", "argmax")
    }
    assert sampled == {"sample": {(5, 6), (5, 6, 7)}, "argmax": {(5, 6)}}


@pytest.mark.parametrize(
    ("bos", "inputs"),
    [("none", PROMPT.tolist()), ("start", [BOS, *PROMPT.tolist()]), ("after_prompt", [*PROMPT.tolist(), BOS])],
)
def test_the_input_of_the_model_is_the_prompt_with_bos_and_then_each_code(bos: Bos, inputs: list[int]) -> None:
    recorder = Scripted(lambda inputs: {7: 1.0} if inputs == 0 else {EOS: 1.0}, bos=bos)
    generate(recorder, PROMPT, GREEDY)
    assert recorder.inputs == [*inputs, 7]


def test_a_model_without_bos_needs_a_prompt() -> None:
    with pytest.raises(ValueError, match="needs a prompt"):
        generate(model(bos="none"), PROMPT[:0], GREEDY)
    assert len(generate(model(bos="start"), PROMPT[:0], Sampling(greedy=True, max_frames=2)).codes_T) > 0


def test_the_seed_alone_decides() -> None:
    random = model()

    def sampled(seed: int) -> list[int]:
        return generate(random, PROMPT, Sampling(seed=seed, min_frames=20, max_frames=20)).codes_T.tolist()

    first = sampled(3)
    torch.manual_seed(99)
    assert sampled(3) == first
    assert sampled(4) != first


def test_every_frame_is_reported_once_and_ctrl_c_is_raised() -> None:
    reported: list[int] = []
    sampling = Sampling(min_frames=5, max_frames=5)
    generate(model(), PROMPT, sampling, on_frame=reported.append)
    assert reported == [1, 2, 3, 4, 5]

    def stop(frame: int) -> None:
        if frame == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(model(), PROMPT, sampling, on_frame=stop)


@pytest.mark.parametrize(("frames", "used"), [(0, PROMPT), (2, PROMPT[:2]), (5, PROMPT)])
def test_the_ar_uses_the_first_frames_of_a_prompt(frames: int, used: Tensor) -> None:
    config = replace(model().config, ar_prompt_frames=frames)
    assert torch.equal(audio_prefix(config, PROMPT), torch.cat([used, torch.tensor([BOS])]))
