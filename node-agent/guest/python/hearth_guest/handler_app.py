"""Serves `def handler(request, context)`, sync or async."""

from .loop import run_coroutine, sync_chunks
from .request import Request
from .result import write_result
from .shape import parameter_names, takes_anything


class HandlerApp:
    """Calls the handler with as many of (request, context) as it takes."""

    def __init__(self, handler):
        self._handler = handler
        self._count = 2 if takes_anything(handler) else min(len(parameter_names(handler)), 2)

    def start(self):
        """Nothing to be done before the first call."""

    def stop(self):
        """Nothing to be done after the last call."""

    def serve(self, head, body, answer, context):
        arguments = (Request(head, body), context)[: self._count]
        result = self._handler(*arguments)
        if hasattr(result, "__await__"):
            result = run_coroutine(result)
        if hasattr(result, "__aiter__"):
            result = sync_chunks(result)
        write_result(answer, result)
