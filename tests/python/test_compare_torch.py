"""tools/bench/compare_torch.py as far as it goes without a GPU: its flags, its table and its picture, on made-up measurements."""
import contextlib
import importlib.util
import io
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "bench" / "compare_torch.py"
spec = importlib.util.spec_from_file_location("compare_torch", SCRIPT)
compare_torch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compare_torch)


def timed(seqlen: int, median: float) -> dict:
    return {"seqlen": seqlen, "median_ms": median, "min_ms": median * 0.9, "max_ms": median * 1.2, "rounds": 30, "graph": True}


def measurements() -> dict:
    failed = {"seqlen": 16384, "median_ms": None, "min_ms": None, "max_ms": None, "error": "RuntimeError: No available kernel"}
    sample = lambda name, library, *results: {"name": name, "label": compare_torch.SAMPLES[name][0], "library": library, "results": list(results)}
    return {"format": 1, "device": "Imaginary GPU", "driver": "1.2", "torch": "9.9", "fsa": "0.0", "command": [],
            "shape": {"heads_q": 16, "heads_kv": 4, "head_dim": 128, "dtype": "bf16"},
            "samples": [sample("nsa", "fsa", timed(8192, 2.0), timed(16384, 4.0)),
                        sample("dense_cudnn", "torch", timed(8192, 5.0), failed),
                        sample("dense_flash", "torch", timed(8192, 6.0), timed(16384, 24.0))]}


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True)


class CompareTorch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.file = self.folder / "measured.json"
        self.file.write_text(json.dumps(measurements()))

    def test_help_needs_no_torch(self):
        result = run("--help")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("--seqlens", result.stdout)

    def test_defaults(self):
        args = compare_torch.parse([])
        self.assertEqual(args.seqlens, [8192, 16384, 32768, 65536])
        self.assertEqual((args.heads_q, args.heads_kv, args.head_dim, args.dtype, args.window), (16, 4, 128, "bf16", 512))
        self.assertGreaterEqual(args.rounds, 20)
        self.assertEqual(args.only, list(compare_torch.SAMPLES))

    def test_small_is_small(self):
        args = compare_torch.parse(["--small"])
        self.assertLessEqual(max(args.seqlens), 2048)
        self.assertLessEqual(args.rounds, 5)

    def test_bad_usage_ends_with_two_and_names_the_culprit(self):
        for arguments, culprit in ((["--seqlens", "8k,long"], "8k,long"), (["--only", "magic"], "magic"), (["--rounds", "0"], "0"),
                                   (["--heads-q", "5", "--heads-kv", "2"], "no multiple"), (["--stride", "64"], "larger than")):
            errors = io.StringIO()
            with self.assertRaises(SystemExit) as ended, contextlib.redirect_stderr(errors):
                compare_torch.parse(arguments)
            self.assertEqual(ended.exception.code, 2)
            self.assertIn(culprit, errors.getvalue())

    def test_the_table_sets_this_library_against_the_fastest_dense_attention(self):
        lines = compare_torch.table(measurements()).splitlines()
        row = lambda label: next(line for line in lines if line.startswith(label))
        self.assertEqual(row("whole operator").split()[2:], ["2.000", "(2.50x)", "4.000", "(6.00x)"])
        self.assertEqual(row("dense, PyTorch cuDNN").split()[3:], ["5.000", "-"])
        self.assertEqual(row("dense, PyTorch flash").split()[3:], ["6.000", "24.000"])
        self.assertIn("dense, PyTorch cuDNN, 16k: RuntimeError: No available kernel", lines)
        self.assertIn("8k", row("ms (times"))

    def test_without_a_dense_peer_there_are_times_alone(self):
        data = measurements()
        del data["samples"][1:]
        self.assertNotIn("x)", compare_torch.table(data))

    def test_replot_prints_what_was_measured_earlier(self):
        result = run("--replot", str(self.file), "--plot", str(self.folder / "picture.png"))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("Imaginary GPU", result.stdout)
        self.assertEqual(json.loads(self.file.read_text()), measurements(), "the file is as it was")
        again = run("--replot", str(self.file), "--plot", str(self.folder / "picture.png"), "--json")
        self.assertEqual(json.loads(again.stdout), measurements())

    def test_a_file_that_is_none_is_refused(self):
        self.file.write_text("{}")
        for path in (self.file, self.folder / "none.json"):
            result = run("--replot", str(path))
            self.assertEqual(result.returncode, 2)
            self.assertIn(str(path), result.stderr)

    def test_draws_a_picture(self):
        picture = self.folder / "picture.png"
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            drawn = compare_torch.draw(measurements(), str(picture))
        if not drawn:
            self.assertIn("matplotlib is not installed", errors.getvalue())
            self.assertFalse(picture.exists())
            self.skipTest("matplotlib is not installed")
        self.assertEqual(picture.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")

    def test_sets_pass_the_cache_twice_and_are_not_endless(self):
        self.assertGreater(compare_torch.count_sets(50 << 20, 30 << 20) * 30, 100)
        self.assertEqual(compare_torch.count_sets(50 << 20, 1 << 30), 1)
        self.assertEqual(compare_torch.count_sets(50 << 20, 1 << 10), compare_torch.MOST_SETS)

    def test_without_torch_or_a_gpu_it_says_so(self):
        try:
            import torch
        except ImportError:
            torch = None
        if torch is not None and torch.cuda.is_available():
            self.skipTest("there is a GPU")
        result = run("--small", "--output", "")
        self.assertEqual(result.returncode, 77)
        self.assertIn("PyTorch", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
