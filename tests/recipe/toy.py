"""A stage of nano's recipe with its constants at toy size."""

import importlib
import math
import multiprocessing
import os
import sys
from multiprocessing.connection import Connection

SMALL = {"d_model": 64, "n_layers": 2, "nar_d_model": 64, "nar_n_layers": 2}
TOY = {
    "codec": {"LOG_EVERY": 1, "SAVE_EVERY": 2, "ALIGN_EVERY": 2},
    # A classifier of a few steps recognises nothing, so every word is taken for a passage.
    "tokens": {"SHORTEST": 1, "ENOUGH": 1, "PAUSE": 0, "RECOGNISED": -math.inf},
    "batches": {"HELD_OUT": 1},
    "retell": {"STEPS": 3, "BATCH": 2, "LOG_EVERY": 1, "SAVE_EVERY": 2},
    "lm": {"LOG_EVERY": 1, "SAVE_EVERY": 2},
}


def run(output: Connection, stage: str, *arguments: str) -> None:
    """Run a stage, told by its name; what it prints goes to `output`."""
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    output.close()
    sys.argv = [stage, *arguments]
    importlib.import_module("config").MODEL.update(SMALL)
    main = importlib.import_module(stage).main
    for name, constants in TOY.items():
        for constant, value in constants.items() if name in sys.modules else ():
            if not hasattr(sys.modules[name], constant):
                raise AttributeError(f"{name}.py has no {constant}")
            setattr(sys.modules[name], constant, value)
    multiprocessing.set_start_method("fork", force=True)  # a stage's own workers have these constants too
    main()
