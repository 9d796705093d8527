"""One connection: requests one after the other, each served by the app."""

import json
import socket
import sys
import threading

from .context import Context
from .errors import own_frames
from .http1 import Answer, BadRequest, Gone, Head, Headers, body_of, read_head

#: Longer than any gateway keeps its end (72 s): the gateway closes first, so no request is lost.
KEEP_ALIVE_SECONDS = 75
#: What of an unread body is read to keep the connection; more closes it.
UNREAD_BYTES_MAX = 256 * 1024


class Connection:
    """A connection and its thread. `close_idle` ends it unless a call is in flight."""

    def __init__(self, sock, app, server):
        self._socket = sock
        self._app = app
        self._server = server
        self._lock = threading.Lock()
        self._busy = False
        self._closed = False

    def run(self):
        reader = self._socket.makefile("rb", buffering=64 * 1024)
        try:
            while self._next(reader):
                pass
        except (OSError, Gone):
            pass
        finally:
            with self._lock:
                self._closed = True
            reader.close()
            self._socket.close()
            self._server.forget(self)

    def close_idle(self):
        """Ends the wait for the next request; a call in flight ends the connection itself."""
        with self._lock:
            if not self._busy and not self._closed:
                try:
                    # A request that has arrived can still be read, and is the last.
                    self._socket.shutdown(socket.SHUT_RD)
                except OSError:
                    pass

    def _next(self, reader):
        self._socket.settimeout(KEEP_ALIVE_SECONDS)
        try:
            # The first byte decides that a call is in flight.
            if not reader.peek(1):
                return False
            with self._lock:
                self._busy = True
            self._socket.settimeout(None)
            head = read_head(reader)
            if head is None:
                return False
            return self._serve(head, reader)
        except BadRequest as error:
            self._refuse(error)
            return False
        finally:
            with self._lock:
                self._busy = False

    def _serve(self, head, reader):
        def write_continue():
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

        answer = Answer(head, self._socket.sendall, not self._server.draining)
        body = body_of(head, reader, write_continue)
        context = Context(head.headers)
        try:
            self._app.serve(head, body, answer, context)
        except (BadRequest, Gone):
            context.gone.set()
            return False
        except (BrokenPipeError, ConnectionResetError):
            context.gone.set()
            return False
        except Exception as error:  # noqa: BLE001 - whatever the function raised
            if not self._fail(error, answer, context):
                return False
        return answer.keep_alive and not self._server.draining and body.drain(UNREAD_BYTES_MAX)

    def _fail(self, error, answer, context):
        """The function's own 500; once bytes have left the connection breaks instead."""
        sys.stderr.write(f"call {context.call_id} failed: {own_frames(error)}\n")
        sys.stderr.flush()
        if answer.started:
            # No last chunk and no full length: the caller sees that the body is cut.
            return False
        text = {"error": "the function failed; its log says why", "callId": context.call_id}
        data = json.dumps(text, separators=(",", ":")).encode()
        answer.start(500, [("content-type", "application/json")], len(data))
        answer.send(data)
        answer.end()
        return True

    def _refuse(self, error):
        answer = Answer(Head("GET", "/", "HTTP/1.1", Headers([])), self._socket.sendall, False)
        data = json.dumps({"error": str(error)}).encode()
        answer.start(error.status, [("content-type", "application/json")], len(data))
        answer.send(data)
        answer.end()
