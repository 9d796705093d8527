"""Hearth's guest runner for Python: standard library only, Python 3.9 and later."""
