"""The exception that every function of the package raises."""
from __future__ import annotations

KINDS = ("ok", "invalid_argument", "unsupported", "not_found", "unavailable", "compile", "device", "io", "corrupt", "timeout",
         "cancelled", "internal")


class Error(RuntimeError):
    """What went wrong: what was given, what is supported, how to mend it.

    kind: who has to act: "invalid_argument", "unsupported", "not_found", "unavailable", "compile", "device", "io", "corrupt",
      "timeout", "cancelled", or "internal" (please report it). The numbers of fsa_status in fsa_c.h, by name.
    message: one line, the same as str(error).
    """

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind
        self.message = message

    def __reduce__(self):
        return Error, (self.kind, self.message)


def bad(given: str, supported: str = "", remedy: str = "", kind: str = "invalid_argument") -> Error:
    """An error in the library's own three sentences."""
    text = given
    if supported:
        text += "; supported: " + supported
    if remedy:
        text += "; to mend it: " + remedy
    return Error(kind, text)
