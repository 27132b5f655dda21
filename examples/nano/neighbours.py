"""The geometry of the codec's codebooks: which codes sound alike, and how well each code fits a frame."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from batches import Speech
from torch import Tensor

from vallecli.codec.nano import quantize
from vallecli.families.valle.ar import AR
from vallecli.families.valle.config import CODEBOOK_SIZE, NUM_CODEBOOKS
from vallecli.families.valle.nar import NAR

CALIBRATED = 2000  # frames for measuring the spread
SPREAD = 3.0  # number of codes that share a target (exponential of its entropy)
MOVED, MIXED = 0.8, 0.3  # maximum move towards another voice, and scale of the mixing of dimensions


class Neighbours:
    """The codebooks (Q, V, D), as a source of soft targets, varied inputs and initial embeddings."""

    def __init__(self, codebooks_QVD: Tensor) -> None:
        self.codebooks_QVD = codebooks_QVD
        self.seen_QD = codebooks_QVD.any(1)  # the dimensions that each codebook uses
        self.widths = [1.0] * len(codebooks_QVD)

    @classmethod
    def of(cls, codebooks_QVD: Tensor, speech: Speech) -> Neighbours:
        """Return the neighbours of codebooks, calibrated on some frames of speech."""
        frames = np.concatenate([row.codes_TQ for speaker in speech.spoken + speech.real for row in speaker])
        some_NQ = torch.from_numpy(frames[:: max(1, len(frames) // CALIBRATED)]).long()
        neighbours = cls(codebooks_QVD)
        neighbours.calibrate(some_NQ.to(codebooks_QVD.device))
        return neighbours

    def calibrate(self, codes_NQ: Tensor) -> None:
        """Given frames of codes (N, Q), set the widths so that targets spread over SPREAD codes (geometric mean)."""
        for codebook in range(len(self.widths)):
            residual_ND = self.residual(codes_NQ, codebook)
            low, high = 1e-4, 1e4
            while high / low > 1.01:
                self.widths[codebook] = math.sqrt(low * high)
                target_NV = self.targets(residual_ND, codebook)
                entropy = -(target_NV * target_NV.clamp(min=1e-9).log()).sum(-1).mean().item()
                if entropy > math.log(SPREAD):
                    high = self.widths[codebook]
                else:
                    low = self.widths[codebook]

    def residual(self, codes_NQ: Tensor, codebook: int) -> Tensor:
        """Given frames of codes (N, Q), return the residual that a codebook had to approximate (N, D).

        That is the sum of its own vectors and those of all later codebooks.
        """
        parts = zip(codes_NQ.unbind(-1)[codebook:], self.codebooks_QVD[codebook:], strict=True)
        return torch.stack([F.embedding(code_N, table) for code_N, table in parts]).sum(0)

    def targets(self, residual_ND: Tensor, codebook: int) -> Tensor:
        """Given the residual that a codebook has to approximate (N, D), return a distribution over its codes (N, V)."""
        seen = self.seen_QD[codebook]
        squares = torch.cdist(residual_ND[:, seen], self.codebooks_QVD[codebook][:, seen]).square()
        return (-squares / self.widths[codebook]).softmax(-1)

    def vary(self, codes_NQ: Tensor, codebook: int) -> tuple[Tensor, Tensor]:
        """Given frames of codes (N, Q), resample the codes below `codebook` among their neighbours.

        Returns the codes (N, Q) and the residual that `codebook` then has to approximate (N, D).
        """
        varied_NQ, residual_ND = codes_NQ.clone(), self.residual(codes_NQ, 0)
        for below in range(codebook):
            varied_NQ[:, below] = torch.multinomial(self.targets(residual_ND, below), 1)[:, 0]
            residual_ND = residual_ND - F.embedding(varied_NQ[:, below], self.codebooks_QVD[below])
        return varied_NQ, residual_ND

    @torch.no_grad()
    def bend(self, codes_BAQ: Tensor, present_BA: Tensor) -> Tensor:
        """Given codes (B, A, Q) and a mask of valid frames, return the codes (B, A, Q) in randomly transformed voices.

        The latents of codebooks 2 to 8 are moved towards the mean of another row, and their dimensions are mixed at
        random. All frames of a row get the same transform, so prompt and speech stay one voice. The result is
        quantized again; codebook 1 is unchanged.
        """
        seen = self.seen_QD[1]
        rest_BAD = self.residual(codes_BAQ, 1)[..., seen]
        rows, _, dims = rest_BAD.shape
        mean_B1D = (rest_BAD * present_BA[..., None]).sum(1, keepdim=True) / present_BA.sum(1)[:, None, None]
        far_B11 = torch.rand(2, rows, 1, 1, device=codes_BAQ.device)
        mixing_BDD = MIXED * far_B11[0] * torch.randn(rows, dims, dims, device=codes_BAQ.device) / dims**0.5
        off_BAD = rest_BAD - mean_B1D
        moved_B1D = mean_B1D + MOVED * far_B11[1] * (mean_B1D.roll(1, 0) - mean_B1D)
        rest_BAD = moved_B1D + off_BAD + off_BAD @ mixing_BDD
        return torch.cat([codes_BAQ[..., :1], quantize(rest_BAD, self.codebooks_QVD[1:, :, seen])], -1)

    @torch.no_grad()
    def start(self, model: AR | NAR, generator: torch.Generator) -> None:
        """Initialize the code embeddings and heads of a new model as random projections of the codebooks."""
        if isinstance(model, AR):
            tables = [(model.audio_embedding.weight, 0), (model.head.weight, 0)]
        else:
            tables = [(table.weight, codebook) for codebook, table in enumerate(model.audio_embeddings)]
            tables.append((model.heads[-1].weight, len(model.heads)))
        dims, width = self.codebooks_QVD.shape[2], tables[0][0].shape[1]
        projections = torch.randn(NUM_CODEBOOKS, dims, width, generator=generator)
        for weight, codebook in tables:
            table_VD = self.codebooks_QVD[codebook].cpu()
            rows = (table_VD - table_VD.mean(0)) @ projections[codebook]
            mixed = 0.9 * rows / rows.std() + 0.4 * torch.randn(rows.shape, generator=generator)
            weight[:CODEBOOK_SIZE] = mixed.to(weight.device) * weight.std()
