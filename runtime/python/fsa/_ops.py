"""The operators as functions: plans are made on first use and kept."""
from __future__ import annotations

import sys
import threading
from typing import NamedTuple

from . import _tensors
from ._engine import Engine, default_engine
from ._errors import bad
from ._plan import Plan

MAX_PLANS = 512
torch_ops = None  # the module, once torch was imported


class _Bound(NamedTuple):
    """A plan with what a call of it needs beside the caller's tensors."""
    plan: Plan
    defaults: dict  # cu_q and cu_k of one sequence, where the caller gives none
    order: list  # of each tensor: its name, and, for an output, what makes one


_bound: dict = {}
_lock = threading.Lock()


def clear_plans() -> None:
    """Forgets all plans that the functions of this package made; kernels stay loaded. For instance after fsa.tune()."""
    with _lock:
        _bound.clear()


def _keep(key, bound: _Bound) -> None:
    with _lock:
        if len(_bound) >= MAX_PLANS:  # the older half goes: no order of use has to be kept in the hot path
            for old in list(_bound)[:MAX_PLANS // 2]:
                del _bound[old]
        _bound[key] = bound


def _bind(key, op: str, engine: Engine | None, tensors: dict, problem: dict) -> _Bound:
    q = tensors["q"]
    _tensors.library_of(q, "q")
    plan = Plan(engine or default_engine(_tensors.device_of(q)), op, problem)
    defaults = {}
    for name, total in (("cu_q", "total_q"), ("cu_k", "total_k")):
        if tensors.get(name) is None:
            defaults[name] = _tensors.prefix_sums([0, problem[total]], q, name)
    order = [(t.name, _tensors.maker(t.shape, t.dtype, q, t.name) if t.written else None) for t in plan.tensors]
    bound = _Bound(plan, defaults, order)
    _keep(key, bound)
    return bound


def _check_grad(torch, tensors: dict) -> None:
    if torch.is_grad_enabled():
        for name, tensor in tensors.items():
            if tensor is not None and getattr(tensor, "requires_grad", False):
                raise bad(f"{name} requires grad", "forward only: there is no backward pass", "call it under torch.no_grad(), or detach the tensor",
                          kind="unsupported")


def _run(bound: _Bound, tensors: dict, outputs: dict, workspace, stream) -> list:
    """Fills in defaults and outputs, runs the plan, returns all outputs in the plan's order."""
    plan, defaults, order = bound
    if defaults:
        tensors.update(defaults)
    if stream is None:
        arguments, results = _arguments(order, tensors, outputs)
    else:
        with _tensors.allocating_on(stream, tensors["q"]):
            arguments, results = _arguments(order, tensors, outputs)
    plan.forward(arguments, workspace=workspace, stream=stream)
    return results


def _arguments(order: list, tensors: dict, outputs: dict) -> tuple[list, list]:
    arguments, results, like = [], [], tensors["q"]
    for name, make in order:
        if make is None:
            arguments.append(tensors[name])
            continue
        tensor = outputs.get(name)
        if tensor is None:
            tensor = make(like)
        arguments.append(tensor)
        results.append(tensor)
    return arguments, results


def _shape(tensor, name: str, rank: int, form: str) -> tuple:
    _tensors.library_of(tensor, name)
    shape = tuple(tensor.shape)
    if len(shape) != rank:
        raise bad(f"{name} has shape {list(shape)}", form)
    return shape


def _attention_problem(q, k, v, cu_q, cu_k, scale) -> dict:
    """The fields that all attention operators share."""
    tq, hq, d = _shape(q, "q", 3, "[Tq, Hq, D]")
    tk, hkv, _ = _shape(k, "k", 3, "[Tk, Hkv, D]")
    dv = _shape(v, "v", 3, "[Tk, Hkv, Dv]")[2] if v is not None else d
    cu = next(((c, n) for c, n in ((cu_q, "cu_q"), (cu_k, "cu_k")) if c is not None), None)
    seqs = 1 if cu is None else _shape(cu[0], cu[1], 1, "[B+1]")[0] - 1
    if seqs != 1 and (cu_q is None or cu_k is None):
        raise bad(f"{cu[1]} of {seqs} sequences alone", "both cu_q and cu_k, or neither for one sequence")
    problem = {"dtype": _tensors.dtype_name(q), "head_dim": d, "head_dim_v": dv, "heads_q": hq, "heads_kv": hkv, "num_seqs": seqs,
               "total_q": tq, "total_k": tk}
    if scale is not None:
        problem["scale"] = scale
    return problem


def _key(op: str, engine, tensors: dict, *parameters):
    """What tells one plan from another: the tensors' library, device, types and shapes, and the parameters."""
    try:
        q = tensors["q"]
        device = q.device
        return (op, engine, type(q), device if hasattr(device, "index") else str(device), q.dtype,
                *[None if t is None else t.shape for t in tensors.values()], *parameters)
    except AttributeError:
        for name, tensor in tensors.items():
            if tensor is not None or name == "q":
                _tensors.library_of(tensor, name)
        return (op, engine, type(q), _tensors.device_of(q), str(q.dtype), *[None if t is None else tuple(t.shape) for t in tensors.values()],
                *parameters)


def _torch_path(q):
    """None for other libraries' tensors; else the torch module and whether the call has to go through torch.ops.

    Compilers and tracers see an operator; a plain tensor goes straight to the library, which is quicker.
    """
    ops = torch_ops or _find_torch()
    if ops is None or not isinstance(q, ops.Tensor):
        return None, False
    return ops.torch, ops.wants_operator(q)


def _find_torch():
    """The module of operators, which registers them, as soon as torch is there."""
    if "torch" not in sys.modules:
        return None
    from . import torch_ops as found  # sets the variable torch_ops here
    return found


def selected_attention(q, k, v, block_indices, *, block_size: int, cu_q=None, cu_k=None, scale: float | None = None, out=None, lse=None,
                       workspace=None, stream=None, engine: Engine | None = None):
    """Selected attention, forward: each query attends to the keys of at most T blocks of its kv head, causally.

    q [Tq, Hq, D], k [Tk, Hkv, D], v [Tk, Hkv, Dv]: bf16 or f16, or f32 on the CPU; token and head strides free in multiples of 16
      bytes, the last dimension contiguous. Hq is a multiple of Hkv.
    block_indices i32 [Hkv, Tq, T], contiguous: blocks of `block_size` keys, numbered within the sequence, distinct, any order;
      negative means none.
    cu_q, cu_k i32 [B+1]: prefix sums of the packed sequences' queries and keys; queries are the last of their sequence. None: one
      sequence.
    scale: softmax scale; None means 1/sqrt(D).
    out [Tq, Hq, Dv] of q's type ("o" in errors), lse f32 [Hq, Tq], contiguous: written, and returned; None makes them in q's library.
    workspace, stream: see Plan.forward. engine: None means one per device, made on first use.

    Returns (out, lse): 0 and -inf in rows that see no key. lse is the natural log-sum-exp. On CUDA they are ready when the stream
    gets there. The first call of a problem plans it, which may compile kernels: some hundred milliseconds, not under graph capture.
    Raises fsa.Error: "invalid_argument" or "unsupported" say what to change; see Engine.plan for the rest.
    """
    if (torch := _torch_path(q))[0] is not None:
        if torch[1]:
            return _as_operator(torch[0], "selected_attention", {"out": out, "lse": lse, "workspace": workspace, "stream": stream, "engine": engine},
                                q, k, v, block_indices, block_size, cu_q, cu_k, scale)
        _check_grad(torch[0], {"q": q, "k": k, "v": v})
    tensors = {"q": q, "k": k, "v": v, "block_indices": block_indices, "cu_q": cu_q, "cu_k": cu_k}
    key = _key("selected_attention", engine, tensors, block_size, scale)
    bound = _bound.get(key)
    if bound is None:
        topk = _shape(block_indices, "block_indices", 3, "[Hkv, Tq, T]")[2]
        problem = _attention_problem(q, k, v, cu_q, cu_k, scale) | {"block_size": block_size, "topk": topk}
        bound = _bind(key, "selected_attention", engine, tensors, problem)
    o, lse = _run(bound, tensors, {"o": out, "lse": lse}, workspace, stream)
    return o, lse


def _as_operator(torch, name: str, unusual: dict, *arguments):
    for keyword, value in unusual.items():
        if value is not None:
            raise bad(f"{keyword}= in a traced or compiled call", "tensors and parameters alone", f"leave {keyword} out", kind="unsupported")
    return getattr(torch.ops.fsa, name)(*arguments)


def sliding_window(q, k, v, *, window: int, cu_q=None, cu_k=None, scale: float | None = None, out=None, lse=None, workspace=None, stream=None,
                   engine: Engine | None = None):
    """Causal attention to the last `window` keys, the query's own included (window >= 1).

    Tensors, results and errors as in selected_attention().
    """
    if (torch := _torch_path(q))[0] is not None:
        if torch[1]:
            return _as_operator(torch[0], "sliding_window", {"out": out, "lse": lse, "workspace": workspace, "stream": stream, "engine": engine},
                                q, k, v, window, cu_q, cu_k, scale)
        _check_grad(torch[0], {"q": q, "k": k, "v": v})
    tensors = {"q": q, "k": k, "v": v, "cu_q": cu_q, "cu_k": cu_k}
    key = _key("sliding_window", engine, tensors, window, scale)
    bound = _bound.get(key)
    if bound is None:
        bound = _bind(key, "sliding_window", engine, tensors, _attention_problem(q, k, v, cu_q, cu_k, scale) | {"window": window})
    o, lse = _run(bound, tensors, {"o": out, "lse": lse}, workspace, stream)
    return o, lse


def _compressed_problem(q, ck, cv, cu_q, cu_k, scale, kernel_size: int, stride: int, total_k: int) -> dict:
    problem = _attention_problem(q, ck, cv, cu_q, cu_k, scale)
    return problem | {"kernel_size": kernel_size, "stride": stride, "total_c": problem["total_k"], "total_k": total_k}


def _check_compression(kernel_size: int, stride: int) -> None:
    if not (isinstance(stride, int) and isinstance(kernel_size, int) and 1 <= stride <= kernel_size):
        raise bad(f"kernel_size is {kernel_size} and stride is {stride}", "integers with 1 <= stride <= kernel_size")


def compressed_attention(q, ck, cv, *, kernel_size: int, stride: int, total_k: int, cu_q=None, cu_k=None, scale: float | None = None, out=None,
                         lse=None, workspace=None, stream=None, engine: Engine | None = None):
    """Attention to compressed keys: number i of a sequence stands for its tokens [i*stride, i*stride + kernel_size) and is visible
    to queries from the last of them on.

    q [Tq, Hq, D], ck [Tc, Hkv, D], cv [Tc, Hkv, Dv]: as q, k, v in selected_attention(). A sequence of n keys has
      floor((n - kernel_size) / stride) + 1 compressed keys, none where n < kernel_size. Tc may be larger than their sum.
    cu_q, cu_k i32 [B+1]: of the queries and of the uncompressed keys, `total_k` in all. None: one sequence.
    Returns (out [Tq, Hq, Dv], lse f32 [Hq, Tq]). The rest as in selected_attention().
    """
    if (torch := _torch_path(q))[0] is not None:
        if torch[1]:
            return _as_operator(torch[0], "compressed_attention", {"out": out, "lse": lse, "workspace": workspace, "stream": stream, "engine": engine},
                                q, ck, cv, kernel_size, stride, total_k, cu_q, cu_k, scale)
        _check_grad(torch[0], {"q": q, "ck": ck, "cv": cv})
    tensors = {"q": q, "ck": ck, "cv": cv, "cu_q": cu_q, "cu_k": cu_k}
    key = _key("compressed_attention", engine, tensors, kernel_size, stride, total_k, scale)
    bound = _bound.get(key)
    if bound is None:
        _check_compression(kernel_size, stride)
        bound = _bind(key, "compressed_attention", engine, tensors, _compressed_problem(q, ck, cv, cu_q, cu_k, scale, kernel_size, stride, total_k))
    o, lse = _run(bound, tensors, {"o": out, "lse": lse}, workspace, stream)
    return o, lse


def select_blocks(q, ck, lse, *, kernel_size: int, stride: int, block_size: int, topk: int, total_k: int, init_blocks: int = 1,
                  local_blocks: int = 2, cu_q=None, cu_k=None, scale: float | None = None, out=None, workspace=None, stream=None,
                  engine: Engine | None = None):
    """The blocks that selected attention should read: by the attention that compressed keys get, summed over the heads of a group.

    q, ck, cu_q, cu_k, total_k: as in compressed_attention(); lse f32 [Hq, Tq]: what that returned.
    topk: T, blocks per query at most. Always selected: the first `init_blocks`, and the last `local_blocks` up to the query's own.
    block_size: a multiple of stride.
    Returns block_indices i32 [Hkv, Tq, T] (`out`, if given), ascending, -1 last. The rest as in selected_attention().
    """
    if (torch := _torch_path(q))[0] is not None:
        if torch[1]:
            return _as_operator(torch[0], "select_blocks", {"out": out, "workspace": workspace, "stream": stream, "engine": engine},
                                q, ck, lse, kernel_size, stride, block_size, topk, total_k, init_blocks, local_blocks, cu_q, cu_k, scale)
        _check_grad(torch[0], {"q": q, "ck": ck, "lse": lse})
    tensors = {"q": q, "ck": ck, "lse": lse, "cu_q": cu_q, "cu_k": cu_k}
    key = _key("select_blocks", engine, tensors, kernel_size, stride, block_size, topk, total_k, init_blocks, local_blocks, scale)
    bound = _bound.get(key)
    if bound is None:
        _check_compression(kernel_size, stride)
        problem = _compressed_problem(q, ck, None, cu_q, cu_k, scale, kernel_size, stride, total_k)
        del problem["head_dim_v"]
        problem |= {"block_size": block_size, "topk": topk, "init_blocks": init_blocks, "local_blocks": local_blocks}
        bound = _bind(key, "select_blocks", engine, tensors, problem)
    return _run(bound, tensors, {"block_indices": out}, workspace, stream)[0]


def _compression_of(ck, cv, w_k, w_v, pe) -> str:
    """What native_sparse_attention() is asked to do about compression: "none", "mean", "weighted" or "linear"."""
    for pair, names in (((ck, cv), "ck and cv"), ((w_k, w_v), "w_k and w_v")):
        if (pair[0] is None) != (pair[1] is None):
            raise bad(f"one of {names} alone", f"both {names}, or neither")
    if ck is not None and w_k is not None:
        raise bad("ck, cv and w_k, w_v at once", "compressed keys and values, or the weights to compress with, or neither (mean)")
    if ck is not None:
        return "none"
    mode = "mean" if w_k is None else {2: "weighted", 3: "linear"}.get(len(w_k.shape))
    if mode is None:
        raise bad(f"w_k has shape {list(w_k.shape)}", "[Hkv, kernel_size] (weighted) or [Hkv, kernel_size * D, D] (linear)")
    if pe is not None and mode != "linear":
        raise bad(f"pe with {mode} compression", "pe with linear compression")
    return mode


def native_sparse_attention(q, k, v, gates, *, kernel_size: int, stride: int, block_size: int, topk: int, window: int, init_blocks: int = 1,
                            local_blocks: int = 2, ck=None, cv=None, w_k=None, w_v=None, pe=None, cu_q=None, cu_k=None,
                            scale: float | None = None, branch_outputs: bool = False, out=None, workspace=None, stream=None,
                            engine: Engine | None = None):
    """Native Sparse Attention, forward: gates-weighted sum of compressed, selected and sliding-window attention.

    q, k, v, cu_q, cu_k, scale: as in selected_attention().
    gates [Tq, Hq, 3]: weights of (compressed, selected, sliding), already through the sigmoid; token and head strides free, 0 too.
    ck [Tc, Hkv, D], cv [Tc, Hkv, Dv]: compressed keys and values, see compressed_attention(). Without them k and v are compressed
      here: with w_k and w_v [Hkv, kernel_size] (weighted) or [Hkv, kernel_size*D, D] and [Hkv, kernel_size*Dv, Dv] (linear, with
      a positional term pe [Hkv, kernel_size, D] added to the keys first), or, without those, by their mean.
    block_size, topk, init_blocks, local_blocks: see select_blocks(); window: see sliding_window().
    Returns out [Tq, Hq, Dv] of q's type; with branch_outputs (out, {"o_cmp", "lse_cmp", "block_indices", "o_sel", "lse_sel", "o_win",
    "lse_win"}). The rest as in selected_attention().
    """
    if (torch := _torch_path(q))[0] is not None:
        if torch[1]:
            return _as_operator(torch[0], "native_sparse_attention", {"out": out, "workspace": workspace, "stream": stream, "engine": engine,
                                                                      "branch_outputs": branch_outputs or None},
                                q, k, v, gates, kernel_size, stride, block_size, topk, window, init_blocks, local_blocks, ck, cv, w_k, w_v, pe,
                                cu_q, cu_k, scale)
        _check_grad(torch[0], {"q": q, "k": k, "v": v, "gates": gates, "ck": ck, "cv": cv, "w_k": w_k, "w_v": w_v, "pe": pe})
    tensors = {"q": q, "k": k, "v": v, "gates": gates, "ck": ck, "cv": cv, "w_k": w_k, "w_v": w_v, "pe": pe, "cu_q": cu_q, "cu_k": cu_k}
    key = _key("native_sparse_attention", engine, tensors, getattr(gates, "dtype", None), kernel_size, stride, block_size, topk,
               window, init_blocks, local_blocks, branch_outputs, scale)
    bound = _bound.get(key)
    if bound is None:
        _check_compression(kernel_size, stride)
        _shape(gates, "gates", 3, "[Tq, Hq, 3]")
        problem = _attention_problem(q, k, v, cu_q, cu_k, scale)
        compression = _compression_of(ck, cv, w_k, w_v, pe)
        # floor((n - l) / s) + 1 <= n / s: an upper bound over any sequences, which total_c may be.
        total_c = tuple(ck.shape)[0] if compression == "none" else problem["total_k"] // stride
        problem |= {"gates_dtype": _tensors.dtype_name(gates), "kernel_size": kernel_size, "stride": stride, "block_size": block_size, "topk": topk,
                    "init_blocks": init_blocks, "local_blocks": local_blocks, "window": window, "compression": compression,
                    "positional": int(pe is not None), "branch_outputs": int(branch_outputs), "total_c": total_c}
        bound = _bind(key, "native_sparse_attention", engine, tensors, problem)
    results = _run(bound, tensors, {"out": out}, workspace, stream)
    if not branch_outputs:
        return results[0]
    names = [info.name for info in bound.plan.tensors if info.written]
    branches = dict(zip(names, results))
    return branches.pop("out"), branches
