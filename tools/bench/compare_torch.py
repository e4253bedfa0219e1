#!/usr/bin/env python3
"""This library's operators and PyTorch's dense attention on one GPU, in one process, over sequence lengths.

    python3 tools/bench/compare_torch.py                                  table, compare_torch.json and compare_torch.png
    python3 tools/bench/compare_torch.py --seqlens 8k,128k --heads-q 32 --heads-kv 8 --output mine.json --plot mine.svg
    python3 tools/bench/compare_torch.py --replot mine.json --plot mine.png      no GPU: draws what was measured earlier

libfsa.so is found as the package fsa finds it (FSA_LIBRARY, or build/release of this checkout). Every sample is a CUDA graph that is
replayed between two events, once per set of inputs; the sets together are larger than twice the L2 cache. Samples are interleaved,
A B C A B C. Peers that cannot run are null in the file, with the reason. Exit codes: 0; 2 bad usage; 77 no PyTorch, no GPU or no libfsa.so.
"""
from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

MISSING = 77
SPIN_CYCLES = 400_000  # what the GPU does while the host enqueues the events and the graph between them
MOST_SETS = 8
# name: (label, the operator of this library; None: PyTorch's)
SAMPLES = {
    "selected": ("selected attention", "selected_attention"),
    "compressed": ("compressed attention", "compressed_attention"),
    "select_blocks": ("block selection", "select_blocks"),
    "sliding": ("sliding window", "sliding_window"),
    "nsa": ("whole operator", "native_sparse_attention"),
    "dense_cudnn": ("dense, PyTorch cuDNN", None),
    "dense_flash": ("dense, PyTorch flash", None),
    "window_flash": ("sliding window, PyTorch flash", None),
}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def give_up(reason: str) -> None:
    say(f"compare_torch.py: {reason}")
    sys.exit(MISSING)


# The command line.

def count(text: str) -> int:
    """"8k" -> 8192."""
    text = text.strip().lower()
    unit = {"k": 1024, "m": 1024 * 1024}.get(text[-1:], 1)
    number = int(text[:-1] if unit > 1 else text)
    if number < 1:
        raise ValueError(text)
    return number * unit


