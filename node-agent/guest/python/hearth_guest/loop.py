"""One asyncio loop for all async code of the function, in a thread of its own."""

import threading

#: Reads and writes of ASGI calls that may block at once; each waits for its caller.
BLOCKING_CALLS_MAX = 256

_lock = threading.Lock()
_loop = None


def loop():
    """The loop, started when it is first needed: asyncio costs 40 ms to import."""
    global _loop
    with _lock:
        if _loop is None:
            import asyncio

            from concurrent.futures import ThreadPoolExecutor

            _loop = asyncio.new_event_loop()
            _loop.set_default_executor(ThreadPoolExecutor(BLOCKING_CALLS_MAX, "io"))
            threading.Thread(target=_loop.run_forever, name="asyncio", daemon=True).start()
        return _loop


def run_coroutine(awaitable):
    """The awaitable's result, waited for by this thread."""
    import asyncio

    return asyncio.run_coroutine_threadsafe(_await(awaitable), loop()).result()


async def _await(awaitable):
    return await awaitable


_END = object()


async def _next(iterator):
    try:
        return await iterator.__anext__()
    except StopAsyncIteration:
        return _END


def sync_chunks(source):
    """An async iterator as a generator of this thread."""
    iterator = source.__aiter__()
    try:
        while True:
            item = run_coroutine(_next(iterator))
            if item is _END:
                return
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            run_coroutine(close())
