"""Ten thousand calls leave no memory and no objects behind."""
import gc
import sys
import unittest

import fsa
import support
from fsa import _ops

CALLS = 10_000


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


class Leaks(unittest.TestCase):
    def run_calls(self, call):
        for _ in range(500):
            call()
        gc.collect()
        objects, memory = len(gc.get_objects()), resident_bytes()
        for _ in range(CALLS):
            call()
        gc.collect()
        self.assertLess(len(gc.get_objects()) - objects, 50)
        self.assertLess(resident_bytes() - memory, 4 << 20)

    def test_forward(self):
        import numpy as np
        i = np.zeros((1, 1, 1), np.int32)
        q = np.ones((1, 1, 16), np.float32)
        arrays = (q, q.copy(), q.copy(), i)
        counts = [sys.getrefcount(a) for a in arrays]
        self.run_calls(lambda: fsa.selected_attention(*arrays, block_size=16))
        self.assertEqual(counts, [sys.getrefcount(a) for a in arrays])
        self.assertEqual(sum(len(b.plan._frames) for b in _ops._bound.values()), 1)

    def test_refused_calls(self):
        import numpy as np
        i = np.zeros((1, 1, 1), np.int32)
        q = np.ones((1, 1, 16), np.float32)

        def call():
            try:
                fsa.selected_attention(q, q, q[:, :, ::2], i, block_size=16)
            except fsa.Error:
                pass

        self.run_calls(call)

    def test_plans(self):
        engine = fsa.default_engine("cpu")

        def plan_and_forget():
            for _ in range(1000):
                engine.plan("selected_attention", support.small_problem())

        plan_and_forget()  # the allocator takes its share
        gc.collect()
        memory = resident_bytes()
        plan_and_forget()
        gc.collect()
        self.assertLess(resident_bytes() - memory, 4 << 20)


if __name__ == "__main__":
    support.main("numpy")