def counts(text: str) -> list:
    try:
        return [count(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of lengths such as 8k,32k") from None


def sample_names(text: str) -> list:
    names = text.split(",")
    for name in names:
        if name not in SAMPLES:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(SAMPLES)}")
    return names


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def parse(argv: list) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    number = lambda flag, default, text: parser.add_argument(flag, type=positive, default=default, help=f"{text} (default: {default})")
    parser.add_argument("--seqlens", type=counts, default=counts("8k,16k,32k,64k"), help="tokens, comma separated (default: 8k,16k,32k,64k)")
    number("--heads-q", 16, "query heads")
    number("--heads-kv", 4, "key/value heads")
    number("--head-dim", 128, "head dimension")
    parser.add_argument("--dtype", choices=("bf16", "f16"), default="bf16")
    number("--block-size", 64, "keys per selected block")
    number("--topk", 16, "blocks selected per query")
    number("--kernel-size", 32, "tokens per compressed key")
    number("--stride", 16, "tokens between compressed keys")
    parser.add_argument("--init-blocks", type=int, default=1, help="first blocks that every query selects (default: 1)")
    parser.add_argument("--local-blocks", type=int, default=2, help="latest blocks that every query selects (default: 2)")
    number("--window", 512, "keys of the sliding window")
    parser.add_argument("--compression", choices=("none", "mean"), default="none",
                        help="of the whole operator: compressed keys are inputs, or means (default: none)")
    number("--rounds", 30, "samples of each time")
    parser.add_argument("--only", type=sample_names, default=list(SAMPLES), help=f"samples to take: {','.join(SAMPLES)} (default: all)")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--small", action="store_true", help="two short lengths, 5 rounds: does it run at all?")
    parser.add_argument("--output", default="compare_torch.json", help="file to write (default: compare_torch.json); empty: none")
    parser.add_argument("--plot", help="picture to draw (default: beside the output, .png); needs matplotlib")
    parser.add_argument("--json", action="store_true", help="print the measurements as JSON instead of the table")
    parser.add_argument("--replot", metavar="FILE", help="take the measurements of an earlier run from its file; no GPU is used")
    args = parser.parse_args(argv)
    if args.heads_q % args.heads_kv:
        parser.error(f"--heads-q {args.heads_q} is no multiple of --heads-kv {args.heads_kv}")
    if args.stride > args.kernel_size:
        parser.error(f"--stride {args.stride} is larger than --kernel-size {args.kernel_size}")
    if args.small:
        args.seqlens, args.rounds = [1024, 2048], 5
    return args


# Inputs.

class Inputs:
    """One set: what all samples of a sequence length read."""

    def __init__(self, torch, args, seqlen: int, seed: int):
        self.torch, self.args, self.seqlen = torch, args, seqlen
        generator = torch.Generator(args.device).manual_seed(seed)
        dtype = {"bf16": torch.bfloat16, "f16": torch.float16}[args.dtype]
        normal = lambda *shape: torch.randn(shape, generator=generator, device=args.device).to(dtype)
        hq, hkv, d = args.heads_q, args.heads_kv, args.head_dim
        self.q, self.k, self.v = normal(seqlen, hq, d), normal(seqlen, hkv, d), normal(seqlen, hkv, d)
        rows = max(0, (seqlen - args.kernel_size) // args.stride + 1)
        self.ck, self.cv = normal(rows, hkv, d), normal(rows, hkv, d)
        self.gates = torch.sigmoid(normal(seqlen, hq, 3))
        self.blocks = random_blocks(torch, args, seqlen, generator)
        self.lse = None  # of compressed attention, once it ran

    def bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (self.q, self.k, self.v))


def random_blocks(torch, args, seqlen: int, generator):
    """[Hkv, T, topk]: the forced blocks, then random ones of those that the query sees; -1 where there are fewer."""
    blocks = -(-seqlen // args.block_size)
    chosen = torch.full((args.heads_kv, seqlen, args.topk), -1, dtype=torch.int32, device=args.device)
    number = torch.arange(blocks, device=args.device)
    taken = min(args.topk, blocks)
    for first in range(0, seqlen, 8192):  # in parts, for scores of all tokens may be larger than what they are for
        own = torch.arange(first, min(first + 8192, seqlen), device=args.device)[:, None] // args.block_size
        scores = torch.rand((args.heads_kv, len(own), blocks), generator=generator, device=args.device)
        scores += 2.0 * (number < args.init_blocks) + 4.0 * ((number > own - args.local_blocks) & (number <= own))
        scores.masked_fill_(number > own, float("-inf"))
        best = scores.topk(taken, dim=2)
        chosen[:, first:first + len(own), :taken] = torch.where(best.values == float("-inf"), -1, best.indices).to(torch.int32)
    return chosen


def count_sets(cache_bytes: int, set_bytes: int) -> int:
    return max(1, min(MOST_SETS, 2 * cache_bytes // set_bytes + 1))


# Samples: each makes, of one set of inputs, a call without arguments.

def fsa_call(fsa, name: str, x: Inputs):
    a = x.args
    compression = {"kernel_size": a.kernel_size, "stride": a.stride}
    selection = {"block_size": a.block_size, "topk": a.topk, "init_blocks": a.init_blocks, "local_blocks": a.local_blocks}
    if name == "selected":
        return lambda: fsa.selected_attention(x.q, x.k, x.v, x.blocks, block_size=a.block_size)
    if name == "compressed":
        return lambda: fsa.compressed_attention(x.q, x.ck, x.cv, total_k=x.seqlen, **compression)
    if name == "select_blocks":
        if x.lse is None:
            x.lse = fsa.compressed_attention(x.q, x.ck, x.cv, total_k=x.seqlen, **compression)[1]
        return lambda: fsa.select_blocks(x.q, x.ck, x.lse, total_k=x.seqlen, **compression, **selection)
    if name == "sliding":
        return lambda: fsa.sliding_window(x.q, x.k, x.v, window=a.window)
    given = {"ck": x.ck, "cv": x.cv} if a.compression == "none" else {}
    return lambda: fsa.native_sparse_attention(x.q, x.k, x.v, x.gates, window=a.window, **given, **compression, **selection)


def dense_call(torch, name: str, x: Inputs):
    """Scaled dot product attention by one backend. Keys are repeated for every query head where it cannot share them."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    backend = {"dense_cudnn": SDPBackend.CUDNN_ATTENTION, "dense_flash": SDPBackend.FLASH_ATTENTION}[name]
    q, k, v = (t.transpose(0, 1)[None] for t in (x.q, x.k, x.v))

    def attend(keys, values, **grouped):
        with sdpa_kernel(backend):
            return torch.nn.functional.scaled_dot_product_attention(q, keys, values, is_causal=True, **grouped)

    try:
        attend(k, v, enable_gqa=True)
        return lambda: attend(k, v, enable_gqa=True)
    except (RuntimeError, TypeError):
        k, v = (t.repeat_interleave(x.args.heads_q // x.args.heads_kv, dim=1).contiguous() for t in (k, v))
        return lambda: attend(k, v)


def window_attention(torch, q, k, v, window: int):
    """[1, T, H, D] each, flash attention to the last `window` keys."""
    return torch.ops.aten._flash_attention_forward(q, k, v, None, None, q.shape[1], k.shape[1], 0.0, True, False, window_size_left=window - 1,
                                                   window_size_right=0)[0]


def check_window(torch, x: Inputs) -> None:
    """Builds without local attention may take a window and ignore it: a small case is compared with its definition."""
    tokens, window = min(512, x.seqlen), 100
    q, k, v = (t[:tokens][None] for t in (x.q, x.k, x.v))
    got = window_attention(torch, q, k, v, window)[0].float()
    group = x.args.heads_q // x.args.heads_kv
    q, k, v = (t[0].float().transpose(0, 1) for t in (q, k, v))
    scores = q @ k.repeat_interleave(group, 0).transpose(1, 2) / x.args.head_dim**0.5
    distance = torch.arange(tokens, device=q.device)[:, None] - torch.arange(tokens, device=q.device)
    scores.masked_fill_((distance < 0) | (distance >= window), float("-inf"))
    expected = (scores.softmax(2) @ v.repeat_interleave(group, 0)).transpose(0, 1)
    if not (got - expected).norm() < 0.05 * expected.norm():
        raise RuntimeError("this build of PyTorch ignores the window")


def window_call(torch, x: Inputs):
    check_window(torch, x)
    q, k, v = (t[None] for t in (x.q, x.k, x.v))
    return lambda: window_attention(torch, q, k, v, x.args.window)


def make_call(torch, fsa, name: str, x: Inputs):
    if SAMPLES[name][1]:
        return fsa_call(fsa, name, x)
    return window_call(torch, x) if name == "window_flash" else dense_call(torch, name, x)


# Timing.

def failure(seqlen: int, reason: str) -> dict:
    return {"seqlen": seqlen, "median_ms": None, "min_ms": None, "max_ms": None, "error": reason}


def first_line(reason: Exception) -> str:
    return f"{type(reason).__name__}: {reason}".splitlines()[0][:300]


class Sample:
    """One sample at one length: a graph, or else a call, for each set of inputs."""

    def __init__(self, torch, fsa, name: str, sets: list):
        self.torch, self.milliseconds, self.error, self.graph = torch, [], None, True
        self.runs = []
        try:
            calls = [make_call(torch, fsa, name, x) for x in sets]
            for call in calls:  # plans, compiles, warms up
                call()
            torch.cuda.synchronize()
            self.plan = self.plan_of(SAMPLES[name][1])
            self.runs = [self.captured(call) for call in calls]
        except Exception as reason:  # a peer that fails must not take the others along
            self.error = first_line(reason)

    @staticmethod
    def plan_of(operator) -> dict:
        """Which kernels an operator of this library took."""
        if operator is None:
            return {}
        from fsa import _ops
        plan = next(bound.plan for bound in reversed(_ops._bound.values()) if bound.plan.op == operator)
        return {"variant": plan.variant, "source": plan.report.get("source")}

    def captured(self, call):
        if not self.graph:
            return call
        torch = self.torch
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                call()
            graph.replay()
            torch.cuda.synchronize()
            return graph.replay
        except RuntimeError:
            torch.cuda.synchronize()
            self.graph = False
            return call

    def run(self, round_number: int) -> None:
        torch = self.torch
        if self.error:
            return
        try:
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            torch.cuda._sleep(SPIN_CYCLES)
            begin.record()
            self.runs[round_number % len(self.runs)]()
            end.record()
            end.synchronize()
            self.milliseconds.append(begin.elapsed_time(end))
        except RuntimeError as reason:
            self.error = first_line(reason)

    def result(self, seqlen: int) -> dict:
        if self.error:
            return failure(seqlen, self.error)
        times = self.milliseconds
        result = {"seqlen": seqlen, "median_ms": statistics.median(times), "min_ms": min(times), "max_ms": max(times), "rounds": len(times),
                  "graph": self.graph}
        return result | self.plan


def measure_length(torch, fsa, args, names: list, seqlen: int) -> dict:
    """name -> result."""
    sets = [Inputs(torch, args, seqlen, seed=1)]
    cache = getattr(torch.cuda.get_device_properties(args.device), "L2_cache_size", 64 << 20)
    wanted = count_sets(cache, sets[0].bytes())
    sets += [Inputs(torch, args, seqlen, seed) for seed in range(2, wanted + 1)]
    samples = {name: Sample(torch, fsa, name, sets) for name in names}
    for name, sample in samples.items():
        if sample.error:
            say(f"  {name}: {sample.error}")
    for round_number in range(-2, args.rounds):  # two to warm up
        order = list(samples.values())
        start = round_number % len(order)
        for sample in order[start:] + order[:start]:
            sample.run(round_number)
        if round_number < 0:
            for sample in order:
                sample.milliseconds.clear()
    return {name: sample.result(seqlen) for name, sample in samples.items()}


# What the machine is.

def output_of(command: list):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip().splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None


def import_torch(device: str):
    try:
        import torch
    except ImportError as reason:
        give_up(f"PyTorch is not installed: {reason}")
    if not torch.cuda.is_available():
        give_up("PyTorch sees no GPU (is this a build with CUDA? is the driver there?)")
    try:
        torch.cuda.set_device(device)
    except (RuntimeError, ValueError) as reason:
        give_up(f"PyTorch cannot use {device}: {reason}")
    return torch


def import_fsa():
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "runtime" / "python"))
    try:
        import fsa
        fsa.version()
    except Exception as reason:
        give_up(f"this library cannot be loaded: {reason}")
    return fsa


def describe(torch, fsa, args) -> dict:
    shape = ("heads_q", "heads_kv", "head_dim", "dtype", "block_size", "topk", "kernel_size", "stride", "init_blocks", "local_blocks", "window",
             "compression")
    ordinal = args.device.partition(":")[2] or "0"
    return {"format": 1, "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "device": torch.cuda.get_device_name(args.device), "driver": output_of(["nvidia-smi", "-i", ordinal, "--query-gpu=driver_version",
                                                                                  "--format=csv,noheader"]),
            "clock": output_of(["nvidia-smi", "-i", ordinal, "--query-gpu=clocks.max.sm", "--format=csv,noheader"]),
            "torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(), "fsa": fsa.version(),
            "command": [os.path.basename(sys.argv[0]), *sys.argv[1:]], "shape": {field: getattr(args, field) for field in shape}}


def measure(args) -> dict:
    torch, fsa = import_torch(args.device), import_fsa()
    there = fsa.operator_names()
    names = []
    for name in args.only:
        operator = SAMPLES[name][1]
        if operator is None or operator in there:
            names.append(name)
        else:
            say(f"{name} is skipped: this build has no operator {operator}")
    if "select_blocks" in names and "compressed_attention" not in there:
        say("select_blocks is skipped: it reads what compressed_attention gives, which this build lacks")
        names.remove("select_blocks")
    if not names:
        give_up("no sample is left to take")
    data = describe(torch, fsa, args)
    data["samples"] = [{"name": n, "label": SAMPLES[n][0], "library": "fsa" if SAMPLES[n][1] else "torch", "results": []} for n in names]
    with torch.no_grad():
        for seqlen in args.seqlens:
            say(f"timing {seqlen} tokens on {data['device']}")
            try:
                results = measure_length(torch, fsa, args, names, seqlen)
            except RuntimeError as reason:  # inputs that do not fit: what was measured before is kept
                say(f"  {first_line(reason)}")
                results = {name: failure(seqlen, first_line(reason)) for name in names}
            for sample in data["samples"]:
                sample["results"].append(results[sample["name"]])
            fsa.clear_plans()
            torch.cuda.empty_cache()
    return data


# Reports.

def format_count(number: int) -> str:
    return f"{number // 1024}k" if number % 1024 == 0 else str(number)


def lengths_of(data: dict) -> list:
    return sorted({result["seqlen"] for sample in data["samples"] for result in sample["results"]})


def medians(sample: dict) -> dict:
    """seqlen -> milliseconds, of the lengths that were timed."""
    return {r["seqlen"]: r["median_ms"] for r in sample["results"] if r.get("median_ms") is not None}


def fastest_dense(data: dict, seqlen: int):
    times = [medians(s)[seqlen] for s in data["samples"] if s["name"].startswith("dense_") and seqlen in medians(s)]
    return min(times, default=None)


def table(data: dict) -> str:
    """Milliseconds, and how many times the fastest dense attention takes as long."""
    lengths = lengths_of(data)
    rows = [["ms (times faster than dense)", *[format_count(n) for n in lengths]]]
    for sample in data["samples"]:
        times, row = medians(sample), [sample["label"]]
        for seqlen in lengths:
            dense = fastest_dense(data, seqlen)
            if seqlen not in times:
                row.append("-")
            elif dense is None or sample["name"].startswith("dense_"):
                row.append(f"{times[seqlen]:.3f}")
            else:
                row.append(f"{times[seqlen]:.3f} ({dense / times[seqlen]:.2f}x)")
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    align = lambda row: "  ".join([row[0].ljust(widths[0]), *[cell.rjust(w) for cell, w in zip(row[1:], widths[1:])]])
    shape = ", ".join(f"{field} {value}" for field, value in data["shape"].items())
    lines = [f"{data['device']}, driver {data['driver']}, PyTorch {data['torch']}, fsa {data['fsa']}", shape, "", *map(align, rows)]
    for sample in data["samples"]:
        lines += [f"{sample['label']}, {format_count(r['seqlen'])}: {r['error']}" for r in sample["results"] if r.get("error")]
    return "\n".join(lines)


def draw(data: dict, path: str) -> bool:
    """Time against sequence length, both logarithmic. False, with a message, without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        say(f"{path} is not drawn: matplotlib is not installed")
        return False
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(figsize=(8, 5.5))
    for sample in data["samples"]:
        times = sorted(medians(sample).items())
        if times:
            axes.plot(*zip(*times), marker="o", linestyle="-" if sample["library"] == "fsa" else "--", label=sample["label"])
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    lengths = lengths_of(data)
    axes.set_xticks(lengths, [format_count(n) for n in lengths])
    axes.set_xlabel("tokens")
    axes.set_ylabel("milliseconds")
    shape = data["shape"]
    axes.set_title(f"{data['device']}, {shape['heads_q']}/{shape['heads_kv']} heads of {shape['head_dim']}, {shape['dtype']}")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return True


def load(path: str) -> dict:
    try:
        data = json.loads(Path(path).read_text())
        if not isinstance(data, dict) or data.get("format") != 1:
            raise ValueError("it is no file of this program")
        return data
    except (OSError, ValueError) as reason:
        say(f"compare_torch.py: {path} cannot be read: {reason}")
        sys.exit(2)


def main(argv: list) -> None:
    args = parse(argv)
    data = load(args.replot) if args.replot else measure(args)
    if args.output and not args.replot:
        Path(args.output).write_text(json.dumps(data, indent=1) + "\n")
    print(json.dumps(data, indent=1) if args.json else table(data))
    plot = args.plot or (str(Path(args.replot or args.output).with_suffix(".png")) if args.replot or args.output else None)
    if plot and draw(data, plot):
        say(f"drew {plot}")


if __name__ == "__main__":
    main(sys.argv[1:])
