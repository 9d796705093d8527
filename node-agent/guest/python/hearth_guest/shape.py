"""Decides how to call what a module holds."""

import inspect
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


def is_async(target):
    """Whether calling `target` gives a coroutine, for functions and for objects with __call__."""
    call = getattr(target, "__call__", None)
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(call)


def parameter_names(target):
    """Names of the parameters by position; () when nobody can tell, as for `*args`."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return ()
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        return ()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(p.name for p in parameters if p.kind in kinds)


def takes_anything(target):
    """Whether `target` has `*args`, or a signature that nobody can see."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)


def public_names(module):
    """`"greet" (function) and "PORT" (int)`, eight at most."""
    names = [name for name in vars(module) if not name.startswith("_")]
    shown = [f'"{name}" ({type(getattr(module, name)).__name__})' for name in names[:8]]
    if len(names) > 8:
        shown.append(f"{len(names) - 8} more")
    return ", ".join(shown) or "nothing"
