"""HTTP/1.1 on one connection (RFC 9112): reads a request's head and body, writes answers."""

import io

LINE_BYTES_MAX = 64 * 1024
HEADER_BYTES_MAX = 64 * 1024
HEADERS_MAX = 200
CHUNK_BYTES_MAX = 64 * 1024
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class BadRequest(Exception):
    """The bytes are no request; the connection ends after a 400 (or `status`)."""

    def __init__(self, message, status=400):
        super().__init__(message)
        self.status = status


class Gone(Exception):
    """The caller closed the connection."""


class Headers:
    """Names without case; several of one name join with a comma. A list keeps what came."""

    def __init__(self, pairs):
        self.pairs = pairs
        self._map = {}
        for name, value in pairs:
            key = name.lower()
            joint = "; " if key == "cookie" else ", "
            self._map[key] = self._map[key] + joint + value if key in self._map else value

    def get(self, name, default=None):
        return self._map.get(name.lower(), default)

    def __getitem__(self, name):
        return self._map[name.lower()]

    def __contains__(self, name):
        return isinstance(name, str) and name.lower() in self._map

    def __iter__(self):
        return iter(self._map)

    def __len__(self):
        return len(self._map)

    def keys(self):
        return self._map.keys()

    def items(self):
        return self._map.items()


class Head:
    """Method, target, version and headers of a request."""

    def __init__(self, method, target, version, headers):
        self.method = method
        self.target = target
        self.version = version
        self.headers = headers
        connection = headers.get("connection", "").lower()
        self.keep_alive = version == "HTTP/1.1" and "close" not in connection


def read_head(reader):
    """The next request's head; None when the connection ended between requests."""
    line = _read_line(reader)
    # RFC 9112, 2.2: an empty line before the request line is ignored.
    if line == b"":
        line = _read_line(reader)
    if line is None:
        return None
    parts = line.split(b" ")
    if len(parts) != 3 or not parts[0] or not _TOKEN.issuperset(parts[0]):
        raise BadRequest("not a request line")
    version = parts[2].decode("latin-1")
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest("HTTP version is not served", 505)
    headers = Headers(_read_headers(reader))
    return Head(parts[0].decode("latin-1"), parts[1].decode("latin-1"), version, headers)


def _read_line(reader):
    line = reader.readline(LINE_BYTES_MAX + 1)
    if line == b"":
        return None
    if not line.endswith(b"\n"):
        raise BadRequest("line too long", 431) if len(line) > LINE_BYTES_MAX else Gone()
    return line[:-2] if line.endswith(b"\r\n") else line[:-1]


def _read_headers(reader):
    pairs = []
    total = 0
    while True:
        line = _read_line(reader)
        if line is None:
            raise Gone()
        if line == b"":
            return pairs
        total += len(line)
        if total > HEADER_BYTES_MAX or len(pairs) >= HEADERS_MAX:
            raise BadRequest("headers too large", 431)
        name, colon, value = line.partition(b":")
        # A blank before the colon or folded lines are how requests are smuggled (RFC 9112, 5).
        if not colon or not name or not _TOKEN.issuperset(name):
            raise BadRequest("not a header line")
        pairs.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))


def body_of(head, reader, write_continue):
    """The body's reader. Refuses what has two lengths (RFC 9112, 6.3)."""
    coding = head.headers.get("transfer-encoding")
    length = head.headers.get("content-length")
    if coding is not None:
        if length is not None or coding.lower() != "chunked":
            raise BadRequest("transfer-encoding is not served")
        raw = _Chunked(reader)
    else:
        if length is not None and not (length.isascii() and length.isdigit()):
            raise BadRequest("content-length is no number")
        raw = _Sized(reader, int(length or 0))
    if head.headers.get("expect", "").lower() == "100-continue":
        raw.before_read = write_continue
    return raw


class _Body(io.RawIOBase):
    """A file that ends with the body; `finished` once its last byte has been read."""

    before_read = None
    finished = False

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read1(self, size=CHUNK_BYTES_MAX):
        """Some bytes as soon as there are any; b"" at the end."""
        if self.finished:
            return b""
        if self.before_read is not None:
            before, self.before_read = self.before_read, None
            before()
        return self._some(max(1, size if size > 0 else CHUNK_BYTES_MAX))

    def drain(self, bytes_max):
        """Reads what the function left; False when that is more than `bytes_max`."""
        if self.before_read is not None:
            return self.finished
        while not self.finished and bytes_max > 0:
            bytes_max -= len(self.read1())
        return self.finished


