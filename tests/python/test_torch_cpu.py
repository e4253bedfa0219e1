"""torch tensors on the CPU."""
import unittest

import fsa
import support
import torch_checks


class TorchOnTheCpu(torch_checks.Torch, unittest.TestCase):
    dtypes = ("f32", "bf16", "f16")

    def test_numpy_and_torch_agree_bit_for_bit(self):
        import numpy as np
        import torch
        x = support.small_inputs()
        o, lse = fsa.selected_attention(**x, block_size=32)
        t, t_lse = fsa.selected_attention(**{name: torch.from_numpy(a) for name, a in x.items()}, block_size=32)
        self.assertTrue(np.array_equal(o, t.numpy()) and np.array_equal(lse, t_lse.numpy()))

    def test_no_torch_no_import(self):
        import subprocess
        import sys
        code = "import sys, fsa, numpy as np; fsa.operator_names(); assert 'torch' not in sys.modules"
        self.assertEqual(subprocess.run([sys.executable, "-c", code]).returncode, 0)


if __name__ == "__main__":
    support.main("numpy", "torch")
