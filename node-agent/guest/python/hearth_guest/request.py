"""What a handler gets: the request."""

import json as json_module
import urllib.parse


class Request:
    """Method, URL, headers and body of a call. The body is read when it is asked for."""

    def __init__(self, head, body):
        path, _, query = head.target.partition("?")
        self.method = head.method
        self.path = urllib.parse.unquote(path)
        self.raw_path = path
        self.query_string = query
        self.headers = head.headers
        #: A binary file: `read(n)`, `read1(n)`, `readinto(b)`.
        self.stream = body
        self._data = None

    @property
    def url(self):
        """The absolute URL that the caller asked for."""
        proto = "https" if self.headers.get("x-forwarded-proto", "") == "https" else "http"
        host = self.headers.get("x-forwarded-host") or self.headers.get("host") or "localhost"
        query = "?" + self.query_string if self.query_string else ""
        return f"{proto}://{host}{self.raw_path}{query}"

    @property
    def query(self):
        """The first value of each query parameter."""
        parsed = urllib.parse.parse_qs(self.query_string, keep_blank_values=True)
        return {name: values[0] for name, values in parsed.items()}

    @property
    def body(self):
        """The whole body."""
        if self._data is None:
            parts = []
            while True:
                part = self.stream.read1()
                if not part and self.stream.finished:
                    break
                parts.append(part)
            self._data = b"".join(parts)
        return self._data

    @property
    def text(self):
        """The body as UTF-8."""
        return self.body.decode("utf-8", "replace")

    def json(self):
        """The body as JSON."""
        return json_module.loads(self.body)

    def __iter__(self):
        """Chunks of the body as they arrive."""
        while not self.stream.finished:
            part = self.stream.read1()
            if part:
                yield part
