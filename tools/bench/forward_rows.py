#!/usr/bin/env python3
"""The forward operators on the shapes that this library's claims are made for: a table, and a JSON file as evidence.

    python3 tools/bench/forward_rows.py --fsa build/release/tools/fsa --device cuda:0 --output tools/bench/results/h200.json
    python3 tools/bench/forward_rows.py --only selected_g4_64k,whole_g4_64k        some rows alone
    python3 tools/bench/forward_rows.py --show tools/bench/results/h200.json       the table of a file; nothing is run

Every row is one call of `fsa bench`, kept in the file with its samples, the kernels' own times and what the driver said of the GPU
right after it. Exit codes: 0; 1 a row failed (the others are kept); 2 bad usage.
"""
import argparse
import datetime
import json
import os
import shlex
import statistics
import subprocess
import sys

# d = 128, block 64, topk 16, kernel 32, stride 16, window 512, one sequence, 4 kv heads, where a row does not say otherwise.
MODEL = "--heads-kv 4 --head-dim 128"


def selected(group: int, tokens: str, more: str = "") -> str:
    return f"--op selected --heads-q {4 * group} {MODEL} --seqlen {tokens} {more}"


def branch(operator: str, group: int, tokens: str = "64k") -> str:
    return f"--op {operator} --heads-q {4 * group} {MODEL} --seqlen {tokens}"


def whole(group: int, tokens: str, more: str = "") -> str:
    return f"--op nsa --each --heads-q {4 * group} {MODEL} --seqlen {tokens} {more}"


ROWS = {
    **{f"selected_g{g}_64k": selected(g, "64k", "--each") for g in (1, 2, 3, 4, 5, 8, 16)},
    **{f"selected_g4_{n}": selected(4, n) for n in ("8k", "16k", "32k", "128k")},
    "selected_g4_64k_block128_top8": selected(4, "64k", "--block-size 128 --topk 8"),
    "selected_g4_32k_d64_hkv8": "--op selected --heads-q 32 --heads-kv 8 --head-dim 64 --seqlen 32k --each",
    "selected_g4_64k_d256": "--op selected --heads-q 16 --heads-kv 4 --head-dim 256 --seqlen 64k",
    "selected_g4_64k_overlap": selected(4, "64k", "--overlap 0.9 --each"),
    "selected_g4_64k_mixed": selected(4, "4k", "--num-seqs 16 --mixed-lengths"),
    # The other order, where the hybrid one is the default.
    **{f"selected_g{g}_64k_block_major": selected(g, "64k", "--variant block_major") for g in (4, 8, 16)},
    "selected_g4_8k_block_major": selected(4, "8k", "--variant block_major"),
    "selected_g4_64k_block128_top8_block_major": selected(4, "64k", "--block-size 128 --topk 8 --variant block_major"),
    "selected_g4_32k_d64_hkv8_block_major": "--op selected --heads-q 32 --heads-kv 8 --head-dim 64 --seqlen 32k --variant block_major --each",
    "selected_g4_64k_overlap_block_major": selected(4, "64k", "--overlap 0.9 --variant block_major"),
    **{f"compressed_g{g}_64k": branch("compressed_attention", g) for g in (1, 4)},
    **{f"selection_g{g}_64k": branch("select_blocks", g) for g in (1, 4)},
    **{f"window_g{g}_64k": branch("sliding_window", g) for g in (1, 4)},
    **{f"whole_g4_{n}": whole(4, n) for n in ("1k", "8k", "32k", "64k", "128k")},
    "whole_g4_64k_block_major": whole(4, "64k", "--variant block_major_gated"),
    "whole_g1_64k": whole(1, "64k"),
    "whole_g4_64k_d256": "--op nsa --each --heads-q 16 --heads-kv 4 --head-dim 256 --seqlen 64k",
    **{f"whole_g{g}_64k": whole(g, "64k") for g in (3, 5)},
    "whole_g4_64k_mixed": whole(4, "4k", "--num-seqs 16 --mixed-lengths"),
}
GPU_FIELDS = "name,driver_version,clocks.max.sm,clocks.sm,clocks.mem,power.draw,temperature.gpu"


