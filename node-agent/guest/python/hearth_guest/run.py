"""The story of an instance: find, import, listen, say ready, serve, drain."""

import os
import signal
import sys
import time

from . import status
from .errors import own_frames
from .load import find_handler, load
from .server import Server, open_listener
from .shape import shape_of


def run():
    """Serves until SIGTERM; exits 1 when there is no handler that can be called."""
    # Another OCI runtime makes it PID 1, which has no default action; the server says more later.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: os._exit(143))
    # Into a pipe Python would keep lines back until 8 KiB are full.
    sys.stdout.reconfigure(line_buffering=True)
    try:
        started = time.perf_counter()
        root = os.getcwd()
        file, attribute = find_handler(root, os.environ.get("HEARTH_HANDLER", ""))
        module = load(root, file)
        app = app_for(*shape_of(module, file, attribute))
        import_ms = (time.perf_counter() - started) * 1000
        app.start()
        listener = open_listener()
    except BaseException as error:  # noqa: BLE001 - also SystemExit of the function's top level
        status.say_failed(error)
        print(own_frames(error), file=sys.stderr, flush=True)
        _exit(1)
        return
    server = Server(listener, app)
    if not status.has_pipe():
        port = os.environ.get("PORT", "8080")
        print(f"listening on http://127.0.0.1:{port}", file=sys.stderr)
    status.say_ready(import_ms)
    server.serve()
    app.stop()
    _exit(0)


def app_for(kind, target):
    """The server side of a shape; ASGI is imported only for who uses it: asyncio takes 40 ms."""
    if kind == "asgi":
        from .asgi_app import AsgiApp

        return AsgiApp(target)
    if kind == "wsgi":
        from .wsgi_app import WsgiApp

        return WsgiApp(target)
    from .handler_app import HandlerApp

    return HandlerApp(target)


def _exit(code):
    """Threads of the function do not hold the process; what was printed is."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
