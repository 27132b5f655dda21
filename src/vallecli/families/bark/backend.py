"""A loaded Bark, and its computations on token ids.

backend = vallecli.load("suno/", options={"tokenizer": "vocab.txt"}).backend
voice = backend.read_voice("en_speaker_6.npz")
semantic_N = backend.generate_semantic("Hello there.", voice, greedy=True)
coarse_TQ = backend.generate_coarse(semantic_N, voice, greedy=True)
codes_TQ = backend.generate_fine(coarse_TQ, voice, temperature=None)
wav_N = backend.codes_to_audio(codes_TQ)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vallecli import device as devices
from vallecli.audio.prompt import PreparedPrompt, shorten
from vallecli.checkpoints.contents import Contents
from vallecli.checkpoints.modules import skeletons
from vallecli.codec.base import ENCODEC_GRID
from vallecli.codec.encodec import EncodecCodec
from vallecli.codec.select import Codecs, CodecSpec
from vallecli.decoding import engine
from vallecli.decoding.request import CausalOutput, CausalRequest
from vallecli.decoding.sampling import Sampling, SamplingTable, scores
from vallecli.errors import CheckpointError, ForeignPreset, InputError, UsageError
from vallecli.families.bark.config import (
    COARSE,
    COARSE_CODEBOOKS,
    CODEBOOK_SIZE,
    FINE,
    FRAME_RATE,
    LANGUAGES,
    MAX_COARSE_HISTORY,
    MAX_SEMANTIC,
    MAX_TEXT,
    NUM_CODEBOOKS,
    SEMANTIC,
    SEMANTIC_RATE,
    SEMANTIC_SIZE,
    TEXT_SIZE,
    VOCABULARIES,
    WINDOW,
    BarkConfig,
    GptConfig,
    tokens_for,
    tokens_of,
    tokens_within,
)
from vallecli.families.bark.files import (
    NAME,
    VOCABULARIES_BESIDE,
    VOCABULARY,
    Checkpoint,
    find_vocabulary,
    read,
    read_vocabulary,
)
from vallecli.families.bark.gpt import Coarse, Fine, Semantic
from vallecli.families.bark.pipeline import Pipeline, coarse_request, fine_codes
from vallecli.families.bark.presets import BarkPreset, BarkVoice, read_preset, save_preset
from vallecli.families.bark.stages import CoarseRun, History, refine, semantic_prefix
from vallecli.families.base import Generated, Options, Preset, Request, Tag, Voice
from vallecli.families.causal import CausalBackend, Ids, Limits, codes_to_int16
from vallecli.families.inference import fill, random_tensors
from vallecli.text.base import AUTO, Tokens
from vallecli.text.lexicon import Marked
from vallecli.text.reader import TextReader
from vallecli.text.wordpiece import WordPieceFrontEnd

if TYPE_CHECKING:
    from vallecli.families.bark.cloning import Cloner

EXTRA = "bark"
SAMPLING = Sampling(temperature=0.7, min_eos_p=0.2, min_frames=0)  # published defaults
FINE_TEMPERATURE = 0.5
LIMITS = Limits(max_prompt_frames=750, max_text_chars=180)  # 10 s, and text for 12 s: 15.4 s can be generated
SIZES = {
    "bark": GptConfig(layers=24, width=1024, heads=16),
    "bark-small": GptConfig(layers=12, width=768, heads=12),
}


class BarkBackend(CausalBackend):
    """The three models of a checkpoint, on one device and in one precision.

    In the computations on token ids, a text is a string or ids of the vocabulary (S,), `history` is a preset or a
    voice, semantic tokens are (N,) in 0..9999, and codes are (T, Q) in 0..1023. ValueError for an argument of another
    shape, or an id that is not in its table.
    """

    family = NAME
    needs_transcript = False

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: Options,
        *,
        device: torch.device,
        dtype: torch.dtype,
        codec: CodecSpec,
    ) -> None:
        """Build the models. Raises DamagedCheckpoint."""
        self.config, self._checkpoint, self._options = checkpoint.config, checkpoint, options
        self.running = options.get("history") == "running"
        self.fine_temperature = float(options.get("fine_temperature", FINE_TEMPERATURE))
        min_eos_p = min(1.0, float(options.get("min_eos_p", SAMPLING.min_eos_p)))
        super().__init__(
            checkpoint.name,
            device=device,
            dtype=dtype,
            sampling=replace(SAMPLING, min_eos_p=min_eos_p),
            limits=LIMITS,
            codec=codec,
        )
        with skeletons():
            self.semantic, self.coarse, self.fine = new_models(self.config)
        for name, model in ((SEMANTIC, self.semantic), (COARSE, self.coarse), (FINE, self.fine)):
            tensors, path = checkpoint.tensors, checkpoint.path
            fill(model, model.layers, tensors, f"{name}.", path, device=device, dtype=dtype)
        self.causal = self.semantic

    @cached_property
    def front_end(self) -> WordPieceFrontEnd:
        """Return the text front end. CheckpointError if there is no vocabulary, or that of another checkpoint."""
        return front_end_of(self._checkpoint.path, self._checkpoint.vocabulary)

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the languages that the model was trained on; the text alone says which one it is."""
        return LANGUAGES

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """Return the three models."""
        return self.semantic, self.coarse, self.fine

    @property
    def step_modules(self) -> tuple[nn.Module, ...]:
        """Return what a decode step of the semantic model reads, apart from single rows of the embeddings."""
        return self.semantic.layers, self.semantic.head

    @property
    def step_rate(self) -> float:
        """Return the semantic tokens per second."""
        return SEMANTIC_RATE

    # Voices

    def make_voice(self, recording: PreparedPrompt, transcript: str | None, source: str) -> BarkVoice:
        """Return the voice of a recording at 24 kHz, of its first 10 seconds. Raises as `clone`."""
        recording = shorten(recording, source, self.max_prompt_seconds)
        return self.preset_voice(self.clone(recording.wav, source), source)

    def clone(self, wav_N: npt.NDArray[np.float32] | Tensor, source: str = "a recording") -> BarkPreset:
        """Return the preset of a clip (N,) at 24 kHz, all of it. Raises as `cloner`, and PromptTooShort."""
        wav_N = torch.as_tensor(wav_N, dtype=torch.float32, device=self.device)
        codes_TQ = self.codec.encode(wav_N[None])[0, :, :NUM_CODEBOOKS]
        return self.cloner.preset(wav_N, codes_TQ, source)

    @cached_property
    def cloner(self) -> Cloner:
        """Return HuBERT and its quantizer, loaded at first use. Raises CheckpointError and DependencyMissing."""
        from vallecli.families.bark.cloning import Cloner

        return Cloner.load(self._options, self.device)

    @property
    def voice_type(self) -> type[Voice]:
        """Return the class of the voices of this checkpoint."""
        return BarkVoice

    def preset_voice(self, preset: Preset, source: str) -> BarkVoice:
        """Return the voice of a preset. Raises ForeignPreset for one of another family."""
        if not isinstance(preset, BarkPreset):
            raise ForeignPreset(preset.family)
        return BarkVoice(preset.codes_PQ, source, semantic_N=preset.semantic_N, coarse_PQ=preset.coarse_PQ)

    def save_voice(self, voice: Voice, path: Path) -> None:
        """Write a voice as an .npz file that every program for Bark reads. Raises InputError and OutputNotWritable."""
        if not isinstance(voice, BarkVoice):
            raise _other_voice()
        save_preset(path, voice)

    def read_voice(self, path: str | PathLike[str]) -> BarkVoice:
        """Return the voice of an .npz file. Raises PresetError."""
        preset = read_preset(path)
        if preset is None:
            raise InputError(f"{path} is no preset of Bark", "Give an .npz file with semantic_prompt.")
        return self.preset_voice(preset, str(path))

    @property
    def independent(self) -> bool:
        """Return whether the first sentence is not the voice of the others."""
        return not self.running

    def random_voice(self, codes_PQ: Tensor, generator: torch.Generator) -> BarkVoice:
        """Return a voice with these codes, for measurements."""
        count = max(1, round(len(codes_PQ) * SEMANTIC_RATE / FRAME_RATE))
        semantic_N = torch.randint(0, SEMANTIC_SIZE, (count,), generator=generator)
        codes = codes_to_int16(codes_PQ)
        return BarkVoice(codes, "random", semantic_N=codes_to_int16(semantic_N), coarse_PQ=codes[:, :COARSE_CODEBOOKS])

    def _history(self, voice: Voice | Preset | None) -> History | None:
        """Return a voice as the models read it. Raises InputError for one of another family."""
        if voice is None:
            return None
        if not isinstance(voice, BarkVoice | BarkPreset) or voice.semantic_N is None or voice.coarse_PQ is None:
            raise _other_voice()
        arrays = (voice.semantic_N, voice.coarse_PQ, voice.codes_PQ)
        return History(*(torch.from_numpy(array).long().to(self.device) for array in arrays))

    def history_of(self, request: Request) -> History | None:
        """Return the voice of a request as the models read it. Raises InputError."""
        return self._history(request.voice)

    # Speaking

    def requests(
        self, text: str | Marked, voice: Voice, sampling: Sampling, *, language: str = AUTO, accent: str | None = None
    ) -> Iterator[Request]:
        """Yield the sentences of a text; lengths in frames become semantic tokens. See Backend.requests."""
        most = sampling.max_frames
        tokens = None if most is None else tokens_within(most)
        least = min(tokens_for(sampling.min_frames), tokens or MAX_SEMANTIC)
        sampling = replace(sampling, min_frames=least, max_frames=tokens)
        return super().requests(text, voice, sampling, language=language, accent=accent)

    def causal_request(self, request: Request) -> CausalRequest:
        """Return what the semantic model decodes for a request. Raises InputError."""
        ids_S = torch.tensor(request.tokens.ids, device=self.device)
        return CausalRequest(semantic_prefix(ids_S, self.history_of(request)), request.sampling, MAX_SEMANTIC)

    def generate(
        self,
        requests: Iterable[tuple[Tag, Request]],
        *,
        slots: int,
        on_frame: Callable[[Tag, int], None] | None = None,
        on_error: Callable[[Tag, Exception], None] | None = None,
    ) -> Iterator[tuple[Tag, Generated]]:
        """Yield the codes of each request as it is done; see Backend.generate."""
        with self.batcher(slots) as semantic, self.batcher(slots, self.coarse) as coarse:
            pipeline = Pipeline(self, semantic, coarse, requests, on_frame=on_frame, on_error=on_error)
            yield from pipeline.run()

    def finish(self, outputs: Sequence[tuple[Request, CausalOutput]]) -> list[Tensor]:
        """Return all codes (T, 8) of some requests, given their semantic tokens."""
        *_, (_, codes) = self.finishing(outputs)
        return codes

    def finishing(self, outputs: Sequence[tuple[Request, CausalOutput]]) -> Iterator[tuple[str, list[Tensor]]]:
        """Yield the codes of the coarse (T, 2) and the fine model (T, 8); see CausalBackend.finishing."""
        histories = [self.history_of(request) for request, _ in outputs]
        coarse = self._coarse(
            [CoarseRun(output.codes_T, history) for (_, output), history in zip(outputs, histories, strict=True)],
            [request.sampling for request, _ in outputs],
        )
        yield COARSE, coarse
        yield (
            FINE,
            [
                fine_codes(self, coarse_TQ, history, request.sampling)
                for (request, _), coarse_TQ, history in zip(outputs, coarse, histories, strict=True)
            ],
        )

    def _coarse(self, runs: Sequence[CoarseRun], samplings: Sequence[Sampling]) -> list[Tensor]:
        """Return the first two codebooks (T, 2) of some utterances, decoded together."""
        spans = [run.spans() for run in runs]
        with self.batcher(len(runs), self.coarse) as batcher:
            while True:
                current = [(index, span) for index, each in enumerate(spans) if (span := next(each, None)) is not None]
                if not current:
                    return [run.result() for run in runs]
                requests = [(index, coarse_request(runs[index], span, samplings[index])) for index, span in current]
                for index, output in engine.decode(batcher, requests):
                    runs[index].add(output.codes_T)

    def uncached_logits(self, request: Request, codes_T: Tensor) -> Tensor:
        """Return the next logits (1, 10001) of the semantic model behind some tokens (T,), without a cache."""
        prefix = self.causal_request(request).prefix
        return self.semantic.logits_after(prefix, codes_T)[-1:, : self.semantic.classes]

    def random_tokens(self, number: int, generator: torch.Generator) -> Tokens:
        """Return random text ids."""
        return Tokens(ids=torch.randint(0, TEXT_SIZE, (number,), generator=generator).tolist())

    # Computations on token ids

    def text_ids(self, text: str | Ids) -> Tensor:
        """Return the ids (S,) of a text in the vocabulary, all of them. Raises CheckpointError without a vocabulary."""
        ids = self.front_end.ids(text) if isinstance(text, str) else text
        return self.ids(ids, TEXT_SIZE, "text")

    def semantic_input(self, text: str | Ids, history: Voice | Preset | None = None) -> Tensor:
        """Return the ids (513,) that the semantic model reads: text, history, and the id that asks for tokens."""
        return semantic_prefix(self.text_ids(text), self._history(history)).ids_L.cpu()

    @torch.inference_mode()
    def semantic_logits(self, text: str | Ids, tokens: Ids, history: Voice | Preset | None = None) -> Tensor:
        """Return the logits (N + 1, 10048) of semantic tokens (N,), and of the next one, computed at once.

        Classes up to 9999 are tokens, 10000 is EOS, and the others are not used.
        """
        prefix = semantic_prefix(self.text_ids(text), self._history(history))
        tokens_N = self.ids(tokens, SEMANTIC_SIZE, "tokens")
        return self.semantic.logits_after(prefix, tokens_N).float().cpu()

    @torch.inference_mode()
    def logits(self, model: str, ids: Ids) -> Tensor:
        """Return the logits (L, V) behind each id of a sequence (L,); `model` is "semantic" or "coarse"."""
        models = {SEMANTIC: self.semantic, COARSE: self.coarse}
        if model not in models:
            raise ValueError(f"model is {model!r}, it must be one of {', '.join(models)}")
        return models[model].logits(self.ids(ids, VOCABULARIES[model][0], "ids")).float().cpu()

    def probabilities(self, logits: Tensor, **sampling: Any) -> Tensor:
        """Return the probabilities (T, V) that a step draws from, given logits (T, V) of the classes it chooses from.

        Keywords are fields of Sampling.
        """
        table = SamplingTable(1, torch.device("cpu"))
        table.set(0, replace(self.sampling, **sampling))
        return scores(logits.float(), table, tempered_last=True).softmax(-1)

    def semantic_request(
        self,
        text: str | Ids,
        history: Voice | Preset | None = None,
        *,
        seconds: float | None = None,
        early_stop: bool = True,
        **sampling: Any,
    ) -> CausalRequest:
        """Return what the engine decodes; see generate_semantic."""
        chosen = self.sampling_of(None if seconds is None else tokens_of(seconds), not early_stop, sampling)
        return CausalRequest(semantic_prefix(self.text_ids(text), self._history(history)), chosen, MAX_SEMANTIC)

    def generate_semantic(self, text: str | Ids, history: Voice | Preset | None = None, **how: Any) -> Tensor:
        """Return semantic tokens (N,) of a text, decoded with the cache.

        `seconds` limits the duration; without `early_stop`, speech has this duration, or the longest that is possible.
        Other keywords are fields of Sampling, such as `greedy` and `min_eos_p` (0 disables it).
        """
        return self.decode_alone(self.semantic_request(text, history, **how))

    def coarse_run(
        self,
        semantic: Ids,
        history: Voice | Preset | None = None,
        *,
        max_history: int = MAX_COARSE_HISTORY,
        window: int = WINDOW,
    ) -> CoarseRun:
        """Return the windows of semantic tokens (N,); `CoarseRun.input` returns what the model reads in each.

        `max_history` (60 to 630) is the number of earlier codes in a window, `window` (even) that of its codes.
        """
        if not WINDOW <= max_history <= MAX_COARSE_HISTORY or window < 2 or window % 2 or window > WINDOW:
            raise ValueError(f"max_history {max_history} and window {window} are outside 60..630 and 2, 4, ... 60")
        semantic_N = self.ids(semantic, SEMANTIC_SIZE, "semantic")
        return CoarseRun(semantic_N, self._history(history), max_history=max_history, window=window)

    def generate_coarse(
        self,
        semantic: Ids,
        history: Voice | Preset | None = None,
        *,
        max_history: int = MAX_COARSE_HISTORY,
        window: int = WINDOW,
        **sampling: Any,
    ) -> Tensor:
        """Return the first two codebooks (T, 2) of semantic tokens (N,); see `coarse_run`.

        Other keywords are fields of Sampling.
        """
        run = self.coarse_run(semantic, history, max_history=max_history, window=window)
        [codes_TQ] = self._coarse([run], [replace(self.sampling, **sampling)])
        return codes_TQ.cpu()

    def generate_fine(
        self,
        coarse: Ids,
        history: Voice | Preset | None = None,
        *,
        temperature: float | None = FINE_TEMPERATURE,
        seed: int = 0,
    ) -> Tensor:
        """Given the first 1 to 7 codebooks (T, Q), return all (T, 8); by argmax if `temperature` is None."""
        width = torch.as_tensor(coarse).shape[-1]
        given_TQ = self.ids(coarse, CODEBOOK_SIZE, "coarse", min(max(width, 1), NUM_CODEBOOKS - 1))
        generator = torch.Generator().manual_seed(seed)
        known = self._history(history)
        return refine(self.fine, given_TQ, known, temperature=temperature, generator=generator).cpu()

    @torch.inference_mode()
    def fine_logits(self, codes: Ids, codebook: int) -> Tensor:
        """Return the logits (T, 1056) of a codebook from 1 to 7, given all codes (T, 8), where 1024 is padding."""
        if not 1 <= codebook < NUM_CODEBOOKS:
            raise ValueError(f"codebook is {codebook}, it must be 1 to {NUM_CODEBOOKS - 1}")
        codes_TQ = self.ids(codes, VOCABULARIES[FINE][0], "codes", NUM_CODEBOOKS)
        return self.fine.logits(codes_TQ, codebook).float().cpu()

    def codes_to_audio(self, codes: Ids) -> npt.NDArray[np.float32]:
        """Return the audio (T * 320,) of codes (T, 8). Raises CheckpointError if there is no codec."""
        codes_TQ = self.ids(codes, CODEBOOK_SIZE, "codes", NUM_CODEBOOKS)
        wav_N: npt.NDArray[np.float32] = self.codec.decode(codes_TQ[None])[0].float().cpu().numpy()
        return wav_N


