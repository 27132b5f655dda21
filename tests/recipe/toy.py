"""Run a stage of nano's recipe, told by its name, with its constants at toy size: python toy.py lm --run ..."""

import importlib
import math
import sys
from pathlib import Path

RECIPE = Path(__file__).parents[2] / "examples" / "nano"
TOY = {
    "codec": {"codec": {"LOG_EVERY": 1, "SAVE_EVERY": 2, "ALIGN_EVERY": 2}},
    # A classifier of a few steps recognises nothing, so every word is taken for a passage.
    "tokens": {
        "tokens": {"SHORTEST": 1, "ENOUGH": 1, "PAUSE": 0, "RECOGNISED": -math.inf},
        "batches": {"HELD_OUT": 1},
        "retell": {"STEPS": 3, "BATCH": 2, "LOG_EVERY": 1, "SAVE_EVERY": 2},
    },
    "lm": {
        "batches": {"HELD_OUT": 1},
        "lm": {"LOG_EVERY": 1, "SAVE_EVERY": 2},
    },
}

stage = sys.argv.pop(1)
sys.path.insert(0, str(RECIPE))
for name, constants in TOY.get(stage, {}).items():
    module = importlib.import_module(name)
    for constant, value in constants.items():
        if not hasattr(module, constant):
            raise AttributeError(f"{name}.py has no {constant}")
        setattr(module, constant, value)

if __name__ == "__main__":
    importlib.import_module(stage).main()
