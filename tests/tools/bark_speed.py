"""CPU time of Bark beside transformers' BarkModel: same random weights, same texts, same greedy tokens.

    python tests/tools/bark_speed.py --layers 12 --width 768 --tokens 100 --batch 1 8

Each program runs in a process of its own with one thread, and its codes are compared. Times are CPU seconds of the
process from semantic tokens to all codes, without loading, so that other load on the machine counts little.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from vallecli.codec.encodec import torchaudio_or_stand_in

TEXT = 40  # ids
CODES, UNUSED = 10_000, 12_048  # classes that no greedy choice may be: EOS, and those that suno masks


def config_of(args: argparse.Namespace) -> Any:
    with torchaudio_or_stand_in():
        from transformers import BarkConfig, EncodecConfig
    sizes = {"num_layers": args.layers, "hidden_size": args.width, "num_heads": args.width // 64, "bias": False}
    vocabularies = {"semantic": (129_600, 10_048), "coarse_acoustics": (12_096, 12_096), "fine_acoustics": (1056, 1056)}
    parts = {
        f"{name}_config": {**sizes, "input_vocab_size": inputs, "output_vocab_size": outputs}
        for name, (inputs, outputs) in vocabularies.items()
    }
    return BarkConfig(**parts, codec_config=EncodecConfig(num_filters=4).to_dict())


def write(folder: Path, args: argparse.Namespace) -> None:
    with torchaudio_or_stand_in():
        from transformers import BarkModel
    torch.manual_seed(0)
    config = config_of(args)
    model = BarkModel(config)
    with torch.no_grad():
        for part in (model.semantic, model.coarse_acoustics, model.fine_acoustics):
            for tensor in part.parameters():
                if tensor.ndim > 1:
                    tensor.normal_(std=0.06)
        model.semantic.lm_head.weight[CODES] = 0  # its logit is then 0, and never the largest
        model.coarse_acoustics.lm_head.weight[UNUSED:] = 0
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("codec_model.")}
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(config.to_dict(), default=str))


def texts(batch: int) -> torch.Tensor:
    return torch.randint(200, 119_000, (batch, TEXT), generator=torch.Generator().manual_seed(1))


def ours(folder: Path, batch: int, tokens: int) -> tuple[float, list[Any]]:
    import vallecli
    from vallecli.decoding import engine
    from vallecli.families.bark.pipeline import fine_codes

    backend: Any = vallecli.load(str(folder), device="cpu").backend
    started = time.process_time()
    how = {"early_stop": False, "seconds": (tokens - 0.5) / 49.9, "greedy": True, "min_eos_p": 0.0}
    requests = [(row, backend.semantic_request(ids, **how)) for row, ids in enumerate(texts(batch))]
    with backend.batcher(batch) as batcher:
        semantic = dict(engine.decode(batcher, requests))
    runs = [backend.coarse_run(semantic[row].codes_T) for row in range(batch)]
    sampling = backend.sampling_of(None, False, {"greedy": True, "min_eos_p": 0.0})
    decoded = time.process_time()
    coarse = backend._coarse(runs, [sampling] * batch)
    refined = time.process_time()
    codes = [fine_codes(backend, codes_TQ, None, sampling) for codes_TQ in coarse]
    ended = time.process_time()
    print(f"  semantic {decoded - started:.1f}, coarse {refined - decoded:.1f}, fine {ended - refined:.1f}")
    return ended - started, [codes_TQ.T.tolist() for codes_TQ in codes]


def theirs(folder: Path, batch: int, tokens: int) -> tuple[float, list[Any]]:
    with torchaudio_or_stand_in():
        from transformers import BarkConfig, BarkModel
        from transformers.models.bark.generation_configuration_bark import (
            BarkCoarseGenerationConfig,
            BarkFineGenerationConfig,
            BarkSemanticGenerationConfig,
        )
    model = BarkModel(BarkConfig.from_dict(json.loads((folder / "config.json").read_text())))
    model.load_state_dict(torch.load(folder / "pytorch_model.bin", weights_only=True), strict=False)
    model.eval()
    greedy = {"do_sample": False, "temperature": 1.0, "top_k": None, "top_p": None}
    semantic_config = BarkSemanticGenerationConfig(max_new_tokens=tokens, min_eos_p=None, **greedy)
    coarse_config = BarkCoarseGenerationConfig(**greedy)
    fine_config = BarkFineGenerationConfig(temperature=1.0)  # argmax, in transformers
    ids = torch.nn.functional.pad(texts(batch), (0, 256 - TEXT))
    mask = torch.nn.functional.pad(torch.ones(batch, TEXT, dtype=torch.long), (0, 256 - TEXT))
    started = time.process_time()
    with torch.inference_mode():
        semantic = model.semantic.generate(ids, semantic_generation_config=semantic_config, attention_mask=mask)
        decoded = time.process_time()
        coarse = model.coarse_acoustics.generate(
            semantic, semantic_generation_config=semantic_config, coarse_generation_config=coarse_config
        )
        refined = time.process_time()
        codes = model.fine_acoustics.generate(
            coarse,
            semantic_generation_config=semantic_config,
            coarse_generation_config=coarse_config,
            fine_generation_config=fine_config,
        )
    ended = time.process_time()
    print(f"  semantic {decoded - started:.1f}, coarse {refined - decoded:.1f}, fine {ended - refined:.1f}")
    return ended - started, codes.tolist()


def main() -> None:
    """Print the times and their ratio; fails if the codes differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--tokens", type=int, default=100, help="semantic tokens of each text: 50 are a second")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--run", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.run:
        seconds, codes = (ours if args.run == "ours" else theirs)(args.folder, args.batch[0], args.tokens)
        (args.folder / f"{args.run}.json").write_text(json.dumps([seconds, codes]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, args)
        for batch in args.batch:
            results = {}
            for run in ("ours", "theirs"):
                print(f"batch {batch}, {'valle' if run == 'ours' else 'transformers'}:", flush=True)
                own = [f"--tokens={args.tokens}", f"--folder={folder}", f"--run={run}", f"--batch={batch}"]
                subprocess.run([sys.executable, __file__, *own], check=True)
                results[run] = json.loads((folder / f"{run}.json").read_text())
            (seconds, codes), (other, expected) = results["ours"], results["theirs"]
            equal = torch.tensor(codes) == torch.tensor(expected)
            print(f"batch {batch}: {seconds:.1f} s, transformers {other:.1f} s, {other / seconds:.2f} times as fast")
            if not equal.all():
                raise SystemExit(f"{(~equal).sum()} of {equal.numel()} codes differ")


if __name__ == "__main__":
    main()
