"""Serves a WSGI application (PEP 3333)."""

import os
import sys
import urllib.parse

from io import BufferedReader


class WsgiApp:
    """Calls `app(environ, start_response)` in the connection's thread."""

    def __init__(self, app):
        self._app = app

    def start(self):
        """Nothing to be done before the first call."""

    def stop(self):
        """Nothing to be done after the last call."""

    def serve(self, head, body, answer, context):
        started = []

        def start_response(status, headers, exc_info=None):
            if answer.started and exc_info is not None:
                raise exc_info[1].with_traceback(exc_info[2])
            started[:] = [int(status.split(" ", 1)[0]), headers]
            return write

        def begin(length=None):
            if not answer.started:
                if not started:
                    raise RuntimeError("the application did not call start_response")
                answer.start(started[0], started[1], length)

        def write(data):
            begin()
            answer.send(data)

        result = self._app(environ_of(head, body), start_response)
        try:
            # A list of one is a whole body: its length is known (PEP 3333, Content-Length).
            whole = isinstance(result, (list, tuple)) and len(result) <= 1
            for data in result:
                if data or not whole:
                    begin(len(data) if whole and not _has_length(started) else None)
                    answer.send(data)
            begin(0 if whole and not _has_length(started) else None)
            answer.end()
        finally:
            if hasattr(result, "close"):
                result.close()


def _has_length(started):
    return bool(started) and any(name.lower() == "content-length" for name, _ in started[1])


def environ_of(head, body):
    """The environ of PEP 3333 for a request."""
    path, _, query = head.target.partition("?")
    headers = head.headers
    proto = "https" if headers.get("x-forwarded-proto", "") == "https" else "http"
    environ = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        # WSGI text is bytes seen as latin-1.
        "PATH_INFO": urllib.parse.unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "REQUEST_URI": head.target,
        "SERVER_NAME": (headers.get("host") or "localhost").rsplit(":", 1)[0],
        "SERVER_PORT": os.environ.get("PORT", "8080"),
        "SERVER_PROTOCOL": head.version,
        "REMOTE_ADDR": headers.get("x-forwarded-for", "127.0.0.1").split(",")[0].strip(),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": proto,
        "wsgi.input": BufferedReader(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if "content-type" in headers:
        environ["CONTENT_TYPE"] = headers["content-type"]
    if "content-length" in headers:
        environ["CONTENT_LENGTH"] = headers["content-length"]
    for name, value in headers.items():
        # `a_b` and `a-b` would be one variable: the former is not let in (CVE-2015-0219).
        if name not in ("content-type", "content-length") and "_" not in name:
            environ["HTTP_" + name.upper().replace("-", "_")] = value
    return environ
