"""Stage 3, tokens: convert the speech of stage 1, and with --recordings real recordings, to codes and phonemes.

    python examples/nano/tokens.py --run runs/nano
    python examples/nano/tokens.py --run runs/nano --recordings voices/

Writes RUN/tokens/SPEAKER.npz or voice-RECORDING-VERSION.npz with the rows of a speaker, concatenated: codes (T, 8);
codebook 1 as hibari-tts would produce it (T,); text ids (S,); for each frame the index of the text id that sounds (-1
between words); and the lengths of the rows. A speaker whose file exists is skipped, so the stage can be resumed.

Synthetic speech: rows whose words do not match between the two front ends are left out (3 to 4 %). The codes of
hibari-tts are those of its unchanged voice, which stage 1 stores.

Recordings: each needs a transcript beside it (a.txt for a.flac) and counts as one speaker. Its phoneme times are found
from its codebook 1, with statistics of the synthetic speech, where the times are known. It is cut at pauses into
passages of about a sentence; passages that are not recognized, mostly because the transcript is wrong, are left out.
The codes of hibari-tts are predicted by a network that is first trained on the synthetic speech (retell.py). The same
recording in other voices (--versions) gives more training data.
"""

from __future__ import annotations

import argparse
import functools
import math
import multiprocessing
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import retell
import torch
from align import SILENCE, SILENT, SOUND_CLASS, SOUNDS, Transcript, sounding
from batches import Row, load_speaker
from common import CODEBOOK_SIZE, FRAME_RATE, HOP, log, write_beside
from speech import REAL, read_speaker, rows, speakers
from voice import OtherVoice

from vallecli.audio import files, prompt
from vallecli.codec.nano import NanoCodec, NanoCodecConfig
from vallecli.errors import EmptyText
from vallecli.text.arpabet import ArpabetFrontEnd
from vallecli.text.english.normalize import normalize

LEAD, TAIL = 12 * HOP, 8 * HOP  # samples kept around the words; hibari-tts sounds up to 8 frames before its times
SHORTEST, ENOUGH, LONGEST = 1 * FRAME_RATE, 2 * FRAME_RATE, 6 * FRAME_RATE  # frames of a passage; cut from ENOUGH on
PAUSE = 6  # frames of silence after which a passage can end
RECOGNISED = -2.5  # mean log-probability of a passage's frames; lower means a wrong transcript, or noise
UNHEARD = 0.5  # pseudo-count of code and sound pairs


@functools.cache
def _tools(run: Path) -> tuple[NanoCodec, ArpabetFrontEnd]:
    codec = NanoCodec(NanoCodecConfig()).eval()
    codec.load_state_dict(torch.load(run / "codec.frozen.pt", weights_only=True))
    return codec, ArpabetFrontEnd()


@functools.cache
def _reteller(run: Path) -> retell.Reteller:
    return retell.load(run, _tools(run)[0])


@functools.cache
def sound_logits(run: Path) -> np.ndarray:
    """Return log counts (1024, C): how often each code of codebook 1 occurs with each sound in the synthetic speech."""
    sounds = [*(symbol.rstrip("012") for symbol in ArpabetFrontEnd.vocabulary), SILENCE]  # the last: no phoneme
    classes = np.array([SOUND_CLASS.get(sound, SOUND_CLASS[SILENCE]) for sound in sounds])
    counts = np.full((CODEBOOK_SIZE, len(SOUNDS)), UNHEARD)
    for speaker in speakers(run):
        tokens = run / "tokens" / f"{speaker.stem}.npz"
        for row in load_speaker(tokens) if tokens.exists() else []:
            phones_T = retell.phones(row.sounding_T, row.text_S)
            np.add.at(counts, (row.codes_TQ[:, 0], classes[phones_T]), 1)
    return np.log(counts)


def encode_speaker(speaker: Path, *, run: Path) -> int:
    """Write the tokens of one synthetic speaker; return the number of rows."""
    target = run / "tokens" / f"{speaker.stem}.npz"
    if target.exists():
        return 0
    codec, front_end = _tools(run)
    audio_N2 = read_speaker(speaker)
    found: list[Row] = []
    for row in rows(speaker):
        ids, words = front_end.encode_words(normalize(row["text"]))
        if max(words) + 1 != len(row["phones"].split(" ")):
            continue
        begin = max(0, row["phone_ends"][0] - LEAD)
        end = min(row["end"] - row["start"], row["phone_ends"][-1] + TAIL)
        both_2N = audio_N2[row["start"] + begin : row["start"] + end].T.astype(np.float32) / 32768
        codes_TQ, plain_TQ = codec.encode(torch.from_numpy(both_2N)).numpy()
        symbols = [front_end.vocabulary[i] for i in ids]
        sounding_T = sounding(row["phones"], row["phone_ends"], symbols, words, begin, len(codes_TQ))
        found.append(Row(codes_TQ, plain_TQ[:, 0], sounding_T, np.array(ids)))
    return write(target, found)


