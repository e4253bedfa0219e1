"""Sparse attention kernels, compiled and tuned at run time: the Python interface of libfsa.so.

    import numpy as np, fsa

    q = np.random.randn(256, 4, 64).astype(np.float32)            # [tokens, query heads, head_dim]
    k, v = np.random.randn(2, 256, 1, 64).astype(np.float32)      # [tokens, kv heads, head_dim]
    blocks = np.full((1, 256, 4), -1, np.int32)                   # [kv heads, tokens, topk]
    blocks[0, :, 0] = np.arange(256) // 32                        # every query selects its own block of 32 keys
    out, lse = fsa.selected_attention(q, k, v, blocks, block_size=32)

Tensors are those of numpy, torch, cupy, jax, or any library with __dlpack__; nothing of them is copied. Functions: selected_attention,
native_sparse_attention, compressed_attention, select_blocks, sliding_window (those that operator_names() lists), tune, doctor. Classes:
Engine (a device), Plan (an operator bound to its kernels), Error (what every failure raises). Forward only.

libfsa.so is the file that FSA_LIBRARY names, or is found beside the package, on the library path, or in the checkout's build/release.
"""
import sys as _sys

from ._engine import Engine, default_engine, doctor, operator_names, version
from ._errors import Error
from ._ops import clear_plans, compressed_attention, native_sparse_attention, select_blocks, selected_attention, sliding_window
from ._plan import Plan, TensorInfo
from ._tuning import Progress, tune

__all__ = ["Engine", "Error", "Plan", "Progress", "TensorInfo", "clear_plans", "compressed_attention", "default_engine", "doctor",
           "native_sparse_attention", "operator_names", "select_blocks", "selected_attention", "sliding_window", "tune", "version"]

if "torch" in _sys.modules:
    from . import torch_ops  # noqa: F401  registers torch.ops.fsa, for torch.compile
