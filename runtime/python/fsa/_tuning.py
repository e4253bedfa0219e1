"""tune(): finds the fastest configuration for a problem and keeps it in the tuning cache."""
from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import _library as c
from ._engine import Engine, default_engine, problem_text

# A worker needs the library alone, not this package; -S and -E: nor anybody's site hooks.
_WORKER = "import ctypes, sys; sys.exit(ctypes.CDLL(sys.argv[1]).fsa_run_tuning_worker())"


@dataclass(frozen=True)
class Progress:
    """Where a tuning run is. step: "compile", "measure", "verify" or "finished"; seconds are NaN before they are known."""
    step: str
    variant: str
    family: str
    note: str
    fraction: float
    elapsed_seconds: float
    best_seconds: float
    default_seconds: float


def tune(op: str, problem: Mapping, *, device: str = "cpu", engine: Engine | None = None, max_seconds: float = 120, max_candidates: int = 400,
         seed: int = 1, candidate_seconds: float = 60, isolate: bool = True, log=None, save: bool = True,
         progress: Callable[[Progress], object] | None = None) -> dict:
    """Tunes operator `op` for `problem` (as for Engine.plan(); a plan's own is plan.problem) on a device.

    isolate: candidates compile and run in worker processes, where one that crashes costs itself alone; False: in this process.
    log: a file that records every compile and timing (JSON Lines) and is read to resume. save: keep the winner in the cache, where
      plans of this and near problems find it.
    progress: called with a Progress; returning True stops the run, an exception or Ctrl-C too, and is raised again.
    Returns {"variant", "configs", "seconds", "default_seconds", "speedup", "winner_is_default", "why", "kept", "partial", ...}.
    Raises fsa.Error: that of the problem; "cancelled" when stopped before anything was known.
    """
    from . import _ops
    engine = engine or default_engine(device)
    library = c.library()
    raised: list[BaseException] = []

    def on_progress(_, event):
        try:
            e = event.contents
            text = (e.step, e.variant, e.family, e.note)
            stop = progress and progress(Progress(*(t.decode("utf-8", "replace") for t in text), e.fraction, e.elapsed_seconds, e.best_seconds,
                                                  e.default_seconds))
            return 1 if stop is True else 0
        except BaseException as error:  # also KeyboardInterrupt, which Python raises here, in the callback
            raised.append(error)
            return 1

    callback = c.PROGRESS_FN(on_progress)
    command = [sys.executable, "-S", "-E", "-c", _WORKER, library.path] if isolate and sys.executable else []
    words = (ctypes.c_char_p * (len(command) + 1))(*(word.encode() for word in command), None)
    options = c.TuneOptions(ctypes.sizeof(c.TuneOptions), max_seconds, candidate_seconds, max_candidates, seed, not save,
                            None if log is None else str(log).encode(), words if command else None, callback, None, None)
    result = ctypes.c_void_p()
    status = library.fsa_tune(engine._handle, op.encode(), problem_text(problem), ctypes.byref(options), ctypes.byref(result))
    if raised:
        library.fsa_string_free(result)
        raise raised[0]
    c.check(status)
    text = ctypes.string_at(result)
    library.fsa_string_free(result)
    if save:
        _ops.clear_plans()  # what was planned before the tuning is planned anew
    return json.loads(text)