def encode_recording(recording: Path, *, run: Path, versions: int) -> int:
    """Write the tokens of one recording in its original and in other voices; return the number of passages."""
    targets = [run / "tokens" / f"{REAL}{recording.stem}-{version}.npz" for version in range(versions)]
    if targets[-1].exists():
        return 0
    codec, front_end = _tools(run)
    rate = codec.grid.sample_rate
    wav_N = files.read_audio(recording, sample_rate=rate)
    wav = prompt.prepare(wav_N, recording, sample_rate=rate, max_seconds=math.inf).wav
    text = recording.with_suffix(".txt").read_text()
    try:
        transcript = Transcript.of(text, front_end)
    except EmptyText:
        return 0
    codes_TQ = codec.encode(torch.from_numpy(wav)[None])[0]
    if (aligned := transcript.align(sound_logits(run)[codes_TQ[:, 0]])) is None:
        return 0
    path_T, score_T = aligned
    owner_T = transcript.owner_N[path_T]
    rng, voices = random.Random(recording.stem), [codes_TQ]
    while len(voices) < versions:  # Praat keeps the timing
        other = OtherVoice.draw(rng).speak(wav, rng)
        voices.append(codec.encode(torch.from_numpy(other)[None])[0])
    ids = np.array(transcript.ids)
    retold_T = _reteller(run).retell(codec.dequantize(torch.stack(voices)), retell.phones(owner_T, ids))
    count = 0
    for voice_TQ, target in zip(voices, targets, strict=True):
        found = passages(voice_TQ.numpy(), retold_T, owner_T, score_T, transcript)
        count += write(target, found)
    return count


def passages(
    codes_TQ: np.ndarray, retold_T: np.ndarray, owner_T: np.ndarray, score_T: np.ndarray, transcript: Transcript
) -> list[Row]:
    """Cut a recording at its pauses and return the passages that are recognized."""
    sounds = np.flatnonzero(owner_T != SILENT)
    word_T = np.array(transcript.words)[owner_T[sounds]]
    first_of = {int(word): int(sounds[word_T == word][0]) for word in np.unique(word_T)}
    last_of = {int(word): int(sounds[word_T == word][-1]) for word in np.unique(word_T)}
    found, start, ended = [], 0, 0
    order = sorted(first_of)
    for at, word in enumerate(order):
        final = at == len(order) - 1
        following = len(owner_T) if final else first_of[order[at + 1]]
        begin = max(ended, first_of[order[start]] - LEAD // HOP)
        end = min(following, last_of[word] + 1 + TAIL // HOP)
        if not final and (end - begin < ENOUGH or following - last_of[word] <= PAUSE):
            continue
        letters = [i for i, owner in enumerate(transcript.words) if order[start] <= owner <= word]
        heard = score_T[begin:end][owner_T[begin:end] != SILENT].mean()
        if SHORTEST <= end - begin <= LONGEST and heard > RECOGNISED:
            inside = owner_T[begin:end]
            sounding_T = np.where(inside == SILENT, SILENT, inside - letters[0])
            text_S = np.array(transcript.ids[letters[0] : letters[-1] + 1])
            found.append(Row(codes_TQ[begin:end], retold_T[begin:end], sounding_T, text_S))
        start, ended = at + 1, end
    return found


def write(target: Path, found: list[Row]) -> int:
    """Write the rows of one speaker, if there are any; return their number."""
    if not found:
        return 0
    with write_beside(target) as path, path.open("wb") as file:
        np.savez(
            file,
            frames=[len(row.codes_TQ) for row in found],
            letters=[len(row.text_S) for row in found],
            codes=np.concatenate([row.codes_TQ for row in found]).astype(np.int16),
            retold=np.concatenate([row.retold_T for row in found]).astype(np.int16),
            sounding=np.concatenate([row.sounding_T for row in found]).astype(np.int16),
            text=np.concatenate([row.text_S for row in found]).astype(np.int16),
        )
    return len(found)


def encode_all(run: Path, kind: str, encode: Callable[..., int], sources: list[Path], workers: int) -> None:
    """Write the tokens of all sources of one kind, in parallel."""
    began, matched = time.time(), 0
    with multiprocessing.Pool(workers, torch.set_num_threads, (1,)) as pool:
        for done, count in enumerate(pool.imap_unordered(functools.partial(encode, run=run), sources), 1):
            matched += count
            if done % 50 == 0 or done == len(sources):
                log(run, "tokens", **{kind: done}, rows=matched, seconds=time.time() - began)


def main() -> None:
    """Encode every speaker whose file does not exist yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder of this run")
    parser.add_argument("--recordings", type=Path, help="a folder of real speech with a transcript beside each file")
    parser.add_argument("--versions", type=int, default=7, help="voices of each recording, including the original")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    args = parser.parse_args()
    (args.run / "tokens").mkdir(exist_ok=True)
    recordings = (
        [path.with_suffix(".flac") for path in sorted(args.recordings.glob("*.txt"))] if args.recordings else []
    )
    encode_all(args.run, "speakers", encode_speaker, speakers(args.run), args.workers)
    if recordings:
        retell.learn(args.run, _tools(args.run)[0])
        encode_voices = functools.partial(encode_recording, versions=args.versions)
        encode_all(args.run, "recordings", encode_voices, recordings, args.workers)


if __name__ == "__main__":
    main()
