"""What a handler knows about its call."""

import json
import os
import re
import sys
import threading
import time

_CALL_ID = re.compile(r"^[\w.:-]{1,128}$", re.ASCII)
FUNCTION = os.environ.get("HEARTH_FUNCTION", "local")
REVISION = os.environ.get("HEARTH_REVISION", "local")
INSTANCE = os.environ.get("HEARTH_INSTANCE", "local")


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return 0.0


def _new_id():
    import uuid  # Only for calls without an id, which no gateway makes.

    return str(uuid.uuid4())


TIMEOUT_MS = _number(os.environ.get("HEARTH_TIMEOUT_MS")) or 30_000.0


class Logger:
    """One JSON object a line, each with the call id."""

    def __init__(self, call_id):
        self._call_id = call_id

    def debug(self, message, **fields):
        self._write("debug", message, fields)

    def info(self, message, **fields):
        self._write("info", message, fields)

    def warn(self, message, **fields):
        self._write("warn", message, fields)

    warning = warn

    def error(self, message, **fields):
        self._write("error", message, fields)

    def _write(self, level, message, fields):
        import datetime

        now = datetime.datetime.now(datetime.timezone.utc)
        line = {
            "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": level,
            "msg": message,
            "callId": self._call_id,
            "function": FUNCTION,
        }
        line.update(fields)
        stream = sys.stderr if level == "error" else sys.stdout
        # One write a line: lines of several threads do not mix.
        stream.write(json.dumps(line, default=str) + "\n")
        stream.flush()


class Context:
    """Call id, deadline and identity. `gone` is set when the caller has left."""

    def __init__(self, headers):
        call_id = headers.get("x-call-id", "")
        self.call_id = call_id if _CALL_ID.match(call_id) else _new_id()
        asked = _number(headers.get("x-deadline-ms"))
        self.deadline_ms = asked if 0 < asked < 8.64e15 else time.time() * 1000 + TIMEOUT_MS
        self.function = FUNCTION
        self.revision = REVISION
        self.instance = INSTANCE
        self.logger = Logger(self.call_id)
        self.gone = threading.Event()

    @property
    def deadline(self):
        """When the caller stops waiting, in UTC."""
        import datetime

        return datetime.datetime.fromtimestamp(self.deadline_ms / 1000, datetime.timezone.utc)

    def remaining_ms(self):
        """Milliseconds until the deadline, never below 0."""
        return max(0.0, self.deadline_ms - time.time() * 1000)
