"""Finds and imports the handler's module."""

import importlib.util
import os
import sys

from .errors import HandlerInvalid

NAMES = ("app", "main", "handler", "function")
FOLDERS = ("", "src")


def find_handler(root, asked):
    """(path of the module's file, attribute or None), from HEARTH_HANDLER or by rule.

    `asked` is `module:attr`, `package.module:attr`, `file.py`, or empty.
    """
    if asked:
        name, _, attribute = asked.partition(":")
        path = name if name.endswith(".py") else name.replace(".", os.sep) + ".py"
        for candidate in (path, os.path.join(path[: -len(".py")], "__init__.py")):
            file = os.path.join(root, candidate)
            if os.path.isfile(file):
                return file, attribute or None
        raise HandlerInvalid(f'handler "{asked}" is not a module in {root}')
    for folder in FOLDERS:
        for name in NAMES:
            file = os.path.join(root, folder, name + ".py")
            if os.path.isfile(file):
                return file, None
    names = ", ".join(name + ".py" for name in NAMES)
    raise HandlerInvalid(f"no handler in {root}: looked for {names}")


def load(root, file):
    """The module of `file`, under the name by which the function's other modules know it."""
    folder = os.path.dirname(file)
    for path in (folder, root):
        if path not in sys.path:
            sys.path.insert(0, path)
    relative = os.path.relpath(file, root)[: -len(".py")]
    parts = relative.split(os.sep)
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    if len(parts) > 1 and all(part.isidentifier() for part in parts):
        if os.path.isfile(os.path.join(root, parts[0], "__init__.py")):
            return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(parts[-1], file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[parts[-1]] = module
    spec.loader.exec_module(module)
    return module