class _Sized(_Body):
    def __init__(self, reader, length):
        self._reader = reader
        self._left = length
        self.finished = length == 0

    def _some(self, size):
        data = self._reader.read1(min(size, self._left))
        if data == b"":
            raise Gone()
        self._left -= len(data)
        self.finished = self._left == 0
        return data


class _Chunked(_Body):
    def __init__(self, reader):
        self._reader = reader
        self._left = 0

    def _some(self, size):
        if self._left == 0:
            self._left = self._next_size()
            if self._left == 0:
                # Trailers are read and dropped.
                _read_headers(self._reader)
                self.finished = True
                return b""
        data = self._reader.read1(min(size, self._left))
        if data == b"":
            raise Gone()
        self._left -= len(data)
        if self._left == 0 and _read_line(self._reader) != b"":
            raise BadRequest("chunk without its end")
        return data

    def _next_size(self):
        line = _read_line(self._reader)
        if line is None:
            raise Gone()
        digits = line.split(b";", 1)[0].strip()
        if not digits or len(digits) > 15 or not set(digits) <= set(b"0123456789abcdefABCDEF"):
            raise BadRequest("chunk size is no number")
        return int(digits, 16)


class Answer:
    """Writes one answer: whole with a length, or chunk by chunk."""

    def __init__(self, head, write, keep_alive):
        self._head = head
        self._write = write
        self.keep_alive = keep_alive and head.keep_alive
        self.started = False
        self.finished = False
        self._chunked = False
        self.bodyless = False
        self._left = None

    def start(self, status, headers, length=None):
        """Sends the head with the next bytes. `headers` are pairs; `length` of a known body."""
        reason = _reason(status)
        lines = [f"HTTP/1.1 {status} {reason}"]
        self.bodyless = self._head.method == "HEAD" or status in (204, 304)
        for name, value in headers:
            lower = name.lower()
            if lower == "content-length" and length is None and value.isdigit():
                length = int(value)
            elif lower not in ("content-length", "transfer-encoding", "connection", "keep-alive"):
                lines.append(f"{_clean(name)}: {_clean(value)}")
        if length is not None:
            if status not in (204, 304):
                lines.append(f"content-length: {length}")
            self._left = length
        elif not self.bodyless:
            self._chunked = self._head.version == "HTTP/1.1"
            self.keep_alive = self.keep_alive and self._chunked
            if self._chunked:
                lines.append("transfer-encoding: chunked")
        if not self.keep_alive:
            lines.append("connection: close")
        self.started = True
        self._pending = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def send(self, data):
        """Sends bytes of the body, and the head if it has not left yet."""
        head, self._pending = self._pending, b""
        if self.bodyless or not data:
            if head:
                self._write(head)
            return
        if self._chunked:
            self._write(head + b"%x\r\n" % len(data) + data + b"\r\n")
            return
        if self._left is not None:
            # More than was announced would be read as the next answer.
            data = data[: self._left]
            self._left -= len(data)
        self._write(head + data)

    def end(self):
        """The body is whole. One that is shorter than announced breaks the connection."""
        if self._pending or not self._chunked:
            self.send(b"")
        if self._chunked:
            self._write(b"0\r\n\r\n")
        if self._left and not self.bodyless:
            self.keep_alive = False
        self.finished = True


_REASONS = {200: "OK", 201: "Created", 204: "No Content", 302: "Found", 400: "Bad Request"}


def _reason(status):
    known = _REASONS.get(status)
    if known is None:
        import http  # Not for the common ones: 2 ms of a start.

        try:
            known = http.HTTPStatus(status).phrase
        except ValueError:
            known = "Status"
        _REASONS[status] = known
    return known


def _clean(text):
    """A header is one line: a line end in it would start another one."""
    text = str(text)
    if "\r" in text or "\n" in text or "\0" in text:
        raise ValueError(f"a header must not have line ends: {text[:80]!r}")
    return text
