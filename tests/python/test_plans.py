"""Engines, plans, their cache, and tuning."""
import os
import tempfile
import unittest

import fsa
import support
from fsa import _ops


class Plans(unittest.TestCase):
    def setUp(self):
        self.x = support.small_inputs()

    def tensors(self):
        import numpy as np
        cu = np.array([0, 96], np.int32)
        return self.x | {"cu_q": cu, "cu_k": cu, "o": np.zeros((96, 4, 64), np.float32), "lse": np.zeros((4, 96), np.float32)}

    def test_an_engine_tells_what_it_is(self):
        engine = fsa.Engine("cpu", num_threads=1)
        self.assertEqual(engine.device, "cpu")
        self.assertTrue(engine.target.startswith("x86-64"))
        self.assertIn("cpu", repr(engine))

    def test_a_plan_tells_its_tensors_and_how_it_came_to_be(self):
        plan = fsa.Engine("cpu").plan("selected_attention", support.small_problem())
        self.assertEqual([t.name for t in plan.tensors], ["q", "k", "v", "block_indices", "cu_q", "cu_k", "o", "lse"])
        self.assertEqual(plan.tensors[3], fsa.TensorInfo("block_indices", "i32", (2, 96, 4), "packed", False))
        self.assertEqual([t.name for t in plan.tensors if t.written], ["o", "lse"])
        self.assertEqual(plan.device, "cpu")
        self.assertEqual(plan.report["variant"], plan.variant)
        self.assertIn(plan.variant, str(plan))

    def test_forward_takes_tensors_by_name_or_in_order(self):
        import numpy as np
        engine = fsa.Engine("cpu")
        plan = engine.plan("selected_attention", support.small_problem())
        del engine  # a plan outlives its engine
        by_name, in_order = self.tensors(), self.tensors()
        plan.validate(by_name)
        plan.forward(by_name)
        plan.forward([in_order[t.name] for t in plan.tensors])
        expected, _ = support.oracle(*self.x.values(), 32)
        self.assertLess(support.relative_error(by_name["o"], expected), 2e-5)
        self.assertTrue(np.array_equal(by_name["o"], in_order["o"]))

    def test_forward_names_what_is_missing_or_unknown(self):
        plan = fsa.Engine("cpu").plan("selected_attention", support.small_problem())
        tensors = self.tensors()
        for change, part in ((lambda: tensors.pop("lse"), "without lse"), (lambda: tensors.update(lse=1, extra=2), "with extra")):
            change()
            with self.assertRaisesRegex(fsa.Error, part):
                plan.forward(tensors)
        with self.assertRaisesRegex(fsa.Error, "3 tensors"):
            plan.forward([1, 2, 3])

    def test_a_problem_is_planned_once(self):
        fsa.clear_plans()
        for _ in range(3):
            fsa.selected_attention(**self.x, block_size=32)
        self.assertEqual(len(_ops._bound), 1)
        fsa.selected_attention(**self.x, block_size=32, scale=0.5)
        self.assertEqual(len(_ops._bound), 2)

    def test_the_cache_of_plans_is_bounded(self):
        fsa.clear_plans()
        most, _ops.MAX_PLANS = _ops.MAX_PLANS, 4
        try:
            for i in range(20):
                fsa.selected_attention(**self.x, block_size=32, scale=0.1 + 0.01 * i)
                self.assertLessEqual(len(_ops._bound), 4)
        finally:
            _ops.MAX_PLANS = most
            fsa.clear_plans()

    def test_a_frozen_engine_does_not_compile_and_a_logging_one_says_that_it_does(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(fsa.Error) as caught:
                fsa.selected_attention(**self.x, block_size=32, engine=fsa.Engine("cpu", cache_dir=folder, freeze=True))
            self.assertEqual(caught.exception.kind, "unavailable")
            lines = []
            engine = fsa.Engine("cpu", cache_dir=folder, log=lambda level, line: lines.append((level, line)))
            fsa.selected_attention(**self.x, block_size=32, engine=engine)
            self.assertTrue(lines)
            self.assertTrue(all(level in ("debug", "info", "warning") and line for level, line in lines))
            fsa.clear_plans()

    def test_the_environment_is_read_unless_it_is_not_wanted(self):
        os.environ["FSA_NUM_THREADS"] = "many"
        try:
            with self.assertRaisesRegex(fsa.Error, "FSA_NUM_THREADS"):
                fsa.Engine("cpu")
            fsa.Engine("cpu", environment=False)
        finally:
            del os.environ["FSA_NUM_THREADS"]

    def test_doctor_tells_devices_and_operators(self):
        found = fsa.doctor()
        self.assertEqual(found["operators"], fsa.operator_names())
        self.assertIn("target", found["devices"]["cpu"])
        self.assertIn("cuda:0", found["devices"])
        self.assertTrue(os.path.exists(found["library"]))


class Tuning(unittest.TestCase):
    def test_a_winner_is_kept_for_later_plans(self):
        events = []
        with tempfile.TemporaryDirectory() as folder:
            engine = fsa.Engine("cpu", cache_dir=folder)
            result = fsa.tune("selected_attention", support.small_problem(), engine=engine, max_candidates=3, max_seconds=20, progress=events.append)
            self.assertTrue(result["kept"])
            self.assertGreater(result["seconds"], 0)
            self.assertTrue(events and all(isinstance(e, fsa.Progress) and 0 <= e.fraction <= 1 for e in events))
            plan = engine.plan("selected_attention", support.small_problem())
            self.assertEqual(plan.report["source"], "tuned")
            self.assertEqual(plan.variant, result["variant"])

    def test_an_exception_in_the_callback_stops_it_and_comes_back(self):
        def progress(event):
            raise KeyError("enough")
        with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(KeyError, "enough"):
            fsa.tune("selected_attention", support.small_problem(), engine=fsa.Engine("cpu", cache_dir=folder), isolate=False, max_candidates=50,
                     progress=progress)

    def test_errors_of_the_problem_come_before_the_search(self):
        with self.assertRaises(fsa.Error) as caught:
            fsa.tune("selected_attention", {"head_dim": 20})
        self.assertIn("head_dim", caught.exception.message)


if __name__ == "__main__":
    support.main("numpy")