def gpu_state(device: str):
    """What nvidia-smi says of a GPU, by field; None of a CPU, or where there is no nvidia-smi."""
    kind, _, ordinal = device.partition(":")
    if kind != "cuda":
        return None
    try:
        text = subprocess.run(["nvidia-smi", "-i", ordinal or "0", f"--query-gpu={GPU_FIELDS}", "--format=csv,noheader"], capture_output=True,
                              text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return dict(zip(GPU_FIELDS.split(","), (field.strip() for field in text.strip().splitlines()[0].split(","))))


def measure(args, name: str) -> dict:
    command = [args.fsa, "bench", "--json", "--quiet", "--device", args.device, "--rounds", str(args.rounds), *shlex.split(ROWS[name])]
    row = {"name": name, "command": shlex.join(["fsa", *command[1:]])}
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return row | {"error": (done.stderr or done.stdout).strip()}
    report = json.loads(done.stdout)
    for step in report["results"][0].get("steps", []):
        del step["seconds"]["samples"]  # those of the whole say how times spread
    return row | {"device": report["device"], "target": report["target"], "gpu": gpu_state(args.device)} | report["results"][0]


def write(data: dict, path: str) -> None:
    """A row of the table is a line of the file."""
    head = json.dumps({key: value for key, value in data.items() if key != "rows"})
    with open(path, "w", encoding="utf-8") as file:
        file.write(head[:-1] + ', "rows": [\n' + ",\n".join(json.dumps(row) for row in data["rows"]) + "\n]}\n")


def cells(row: dict) -> list:
    if "error" in row:
        return [row["name"], row["error"].splitlines()[0]]
    ms = [1e3 * s for s in row["seconds"]["samples"]]
    low, _, high = statistics.quantiles(ms, n=4)
    fraction = row["roofline"].get("fraction")
    return [row["name"], row["variant"], f"{statistics.median(ms):.3f}", f"{low:.3f} to {high:.3f}", f"{row['tflops']:.0f}",
            f"{row['gbytes_per_second']:.0f}", f"{100 * fraction:.0f} %" if fraction else "-"]


def print_table(rows: list) -> None:
    lines = [["row", "variant", "median, ms", "quartiles", "TFLOP/s", "GB/s", "of roofline"], *map(cells, rows)]
    widths = [max(len(line[i]) for line in lines if len(line) == 7) for i in range(7)]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fsa", default="build/release/tools/fsa", help="the command (default: build/release/tools/fsa)")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--rounds", type=int, default=20, help="samples of each time, 2 at least (default: 20)")
    parser.add_argument("--only", help="rows to take, comma separated (default: all)")
    parser.add_argument("--output", help="JSON file to write")
    parser.add_argument("--show", metavar="FILE", help="print the table of a file that was written earlier")
    args = parser.parse_args()
    if args.show:
        with open(args.show, encoding="utf-8") as file:
            print_table(json.load(file)["rows"])
        return 0
    names = args.only.split(",") if args.only else list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"no such row: {', '.join(unknown)}; there are: {', '.join(ROWS)}")
    if args.rounds < 2:
        parser.error(f"--rounds {args.rounds}: quartiles need 2 at least")
    if not os.access(args.fsa, os.X_OK):
        parser.error(f"--fsa {args.fsa}: no such program; build it (README), or name it")
    data = {"format": 1, "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "rounds": args.rounds, "rows": []}
    for name in names:
        data["rows"].append(measure(args, name))
        print(f"{name} done", file=sys.stderr, flush=True)
        if args.output:  # after every row: what was measured stays, whatever comes
            write(data, args.output)
    print_table(data["rows"])
    return int(any("error" in row for row in data["rows"]))


if __name__ == "__main__":
    sys.exit(main())
