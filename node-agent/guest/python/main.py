"""Starts the guest runner: `python3 main.py`, in the folder of the function."""

import os
import sys

# Bytecode of the function's folder cannot be written there; it would only cost failed calls.
sys.dont_write_bytecode = True
sys.path[0] = os.path.dirname(os.path.abspath(__file__))

from hearth_guest.run import run  # noqa: E402

run()
