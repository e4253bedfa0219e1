"""tools/bench/forward_rows.py on the CPU: small rows in place of its own, measured by the command, written, shown and refused."""
import contextlib
import importlib.util
import io
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "bench" / "forward_rows.py"
spec = importlib.util.spec_from_file_location("forward_rows", SCRIPT)
forward_rows = importlib.util.module_from_spec(spec)
spec.loader.exec_module(forward_rows)

SMALL = {"small": "--op selected --each --heads-q 2 --head-dim 16 --seqlen 128 --topk 2", "odd": "--op selected --heads-q 2 --head-dim 17"}


class ForwardRows(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.output = Path(folder.name) / "rows.json"

    def run_script(self, *arguments: str):
        """Exit code, standard output, standard error."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch.object(forward_rows, "ROWS", SMALL), \
                mock.patch.object(sys, "argv", ["forward_rows.py", *arguments]):
            try:
                code = forward_rows.main()
            except SystemExit as end:
                code = end.code
        return code, out.getvalue(), err.getvalue()

    def measure(self, rows: str):
        return self.run_script("--fsa", os.environ["FSA_COMMAND"], "--device", "cpu", "--rounds", "3", "--only", rows, "--output", str(self.output))

    def test_a_row_is_measured_kept_and_shown(self):
        code, table, _ = self.measure("small")
        self.assertEqual(code, 0)
        (row,) = json.loads(self.output.read_text())["rows"]
        self.assertEqual(len(row["seconds"]["samples"]), 3)
        self.assertEqual(len(row["steps"]), 1)
        self.assertIn("--seqlen 128", row["command"])
        self.assertIn("small", table)
        self.assertEqual(self.run_script("--show", str(self.output))[:2], (0, table))

    def test_a_row_that_fails_does_not_cost_the_others(self):
        code, table, _ = self.measure("odd,small")
        self.assertEqual(code, 1)
        odd, small = json.loads(self.output.read_text())["rows"]
        self.assertIn("head_dim is 17", odd["error"])
        self.assertIn("median", small["seconds"])
        self.assertIn("head_dim is 17", table)

    def test_a_name_that_is_no_row_is_refused(self):
        code, _, message = self.measure("big")
        self.assertEqual(code, 2)
        self.assertIn("no such row: big; there are: small, odd", message)

    def test_a_missing_command_is_refused(self):
        code, _, message = self.run_script("--fsa", "/nowhere/fsa", "--only", "small")
        self.assertEqual(code, 2)
        self.assertIn("/nowhere/fsa", message)

    def test_each_row_is_a_command_of_its_own(self):
        self.assertEqual(len(set(forward_rows.ROWS.values())), len(forward_rows.ROWS))


if __name__ == "__main__":
    unittest.main()
