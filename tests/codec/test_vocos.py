"""The Vocos modules equal the `vocos` package with the same random weights."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vallecli.codec.base import ENCODEC_GRID, Codec
from vallecli.codec.encodec import torchaudio_or_stand_in
from vallecli.codec.vocos import Backbone, ISTFTHead, VocosCodec, VocosDecoder
from vallecli.errors import CheckpointError, DamagedCheckpoint

CODEBOOK_SIZE, HOP = ENCODEC_GRID.codebook_size, ENCODEC_GRID.hop
CHANNELS, DIM, HIDDEN, LAYERS = 12, 16, 48, 3
CONDITIONS = 4  # bandwidths of the published model
N_FFT = 4 * HOP


@pytest.fixture(scope="module")
def vocos() -> SimpleNamespace:
    """Backbone and head of the package, whether or not torchaudio loads."""
    with torchaudio_or_stand_in(), pytest.MonkeyPatch.context() as patch:
        if not hasattr(sys.modules["torchaudio"], "functional"):  # it is the stand-in
            for name in ("torchaudio.functional", "torchaudio.functional.functional"):
                module = ModuleType(name)
                module.__dict__.update(_hz_to_mel=None, _mel_to_hz=None)  # for a head that is not used here
                patch.setitem(sys.modules, name, module)
        try:
            from vocos import Vocos
            from vocos.feature_extractors import EncodecFeatures
            from vocos.heads import ISTFTHead
            from vocos.models import VocosBackbone
        except ImportError as error:
            pytest.skip(f"vocos cannot be imported: {error}")
    return SimpleNamespace(
        VocosBackbone=VocosBackbone, ISTFTHead=ISTFTHead, Vocos=Vocos, EncodecFeatures=EncodecFeatures
    )


def randomized(module: nn.Module, seed: int) -> nn.Module:
    """Return the module with random weights, those of norms included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.3, generator=generator)
    return module.eval()


def features(frames: int, channels: int = CHANNELS) -> Tensor:
    return torch.randn(2, channels, frames, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("frames", [1, 2, 40])
@pytest.mark.parametrize("conditions", [0, CONDITIONS], ids=["plain", "conditioned"])
def test_backbone_equals_the_package(vocos: SimpleNamespace, conditions: int, frames: int) -> None:
    theirs = vocos.VocosBackbone(CHANNELS, DIM, HIDDEN, LAYERS, adanorm_num_embeddings=conditions or None)
    ours = Backbone(CHANNELS, DIM, HIDDEN, LAYERS, conditions=conditions).eval()
    ours.load_state_dict(randomized(theirs, 1).state_dict())
    with torch.inference_mode():
        for bandwidth in range(conditions) or [None]:
            chosen = None if bandwidth is None else torch.tensor(bandwidth)
            expected = theirs(features(frames), bandwidth_id=chosen)
            torch.testing.assert_close(ours(features(frames), chosen), expected, rtol=1e-5, atol=1e-5)


def test_each_condition_gives_another_output() -> None:
    ours = randomized(Backbone(CHANNELS, DIM, HIDDEN, LAYERS, conditions=CONDITIONS), 1)
    with torch.inference_mode():
        outs = [ours(features(5), torch.tensor(bandwidth)) for bandwidth in range(CONDITIONS)]
    assert all(not torch.equal(a, b) for i, a in enumerate(outs) for b in outs[:i])


@pytest.mark.parametrize("frames", [1, 3, 40])
def test_head_equals_the_package(vocos: SimpleNamespace, frames: int) -> None:
    theirs = vocos.ISTFTHead(DIM, N_FFT, HOP, padding="same")
    ours = ISTFTHead(DIM, N_FFT, HOP).eval()
    ours.load_state_dict(randomized(theirs, 2).state_dict())
    x_BTD = features(frames, DIM).transpose(1, 2)
    with torch.inference_mode():
        wav_BN = ours(x_BTD)
        assert wav_BN.shape == (2, frames * HOP)
        assert wav_BN.abs().max() > 0.01
        torch.testing.assert_close(wav_BN, theirs(x_BTD), rtol=1e-4, atol=1e-5)


def test_head_bounds_the_magnitude_as_the_package_does(vocos: SimpleNamespace) -> None:
    theirs = vocos.ISTFTHead(DIM, N_FFT, HOP, padding="same")
    ours = ISTFTHead(DIM, N_FFT, HOP).eval()
    ours.load_state_dict(theirs.eval().state_dict())
    loud_BTD = 2_000 * features(6, DIM).transpose(1, 2)  # whose exp() would be infinite
    with torch.inference_mode():
        wav_BN = ours(loud_BTD)
        assert wav_BN.isfinite().all()
        torch.testing.assert_close(wav_BN, theirs(loud_BTD), rtol=1e-3, atol=1e-2)


def published(vocos: SimpleNamespace) -> nn.Module:
    """Return the package's model as charactr/vocos-encodec-24khz configures it, with random weights."""
    features = vocos.EncodecFeatures.__new__(vocos.EncodecFeatures)  # its __init__ would download EnCodec
    nn.Module.__init__(features)
    features.encodec = SimpleNamespace(quantizer=SimpleNamespace(bins=CODEBOOK_SIZE))
    features.codebook_weights = nn.Parameter(torch.zeros(16 * CODEBOOK_SIZE, 128))
    backbone = vocos.VocosBackbone(128, 384, 1152, 8, adanorm_num_embeddings=CONDITIONS)
    model = vocos.Vocos(features, backbone, vocos.ISTFTHead(384, N_FFT, HOP, padding="same"))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1, generator=generator)
    return model.eval()


@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
def test_codec_equals_the_package_with_the_names_of_the_published_file(
    vocos: SimpleNamespace, tmp_path: Path, suffix: str
) -> None:
    theirs, path = published(vocos), tmp_path / f"weights{suffix}"
    state = theirs.state_dict()
    if suffix == ".bin":
        torch.save({**state, "feature_extractor.encodec.frame": torch.zeros(1)}, path)
    else:
        save_file(state, path)
    encoder = SimpleNamespace(encode=lambda wav_BN: wav_BN[:, ::HOP, None].long())
    codec: Codec = VocosCodec(encoder, VocosDecoder.from_weights(path))
    codes_BTQ = torch.randint(0, CODEBOOK_SIZE, (2, 7, 8), generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        expected = theirs.decode(theirs.codes_to_features(codes_BTQ.permute(2, 0, 1)), bandwidth_id=torch.tensor([2]))
    wav_BN = codec.decode(codes_BTQ)
    assert wav_BN.shape == (2, 7 * HOP)
    assert wav_BN.std() > 0.01
    torch.testing.assert_close(wav_BN, expected, rtol=1e-4, atol=1e-5)
    assert not torch.equal(codec.decode(codes_BTQ[..., :4]), wav_BN)
    assert codec.encode(torch.ones(1, 2 * HOP)).tolist() == [[[1], [1]]]


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"missing\.bin does not exist"):
        VocosDecoder.from_weights(tmp_path / "missing.bin")
    (tmp_path / "cut.bin").write_bytes(b"PK\x03\x04 and no more")
    torch.save({"backbone.embed.weight": torch.zeros(1)}, tmp_path / "other.bin")
    torch.save([1], tmp_path / "list.bin")
    for name in ("cut.bin", "other.bin", "list.bin"):
        with pytest.raises(DamagedCheckpoint, match=name) as caught:
            VocosDecoder.from_weights(tmp_path / name)
        assert "valle checkpoints pull vocos-encodec-24khz" in caught.value.hint
