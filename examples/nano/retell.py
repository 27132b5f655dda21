"""What hibari says in place of a recording: its codebook 1, on the recording's timing.

The AR learns to speak as hibari does, whoever prompts it. The NAR is thus given a human's prompt and codes of hibari's,
which no recording shows until these codes take the place of its own. Stage 1's speech has the plain voice beside it.
"""

from __future__ import annotations

import random

import numpy as np
import torch
from align import SILENT, Transcript, sounding
from data import LEVEL, speak_phones, speaker_model

from vallecli.codec.nano import NanoCodec
from vallecli.text.arpabet import ArpabetFrontEnd
from vallecli.text.normalize import normalize


def retell(
    text: str, transcript: Transcript, owner_T: np.ndarray, codec: NanoCodec, front_end: ArpabetFrontEnd
) -> np.ndarray | None:
    """Given a recording's text and which of its ids sounds in each frame, return hibari's codes of codebook 1 (T,).

    Returns None where its words are not those of the transcript.
    """
    tts, _ = speaker_model()
    phones = [c for c in " ".join(tts.phonemize(normalize(text))) if c in tts.vocab]
    if phones.count(" ") != max(transcript.words):
        return None
    wav, phone_ends = speak_phones(phones, 1.0, random.Random(text))
    wav = (LEVEL * wav / np.abs(wav).max()).astype(np.float32)
    said_H = codec.encode(torch.from_numpy(wav)[None])[0, :, 0].numpy()
    symbols = [front_end.vocabulary[i] for i in transcript.ids]
    said_owner_H = sounding("".join(phones), phone_ends, symbols, transcript.words, 0, len(said_H))
    place_T = places(owner_T, said_owner_H)
    silent_T = (owner_T == SILENT) & (said_owner_H[place_T] != SILENT)  # hibari makes no pause there
    return np.where(silent_T, said_H[0], said_H[place_T])


def places(owner_T: np.ndarray, other_H: np.ndarray) -> np.ndarray:
    """Given which id sounds in each frame of two readings of a text, return each frame's place in the other one (T,).

    Ids that sound in both begin and end together; in between, time passes evenly.
    """
    here, there = [0], [0]
    for owner in np.intersect1d(owner_T[owner_T != SILENT], other_H[other_H != SILENT]):
        for ends, readings in ((here, owner_T), (there, other_H)):
            frames = np.flatnonzero(readings == owner)
            ends += [int(frames[0]), int(frames[-1]) + 1]
    centres = np.interp(np.arange(len(owner_T)) + 0.5, [*here, len(owner_T)], [*there, len(other_H)])
    return np.minimum(centres.astype(int), len(other_H) - 1)
