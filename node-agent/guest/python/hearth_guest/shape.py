"""Decides how to call what a module holds."""

import os

from .errors import HandlerInvalid

APP_NAMES = ("app", "application")
HANDLER_NAMES = ("handler",)


def shape_of(module, file, attribute):
    """("wsgi" | "asgi" | "handler", callable)."""
    if attribute is not None:
        if not hasattr(module, attribute):
            raise HandlerInvalid(f'"{os.path.basename(file)}" has no "{attribute}"')
        target = getattr(module, attribute)
        if not callable(target):
            kind = type(target).__name__
            raise HandlerInvalid(f'"{attribute}" of "{os.path.basename(file)}" is a {kind}')
        return kind_of(target, attribute in APP_NAMES), target
    for name in APP_NAMES:
        if callable(getattr(module, name, None)):
            target = getattr(module, name)
            return kind_of(target, True), target
    for name in HANDLER_NAMES:
        if callable(getattr(module, name, None)):
            target = getattr(module, name)
            return kind_of(target, False), target
    raise HandlerInvalid(
        f'"{os.path.basename(file)}" has nothing that can be called: it has {public_names(module)}; '
        "expected a WSGI or ASGI `app`, or `def handler(request, context)`"
    )


def kind_of(target, is_app):
    """An app takes (scope, receive, send) when it is ASGI, (environ, start_response) when WSGI.

    Any other callable is a handler: the first parameter's name tells it from WSGI, unless it is
    called `app` and says nothing.
    """
    names = parameter_names(target)
    if len(names) == 3 and (is_async(target) or names[0] == "scope"):
        return "asgi"
    if is_async(target) or not 2 <= len(names) <= 3:
        return "wsgi" if is_app and not is_async(target) and not names else "handler"
    if names[0].startswith("env"):
        return "wsgi"
    return "wsgi" if is_app and names[0] not in ("request", "req", "event") else "handler"


_COROUTINE = 0x80  # inspect.CO_COROUTINE
_VARARGS = 0x04  # inspect.CO_VARARGS


def _code_of(target):
    """The code object that a call of `target` runs, and how many parameters are bound already."""
    if not hasattr(target, "__code__") and not hasattr(target, "__func__"):
        target = getattr(target, "__call__", target)
    bound = 1 if getattr(target, "__self__", None) is not None else 0
    function = getattr(target, "__func__", target)
    # functools.wraps: the wrapper takes *args, what it wraps says the names.
    for _ in range(10):
        function = getattr(function, "__wrapped__", function)
    return getattr(function, "__code__", None), bound


def is_async(target):
    """Whether calling `target` gives a coroutine, for functions and for objects with __call__."""
    code, _ = _code_of(target)
    return code is not None and bool(code.co_flags & _COROUTINE)


def parameter_names(target):
    """Names of the parameters by position; () when nobody can tell, as for `*args`.

    From the code object: the module `inspect` would be a tenth of the time to start.
    """
    if takes_anything(target):
        return ()
    code, bound = _code_of(target)
    return code.co_varnames[bound : code.co_argcount]


def takes_anything(target):
    """Whether `target` has `*args`, or parameters that nobody can see."""
    code, _ = _code_of(target)
    return code is None or bool(code.co_flags & _VARARGS)


def public_names(module):
    """`"greet" (function) and "PORT" (int)`, eight at most."""
    names = [name for name in vars(module) if not name.startswith("_")]
    shown = [f'"{name}" ({type(getattr(module, name)).__name__})' for name in names[:8]]
    if len(names) > 8:
        shown.append(f"{len(names) - 8} more")
    return ", ".join(shown) or "nothing"
