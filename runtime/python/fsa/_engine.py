"""Engine: one device with its kernels."""
from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Callable, Mapping

from . import _library as c
from ._errors import bad

LOG_LEVELS = ("debug", "info", "warning")


def _bytes(text) -> bytes | None:
    return None if text is None else str(text).encode()


class Engine:
    """One device (a GPU or the CPU) and the kernels loaded on it. Thread-safe.

    device: "cpu", "cuda" (the first GPU) or "cuda:N".
    environment: start from the FSA_* environment variables that README.md lists; the other arguments go before them.
    num_threads: worker threads of the CPU device; 0: one for each core this process may use.
    cache: False neither reads nor writes the cache folder `cache_dir`.
    freeze: True makes a kernel that would have to be compiled an error.
    template_dir, pack, nvrtc_path: as in fsa/options.h.
    log: called as log(level, line) from any thread, never from a forward; level is "debug", "info" or "warning".

    Raises fsa.Error: "invalid_argument" (unknown device), "unavailable" (what this machine lacks), and those of the pack.
    """

    def __init__(self, device: str = "cpu", *, environment: bool = True, num_threads: int = 0, cache: bool = True, freeze: bool = False,
                 cache_dir=None, template_dir=None, pack=None, nvrtc_path=None, log: Callable[[str, str], None] | None = None):
        self._handle = None
        self._library = c.library()
        self._log = c.LOG_FN(lambda _, level, line: log(LOG_LEVELS[level], line.decode("utf-8", "replace"))) if log else c.LOG_FN()
        options = c.EngineOptions(ctypes.sizeof(c.EngineOptions), environment, num_threads, not cache, freeze, _bytes(cache_dir),
                                  _bytes(template_dir), _bytes(pack), _bytes(nvrtc_path), self._log, None)
        handle = ctypes.c_void_p()
        c.check(self._library.fsa_engine_create(device.encode(), ctypes.byref(options), ctypes.byref(handle)))
        self._handle = handle.value
        info = c.EngineInfo(ctypes.sizeof(c.EngineInfo))
        c.check(self._library.fsa_engine_get_info(self._handle, ctypes.byref(info)))
        self.device: str = info.device.decode()
        """"cpu" or "cuda:0"."""
        self.device_name: str = info.device_name.decode()
        """For people: name and driver."""
        self.target: str = info.target.decode()
        """What kernels are compiled for: "sm_90a", "x86-64-v4"."""

    def plan(self, op: str, problem: Mapping) -> "Plan":
        """A Plan of operator `op` (one of operator_names()) for `problem`, a mapping of the fields that fsa_c.h lists."""
        from ._plan import Plan
        return Plan(self, op, problem)

    def __del__(self):
        if getattr(self, "_handle", None):
            self._library.fsa_engine_destroy(self._handle)
            self._handle = None

    def __repr__(self) -> str:
        return f"fsa.Engine({self.device!r}: {self.device_name}, {self.target})"


_engines: dict[str, Engine] = {}
_lock = threading.Lock()


def default_engine(device: str) -> Engine:
    """The engine that the functions of this package use for tensors on `device`; opened on first use, with the environment."""
    if device == "cuda":
        device = "cuda:0"
    engine = _engines.get(device)
    if engine is None:
        with _lock:
            engine = _engines.get(device)
            if engine is None:
                engine = _engines[device] = Engine(device)
    return engine


def operator_names() -> list[str]:
    """The operators that plans can be made for: "selected_attention", ..."""
    names, library = [], c.library()
    while (name := library.fsa_operator_name(len(names))) is not None:
        names.append(name.decode())
    return names


def version() -> str:
    """The version of libfsa.so."""
    return c.library().fsa_version().decode()


def doctor() -> dict:
    """What can be used here: {"version", "library", "operators", "devices": {"cpu": {...}, "cuda:0": {...}}}.

    A device that cannot be opened has the key "error" with the reason. Raises fsa.Error where there is no libfsa.so.
    """
    from ._errors import Error
    devices: dict[str, dict] = {}
    for name in ("cpu", *(f"cuda:{i}" for i in range(64))):
        try:
            engine = Engine(name)
            devices[name] = {"name": engine.device_name, "target": engine.target}
        except Error as error:
            if name in ("cpu", "cuda:0"):
                devices[name] = {"error": error.message}
            if name != "cpu":
                break
    return {"version": version(), "library": c.library().path, "operators": operator_names(), "devices": devices}


def problem_text(problem: Mapping) -> bytes:
    try:
        return json.dumps(dict(problem)).encode()
    except (TypeError, ValueError) as reason:
        raise bad(f"the problem is no JSON object: {reason}", "a mapping of field names to numbers and dtype names") from None
