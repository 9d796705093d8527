"""Turns what a handler returned into an answer."""

import json

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"


def write_result(answer, result):
    """Sends text, bytes, JSON, (body, status[, headers]), a Response-like object, a generator."""
    status, headers, body = _parts(result)
    pairs = list(headers.items()) if hasattr(headers, "items") else list(headers or ())
    pairs = [(str(name), str(value)) for name, value in pairs]
    if body is None:
        answer.start(204 if status is None else status, pairs, 0)
        answer.end()
        return
    if isinstance(body, (str, bytes, bytearray, memoryview)) or not hasattr(body, "__next__"):
        data, kind = _whole(body)
        _default_type(pairs, kind)
        answer.start(200 if status is None else status, pairs, len(data))
        answer.send(data)
        answer.end()
        return
    _stream(answer, 200 if status is None else status, pairs, body)


def _parts(result):
    """(status or None, headers, body)."""
    if isinstance(result, tuple) and 2 <= len(result) <= 3:
        body, status = result[0], result[1]
        if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
            raise TypeError(f"status must be an integer from 200 to 599: it is {status!r}")
        return status, result[2] if len(result) == 3 else {}, body
    if hasattr(result, "status_code") or hasattr(result, "status"):
        return _response_like(result)
    return None, {}, result


def _response_like(result):
    """Objects of Flask, Werkzeug, Starlette, requests: status, headers, body."""
    status = getattr(result, "status_code", None)
    if status is None:
        status = getattr(result, "status")
    headers = getattr(result, "headers", None) or {}
    if hasattr(result, "get_data"):
        return int(status), headers, result.get_data()
    for name in ("body", "content", "data"):
        if hasattr(result, name):
            return int(status), headers, getattr(result, name)
    return int(status), headers, None


def _whole(body):
    if isinstance(body, str):
        return body.encode("utf-8"), TEXT
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body), BYTES
    return json.dumps(body, separators=(",", ":")).encode("utf-8"), "application/json"


def _stream(answer, status, pairs, chunks):
    try:
        first = next(chunks, None)
        _default_type(pairs, TEXT if isinstance(first, str) else BYTES)
        answer.start(status, pairs)
        if first is not None:
            answer.send(as_bytes(first))
        # The answer to HEAD ends with its head, however long the generator could go on.
        for chunk in chunks if not answer.bodyless else ():
            answer.send(as_bytes(chunk))
        answer.end()
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def as_bytes(chunk):
    """A chunk of a stream as bytes; objects become a line of JSON."""
    if isinstance(chunk, str):
        return chunk.encode("utf-8")
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        return bytes(chunk)
    return (json.dumps(chunk) + "\n").encode("utf-8")


def _default_type(pairs, kind):
    if not any(name.lower() == "content-type" for name, _ in pairs):
        pairs.append(("content-type", kind))
