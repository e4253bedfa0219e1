#!/usr/bin/env python3
"""What a warm call from Python costs the host, in microseconds, for each library of tensors that is installed.

    PYTHONPATH=runtime/python python3 tools/bench/host_overhead.py [DEVICE]      default: cpu; or cuda:0

On a CPU a call contains its kernels; they get one token and one head, and their time, measured through the C interface on
arguments that are ready, is subtracted. On a GPU calls are enqueued without waiting. Medians of 30 rounds of 200
calls, the fastest round in brackets.
"""
import ctypes
import statistics
import sys
import time

import fsa
from fsa import _ops

ROUNDS, CALLS = 30, 200


def cost(call, wait=lambda: None) -> tuple:
    """Microseconds of one call: the median of the rounds, and the fastest, for machines that do other things too."""
    rounds = []
    for _ in range(ROUNDS):
        wait()
        begin = time.perf_counter()
        for _ in range(CALLS):
            call()
        rounds.append((time.perf_counter() - begin) / CALLS * 1e6)
    wait()
    return statistics.median(rounds), min(rounds)


def bare_call(plan, tensors, stream: int):
    """The C call alone, with everything ready."""
    alive = []
    plan.forward(tensors)
    frame = plan._frames.pop()
    alive += [plan, frame, plan._fill(frame, tensors, stream)]
    memory = ctypes.create_string_buffer(plan.workspace_bytes + 256)
    address = (ctypes.addressof(memory) + 255) // 256 * 256
    if plan.device != "cpu":
        import torch
        alive.append(torch.empty(plan.workspace_bytes + 1, dtype=torch.uint8, device=plan.device))
        address = alive[-1].data_ptr()
    alive.append(memory)
    forward, handle, pointers, count, size = plan._forward, plan._handle, frame.address, len(tensors), plan.workspace_bytes
    return lambda: (forward(handle, pointers, count, address, size, stream), alive)[0]


def report(name: str, q, k, v, blocks, cu, wait, stream: int) -> None:
    call = lambda: fsa.selected_attention(q, k, v, blocks, block_size=16, cu_q=cu, cu_k=cu)
    o, lse = call()
    plan = next(reversed(_ops._bound.values())).plan
    given = lambda: fsa.selected_attention(q, k, v, blocks, block_size=16, cu_q=cu, cu_k=cu, out=o, lse=lse)
    order = [q, k, v, blocks, cu, cu, o, lse]
    bare = cost(bare_call(plan, order, stream), wait)
    print(f"{name}: {plan.variant}")
    for what, measured in (("selected_attention, outputs made", cost(call, wait)), ("selected_attention, outputs given", cost(given, wait)),
                           ("Plan.forward", cost(lambda: plan.forward(order), wait))):
        print(f"  {what:<36} {measured[0]:6.1f} us ({measured[1]:.1f}), of which Python {measured[0] - bare[0]:6.1f} us ({measured[1] - bare[1]:.1f})")
    print(f"  {'the C call alone':<36} {bare[0]:6.1f} us ({bare[1]:.1f})")


def main(device: str) -> None:
    print(fsa.default_engine(device))
    if device == "cpu":
        try:
            import numpy as np
            x = np.ones((1, 1, 16), np.float32)
            report("numpy", x, x.copy(), x.copy(), np.zeros((1, 1, 1), np.int32), np.array([0, 1], np.int32), lambda: None, 0)
        except ImportError:
            print("numpy is not installed")
    try:
        import torch
    except ImportError:
        print("torch is not installed")
        return
    x = torch.ones((1, 1, 16), dtype=torch.bfloat16, device=device)
    stream = 0 if device == "cpu" else torch.cuda.current_stream(x.device).cuda_stream
    report("torch", x, x.clone(), x.clone(), torch.zeros((1, 1, 1), dtype=torch.int32, device=device),
           torch.tensor([0, 1], dtype=torch.int32, device=device), torch.cuda.synchronize if device != "cpu" else lambda: None, stream)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cpu")
