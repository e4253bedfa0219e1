#!/usr/bin/env python3
"""What it would save to run the branches of Native Sparse Attention side by side on two streams, over sequence lengths.

    PYTHONPATH=runtime/python python3 tools/bench/overlap.py [--heads-q 16] [--heads-kv 4] [--head-dim 128] [--seqlens 256,1k,8k,64k]

The sliding window needs nothing of the other branches: it runs on a second stream beside compressed attention, block selection and
selected attention ("two streams"), or after them on the same ("one stream"). Both ways are CUDA graphs, replayed in turns; medians
in microseconds. bf16, kernel_size 32, stride 16, block_size 64, topk 16, window 512. Exit code 77: no PyTorch, no GPU or no libfsa.so.
"""
import argparse
import statistics
import sys

from compare_torch import counts, give_up

REPLAYS = 30


def branches(torch, fsa, shape, tokens: int):
    """Two functions: the chain of compressed and selected attention, and the window's. Their outputs are made beforehand."""
    heads_q, heads_kv, head_dim = shape
    random = lambda *sizes: torch.randn(*sizes, dtype=torch.bfloat16, device="cuda")
    q, k, v = random(tokens, heads_q, head_dim), random(tokens, heads_kv, head_dim), random(tokens, heads_kv, head_dim)
    ck, cv = (random(max(1, tokens // 16 - 1), heads_kv, head_dim) for _ in range(2))
    compression = dict(kernel_size=32, stride=16, total_k=tokens)

    def selected():
        _, lse = fsa.compressed_attention(q, ck, cv, **compression)
        blocks = fsa.select_blocks(q, ck, lse, block_size=64, topk=16, **compression)
        fsa.selected_attention(q, k, v, blocks, block_size=64)

    return selected, lambda: fsa.sliding_window(q, k, v, window=512)


def graph_of(torch, work):
    """`work` as a graph; it has run once before, so that plans exist."""
    work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


def one_stream(selected, window):
    selected(), window()


def two_streams(torch, side, selected, window):
    main = torch.cuda.current_stream()
    side.wait_stream(main)
    with torch.cuda.stream(side):
        window()
    selected()
    main.wait_stream(side)


def microseconds(torch, graph) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda._sleep(200_000)  # the host enqueues the rest meanwhile
    begin.record()
    graph.replay()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads-q", type=int, default=16)
    parser.add_argument("--heads-kv", type=int, default=4)
    parser.add_argument("--head-dim", type=int, default=128)
    parser.add_argument("--seqlens", type=counts, default=counts("256,512,1k,2k,4k,8k,16k,64k"))
    options = parser.parse_args()
    try:
        import torch
        import fsa
        fsa.version()
    except (ImportError, OSError) as reason:
        give_up(str(reason))
    if not torch.cuda.is_available():
        give_up("no GPU")
    print(fsa.default_engine("cuda:0"))
    print(f"{'tokens':>8} {'one stream':>12} {'two streams':>12}   saved")
    side = torch.cuda.Stream()
    for tokens in options.seqlens:
        parts = branches(torch, fsa, (options.heads_q, options.heads_kv, options.head_dim), tokens)
        graphs = [graph_of(torch, lambda: one_stream(*parts)), graph_of(torch, lambda: two_streams(torch, side, *parts))]
        times = [[microseconds(torch, graph) for graph in graphs] for _ in range(REPLAYS)]
        one, two = (statistics.median(column) for column in zip(*times))
        print(f"{tokens:>8} {one:>9.1f} us {two:>9.1f} us {100 * (1 - two / one):>6.1f} %")


if __name__ == "__main__":
    main()