def _other_voice() -> InputError:
    return InputError("this voice was made for another checkpoint", "Make it again, from a recording or a preset.")


def new_models(config: BarkConfig) -> tuple[Semantic, Coarse, Fine]:
    """Return the three models."""
    return Semantic(config.semantic), Coarse(config.coarse), Fine(config.fine)


def front_end_of(path: Path, vocabulary: Path | None) -> WordPieceFrontEnd:
    """Return the front end. CheckpointError if there is no vocabulary, or that of another checkpoint."""
    if vocabulary is None:
        raise CheckpointError(
            f"{path} has no vocabulary, which the text needs",
            f"valle checkpoints pull {VOCABULARY}, or give its {VOCABULARIES_BESIDE[0]} as the loader option "
            "tokenizer=FILE.",
        )
    return WordPieceFrontEnd(
        read_vocabulary(vocabulary),
        str(vocabulary),
        languages=LANGUAGES,
        ids=TEXT_SIZE,
        max_tokens=MAX_TEXT,
        package=EXTRA,
    )


def text_reader(contents: Contents, options: Options) -> TextReader:
    """Return what reads texts for a checkpoint. Raises CheckpointError and DependencyMissing."""
    return TextReader(front_end_of(contents.folder, find_vocabulary(contents, options)), LIMITS.max_text_chars)


