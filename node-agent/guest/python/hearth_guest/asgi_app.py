"""Serves an ASGI 3 application: lifespan and http (asgi.readthedocs.io, specs/www)."""

import asyncio
import os
import urllib.parse

from .loop import loop, run_coroutine

STOP_SECONDS_MAX = 10


class AsgiApp:
    """Runs `app(scope, receive, send)` on the loop; the connection's thread does the IO."""

    def __init__(self, app):
        self._app = app
        self._state = {}
        self._events = None
        self._started = None
        self._stopped = None
        self._task = None

    def start(self):
        """Runs the startup part of lifespan; an application without lifespan is fine."""
        failure = run_coroutine(self._startup())
        if failure is not None:
            raise RuntimeError(f"lifespan startup failed: {failure}")

    def stop(self):
        """Runs the shutdown part of lifespan."""
        if self._task is not None and not self._task.done():
            run_coroutine(self._shutdown())

    async def _startup(self):
        self._events = asyncio.Queue()
        self._started = asyncio.get_running_loop().create_future()
        self._stopped = asyncio.Event()
        self._task = asyncio.ensure_future(self._lifespan())
        await self._events.put({"type": "lifespan.startup"})
        await asyncio.wait({self._task, self._started}, return_when=asyncio.FIRST_COMPLETED)
        return self._started.result() if self._started.done() else None

    async def _lifespan(self):
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}
        try:
            await self._app(scope, self._events.get, self._lifespan_send)
        except Exception as error:  # noqa: BLE001 - the specification: then there is no lifespan
            _ = error
        self._stopped.set()

    async def _lifespan_send(self, message):
        kind = message["type"]
        if kind.startswith("lifespan.startup.") and not self._started.done():
            failed = kind == "lifespan.startup.failed"
            self._started.set_result(message.get("message", "no reason") if failed else None)
        elif kind.startswith("lifespan.shutdown."):
            self._stopped.set()

    async def _shutdown(self):
        await self._events.put({"type": "lifespan.shutdown"})
        try:
            await asyncio.wait_for(self._stopped.wait(), STOP_SECONDS_MAX)
        except asyncio.TimeoutError:
            pass

    def serve(self, head, body, answer, context):
        run_coroutine(self._call(head, body, answer))
        if not answer.finished:
            raise RuntimeError("the application ended before its answer was whole")

    async def _call(self, head, body, answer):
        # Made on the loop: before Python 3.10 an Event belongs to the loop that made it.
        call = _Call(body, answer)
        await self._app(self._scope(head), call.receive, call.send)

    def _scope(self, head):
        path, _, query = head.target.partition("?")
        headers = head.headers
        host, _, port = (headers.get("host") or "localhost").rpartition(":")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version[-3:],
            "method": head.method.upper(),
            "scheme": "https" if headers.get("x-forwarded-proto", "") == "https" else "http",
            "path": urllib.parse.unquote(path),
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in headers.pairs
            ],
            "client": (headers.get("x-forwarded-for", "127.0.0.1").split(",")[0].strip(), 0),
            "server": (host or port, int(os.environ.get("PORT", "8080"))),
            "state": dict(self._state),
        }


class _Call:
    """receive and send of one call. Blocking IO runs in threads, so that the loop goes on."""

    def __init__(self, body, answer):
        self._body = body
        self._answer = answer
        self._more = True
        self._start = None
        self._ended = asyncio.Event()

    async def receive(self):
        if self._more:
            data = b""
            if not self._body.finished:
                data = await loop().run_in_executor(None, self._body.read1)
            self._more = not self._body.finished
            return {"type": "http.request", "body": data, "more_body": self._more}
        # Nothing else comes until the answer has ended: then the caller counts as gone.
        await self._ended.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if message["type"] == "http.response.start":
            self._start = message
            return
        if message["type"] != "http.response.body" or self._start is None:
            raise RuntimeError(f"unexpected message {message['type']}")
        data, more = message.get("body", b""), message.get("more_body", False)
        await loop().run_in_executor(None, self._write, data, more)
        if not more:
            self._ended.set()

    def _write(self, data, more):
        if not self._answer.started:
            pairs = [
                (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
                for name, value in self._start.get("headers", [])
            ]
            is_sized = any(name.lower() == "content-length" for name, _ in pairs)
            length = len(data) if not more and not is_sized else None
            self._answer.start(self._start["status"], pairs, length)
        self._answer.send(data)
        if not more:
            self._answer.end()
