"""The status pipe: one JSON line to the agent."""

import json
import os
import sys

from .errors import describe

# Programs that the function starts have no such pipe.
_fd = os.environ.pop("HEARTH_STATUS_FD", "")
_pipe = int(_fd) if _fd.isdigit() else None
if _pipe is not None:
    os.set_inheritable(_pipe, False)


def has_pipe():
    """Whether somebody waits for the line."""
    return _pipe is not None


def say_ready(import_ms):
    """The handler is loaded and the socket served. Only the first word counts."""
    _say({"ready": True, "importMs": round(import_ms, 2)})


def say_failed(error):
    """Why there will be no instance."""
    _say({"ready": False, "error": describe(error)})


def _say(status):
    global _pipe
    if _pipe is None:
        return
    pipe, _pipe = _pipe, None
    try:
        os.write(pipe, (json.dumps(status) + "\n").encode())
        os.close(pipe)
    except OSError as error:
        print(f"status pipe {pipe}: {error}", file=sys.stderr)