def load(contents: Contents, options: Options, *, device: torch.device, dtype: str, codecs: Codecs) -> BarkBackend:
    """Return the checkpoint, ready to speak. Raises CheckpointError and UsageError."""
    checkpoint = read(contents, options)
    precision = devices.pick_dtype(dtype, device, checkpoint.parameters)
    codec = codecs.encodec("encodec", name=checkpoint.name)
    if (stored := checkpoint.codec) and codecs.decoder in (None, "encodec"):
        codec = CodecSpec(grid=ENCODEC_GRID, load=lambda: EncodecCodec.from_tensors(stored, checkpoint.path))
    return BarkBackend(checkpoint, options, device=device, dtype=precision, codec=codec)


def random_backend(size: str, *, device: torch.device, dtype: str) -> BarkBackend:
    """Return a backend with random weights and a random codec. Raises UsageError for an unknown size."""
    if size not in SIZES:
        raise UsageError(f"there is no size {size!r}", f"Possible sizes: {', '.join(SIZES)}.")
    sizes = SIZES[size]
    config = BarkConfig(semantic=sizes, coarse=sizes, fine=sizes)
    with skeletons():
        semantic, coarse, fine = new_models(config)
    checkpoint = Checkpoint(
        name=f"random-{size}",
        path=Path(f"random-{size}"),
        config=config,
        tensors=random_tensors({f"{SEMANTIC}.": semantic, f"{COARSE}.": coarse, f"{FINE}.": fine}),
        vocabulary=None,
    )
    precision = devices.pick_dtype(dtype, device, checkpoint.parameters)
    codec = CodecSpec(grid=ENCODEC_GRID, load=lambda: EncodecCodec.random(0))
    return BarkBackend(checkpoint, {}, device=device, dtype=precision, codec=codec)
