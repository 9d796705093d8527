"""Errors of a start, and how errors of the function are shown."""

import os

GUEST_FOLDER = os.path.dirname(os.path.abspath(__file__))


class HandlerInvalid(Exception):
    """The handler cannot be called: no file, or nothing in it that is a handler."""


def own_frames(error):
    """The traceback of `error` without the guest's and importlib's frames, causes above it."""
    import traceback  # Only when something failed: 2 ms of a start.

    shown = traceback.TracebackException.from_exception(error, limit=-20)
    for part in _chain(shown):
        kept = [frame for frame in part.stack if not _is_foreign(frame.filename)]
        part.stack = traceback.StackSummary.from_list(kept)
    return "".join(shown.format()).rstrip("\n")


def _chain(part):
    seen = 0
    while part is not None and seen < 10:
        yield part
        part = part.__cause__ or part.__context__
        seen += 1


def _is_foreign(filename):
    return filename.startswith(GUEST_FOLDER) or filename.startswith("<frozen importlib")


def describe(error):
    """What the status line says about an error."""
    body = {"name": type(error).__name__, "message": str(error)}
    if isinstance(error, SyntaxError) and error.filename:
        body["message"] = f"{error.msg} ({os.path.basename(error.filename)}, line {error.lineno})"
    # A HandlerInvalid is raised by the guest: its frames say nothing to a user.
    if not isinstance(error, HandlerInvalid):
        body["stack"] = own_frames(error)
    return body
