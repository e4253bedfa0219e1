"""Finds libfsa.so, loads it once, and declares its C interface (fsa/fsa_c.h)."""
from __future__ import annotations

import ctypes
import os
import threading
from ctypes import POINTER, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint8, c_uint16, c_uint64, c_void_p
from pathlib import Path

from ._errors import KINDS, Error, bad

SONAME = "libfsa.so.0"
LOG_FN = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_char_p)


class DLDevice(ctypes.Structure):
    _fields_ = [("device_type", c_int32), ("device_id", c_int32)]


class DLDataType(ctypes.Structure):
    _fields_ = [("code", c_uint8), ("bits", c_uint8), ("lanes", c_uint16)]


class DLTensor(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("device", DLDevice), ("ndim", c_int32), ("dtype", DLDataType), ("shape", POINTER(c_int64)),
                ("strides", POINTER(c_int64)), ("byte_offset", c_uint64)]


class EngineOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("from_environment", c_int32), ("num_threads", c_int32), ("no_cache", c_int32), ("freeze", c_int32),
                ("cache_dir", c_char_p), ("template_dir", c_char_p), ("pack", c_char_p), ("nvrtc_path", c_char_p), ("log", LOG_FN),
                ("log_context", c_void_p)]


class EngineInfo(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("device", c_char_p), ("device_name", c_char_p), ("target", c_char_p)]


class TensorInfoStruct(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("shape", POINTER(c_int64)), ("ndim", c_int32), ("dtype", DLDataType),
                ("layout", c_int), ("written", c_int32)]


class PlanInfo(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("op", c_char_p), ("variant", c_char_p), ("report_text", c_char_p), ("report_json", c_char_p),
                ("num_tensors", c_size_t), ("workspace_bytes", c_size_t), ("device", DLDevice)]


class ProgressStruct(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("step", c_char_p), ("variant", c_char_p), ("family", c_char_p), ("note", c_char_p),
                ("fraction", c_double), ("elapsed_seconds", c_double), ("best_seconds", c_double), ("default_seconds", c_double)]


PROGRESS_FN = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(ProgressStruct))


class TuneOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("max_seconds", c_double), ("candidate_seconds", c_double), ("max_candidates", c_uint64),
                ("seed", c_uint64), ("no_save", c_int32), ("log_path", c_char_p), ("worker_command", POINTER(c_char_p)),
                ("progress", PROGRESS_FN), ("progress_context", c_void_p), ("stop", POINTER(c_int32))]


# Results and arguments. Handles and tensor arrays travel as plain addresses: the hot call converts nothing.
PROTOTYPES = {
    "fsa_version": (c_char_p, []),
    "fsa_status_name": (c_char_p, [c_int]),
    "fsa_last_error_message": (c_char_p, []),
    "fsa_operator_name": (c_char_p, [c_size_t]),
    "fsa_engine_create": (c_int, [c_char_p, POINTER(EngineOptions), POINTER(c_void_p)]),
    "fsa_engine_destroy": (c_int, [c_void_p]),
    "fsa_engine_get_info": (c_int, [c_void_p, POINTER(EngineInfo)]),
    "fsa_plan_create": (c_int, [c_void_p, c_char_p, c_char_p, POINTER(c_void_p)]),
    "fsa_plan_destroy": (c_int, [c_void_p]),
    "fsa_plan_get_info": (c_int, [c_void_p, POINTER(PlanInfo)]),
    "fsa_plan_get_tensor": (c_int, [c_void_p, c_size_t, POINTER(TensorInfoStruct)]),
    "fsa_plan_forward": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p]),
    "fsa_plan_validate": (c_int, [c_void_p, c_void_p, c_size_t]),
    "fsa_tune": (c_int, [c_void_p, c_char_p, c_char_p, POINTER(TuneOptions), POINTER(c_void_p)]),
    "fsa_string_free": (None, [c_void_p]),
}

_loaded: ctypes.CDLL | None = None
_lock = threading.Lock()


def candidates() -> list[str]:
    """Where libfsa.so may be, first come first served."""
    here = Path(__file__).resolve().parent
    if named := os.environ.get("FSA_LIBRARY"):
        return [named]
    checkout = here.parents[2] / "build" / "release" / "runtime" / "libfsa.so"
    beside = [str(p) for p in (here / "libfsa.so", here / SONAME) if p.exists()]
    return beside + [SONAME, "libfsa.so"] + ([str(checkout)] if checkout.exists() else [])


def _open() -> ctypes.CDLL:
    reasons = []
    for path in candidates():
        try:
            library = ctypes.CDLL(path)
        except OSError as reason:
            reasons.append(str(reason))
            continue
        for name, (result, arguments) in PROTOTYPES.items():
            try:
                function = getattr(library, name)
            except AttributeError:
                raise bad(f"{path} does not export {name}", "the libfsa.so of this package's version", kind="unavailable") from None
            function.restype, function.argtypes = result, arguments
        library.path = path
        return library
    raise bad("libfsa.so cannot be loaded: " + "; ".join(reasons), "the file that FSA_LIBRARY names, a libfsa.so beside the package, on the "
              "library path, or in build/release/runtime of the checkout", "build it with cmake --preset release && cmake --build --preset release",
              kind="unavailable")


def library() -> ctypes.CDLL:
    """The loaded library. fsa.Error of kind "unavailable" says where it was looked for."""
    global _loaded
    if _loaded is None:
        with _lock:
            if _loaded is None:
                _loaded = _open()
    return _loaded


def raise_for(status: int) -> None:
    """Raises what the last call of this thread reported. status: not 0."""
    message = library().fsa_last_error_message().decode("utf-8", "replace")
    raise Error(KINDS[status] if 0 <= status < len(KINDS) else "internal", message)


def check(status: int) -> None:
    if status:
        raise_for(status)
