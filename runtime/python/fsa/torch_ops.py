"""The operators as torch.ops.fsa.*, for torch.compile and other tracers. Importing this imports torch and registers them.

`import fsa` does it too where torch was imported before. Then the functions of fsa that take part in a forward can be called in a
function that torch.compile(fullgraph=True) compiles.
"""
from __future__ import annotations

import sys
from typing import Optional, Tuple

import torch
from torch import Tensor

from . import _ops

_plain = (Tensor, torch.nn.Parameter)


def wants_operator(tensor) -> bool:
    """True while a compiler traces, and for tensors that have no memory of their own (fake ones, proxies)."""
    return torch.compiler.is_compiling() or type(tensor) not in _plain


def _attention_outputs(q, v):
    """Outputs and LSEs of one branch of attention, without memory."""
    tokens, heads = q.shape[0], q.shape[1]
    return q.new_empty((tokens, heads, v.shape[2])), q.new_empty((heads, tokens), dtype=torch.float32)


@torch.library.custom_op("fsa::selected_attention", mutates_args=())
def _selected_attention(q: Tensor, k: Tensor, v: Tensor, block_indices: Tensor, block_size: int, cu_q: Optional[Tensor] = None,
                        cu_k: Optional[Tensor] = None, scale: Optional[float] = None) -> Tuple[Tensor, Tensor]:
    return _ops.selected_attention(q, k, v, block_indices, block_size=block_size, cu_q=cu_q, cu_k=cu_k, scale=scale)


@_selected_attention.register_fake
def _(q, k, v, block_indices, block_size, cu_q=None, cu_k=None, scale=None):
    return _attention_outputs(q, v)


@torch.library.custom_op("fsa::sliding_window", mutates_args=())
def _sliding_window(q: Tensor, k: Tensor, v: Tensor, window: int, cu_q: Optional[Tensor] = None, cu_k: Optional[Tensor] = None,
                    scale: Optional[float] = None) -> Tuple[Tensor, Tensor]:
    return _ops.sliding_window(q, k, v, window=window, cu_q=cu_q, cu_k=cu_k, scale=scale)


@_sliding_window.register_fake
def _(q, k, v, window, cu_q=None, cu_k=None, scale=None):
    return _attention_outputs(q, v)


@torch.library.custom_op("fsa::compressed_attention", mutates_args=())
def _compressed_attention(q: Tensor, ck: Tensor, cv: Tensor, kernel_size: int, stride: int, total_k: int, cu_q: Optional[Tensor] = None,
                          cu_k: Optional[Tensor] = None, scale: Optional[float] = None) -> Tuple[Tensor, Tensor]:
    return _ops.compressed_attention(q, ck, cv, kernel_size=kernel_size, stride=stride, total_k=total_k, cu_q=cu_q, cu_k=cu_k, scale=scale)


@_compressed_attention.register_fake
def _(q, ck, cv, kernel_size, stride, total_k, cu_q=None, cu_k=None, scale=None):
    return _attention_outputs(q, cv)


@torch.library.custom_op("fsa::select_blocks", mutates_args=())
def _select_blocks(q: Tensor, ck: Tensor, lse: Tensor, kernel_size: int, stride: int, block_size: int, topk: int, total_k: int,
                   init_blocks: int = 1, local_blocks: int = 2, cu_q: Optional[Tensor] = None, cu_k: Optional[Tensor] = None,
                   scale: Optional[float] = None) -> Tensor:
    return _ops.select_blocks(q, ck, lse, kernel_size=kernel_size, stride=stride, block_size=block_size, topk=topk, total_k=total_k,
                              init_blocks=init_blocks, local_blocks=local_blocks, cu_q=cu_q, cu_k=cu_k, scale=scale)


@_select_blocks.register_fake
def _(q, ck, lse, kernel_size, stride, block_size, topk, total_k, init_blocks=1, local_blocks=2, cu_q=None, cu_k=None, scale=None):
    return q.new_empty((ck.shape[1], q.shape[0], topk), dtype=torch.int32)


@torch.library.custom_op("fsa::native_sparse_attention", mutates_args=())
def _native_sparse_attention(q: Tensor, k: Tensor, v: Tensor, gates: Tensor, kernel_size: int, stride: int, block_size: int, topk: int,
                             window: int, init_blocks: int = 1, local_blocks: int = 2, ck: Optional[Tensor] = None,
                             cv: Optional[Tensor] = None, w_k: Optional[Tensor] = None, w_v: Optional[Tensor] = None,
                             pe: Optional[Tensor] = None, cu_q: Optional[Tensor] = None, cu_k: Optional[Tensor] = None,
                             scale: Optional[float] = None) -> Tensor:
    return _ops.native_sparse_attention(q, k, v, gates, kernel_size=kernel_size, stride=stride, block_size=block_size, topk=topk, window=window,
                                        init_blocks=init_blocks, local_blocks=local_blocks, ck=ck, cv=cv, w_k=w_k, w_v=w_v, pe=pe, cu_q=cu_q,
                                        cu_k=cu_k, scale=scale)


@_native_sparse_attention.register_fake
def _(q, k, v, gates, kernel_size, stride, block_size, topk, window, init_blocks=1, local_blocks=2, ck=None, cv=None, w_k=None, w_v=None,
      pe=None, cu_q=None, cu_k=None, scale=None):
    return q.new_empty((q.shape[0], q.shape[1], v.shape[2]))


_ops.torch_ops = sys.modules[__name__]
