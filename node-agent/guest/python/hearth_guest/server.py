"""Accepts connections, a thread each, and drains on SIGTERM."""

import os
import selectors
import signal
import socket
import sys
import threading
import time

from .connection import Connection

#: First inherited descriptor (sd_listen_fds(3)).
LISTEN_FD = 3
#: Connections at once: a gateway needs one for each call in flight.
CONNECTIONS_MAX = 1024
#: A thread's stack; the default of 8 MiB counts against the memory limit when it is touched.
STACK_BYTES = 512 * 1024


def open_listener():
    """The inherited socket, else one on all interfaces at $PORT."""
    if os.environ.pop("LISTEN_FDS", "") == "1":
        listener = socket.socket(fileno=LISTEN_FD)
        os.set_inheritable(LISTEN_FD, False)
        return listener
    port = int(os.environ.get("PORT", "8080"))
    return socket.create_server(("0.0.0.0", port), backlog=128)


class Server:
    """The connections of one listening socket."""

    def __init__(self, listener, app):
        self._listener = listener
        self._app = app
        self._connections = set()
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._empty = threading.Condition(self._lock)
        self.draining = False

    def serve(self):
        """Serves until SIGTERM, then until the last call in flight has ended."""
        threading.stack_size(STACK_BYTES)
        wake, waker = socket.socketpair()
        signal.signal(signal.SIGTERM, lambda _signal, _frame: waker.send(b"x"))
        self._listener.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(wake, selectors.EVENT_READ)
            while not any(key.fileobj is wake for key, _ in selector.select()):
                self._accept()
        # Only once: a second SIGTERM while draining changes nothing.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._drain()

    def _accept(self):
        self._slots.acquire()
        try:
            sock, _ = self._listener.accept()
        except OSError as error:
            self._slots.release()
            if not isinstance(error, BlockingIOError):
                sys.stderr.write(f"accept: {error}\n")
                time.sleep(0.01)
            return
        self._begin(sock)

    def forget(self, connection):
        """A connection has ended."""
        with self._empty:
            self._connections.discard(connection)
            self._empty.notify_all()
        self._slots.release()

    def _begin(self, sock):
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, self._app, self)
        with self._lock:
            self._connections.add(connection)
        threading.Thread(target=connection.run, daemon=True).start()

    def _drain(self):
        self.draining = True
        self._listener.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.close_idle()
        with self._empty:
            while self._connections:
                self._empty.wait()
