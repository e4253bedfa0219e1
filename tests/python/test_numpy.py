"""Results on numpy arrays, on the CPU."""
import threading
import unittest

import checks
import fsa
import support

try:
    import ml_dtypes
except ImportError:
    ml_dtypes = None


class Numpy(checks.Results, unittest.TestCase):
    dtypes = ("f32", "f16") + (("bf16",) if ml_dtypes else ())

    def to(self, array, dtype):
        import numpy as np
        kinds = {"f32": np.float32, "f16": np.float16, "i32": np.int32}
        return array.astype(kinds[dtype] if dtype != "bf16" else ml_dtypes.bfloat16)

    def back(self, tensor):
        import numpy as np
        return tensor if tensor.dtype == np.int32 else tensor.astype(np.float32)

    def setUp(self):
        self.x = support.small_inputs()
        self.args = [self.x[n] for n in ("q", "k", "v", "block_indices")]

    def test_outputs_are_arrays_of_the_inputs_type_and_device(self):
        import numpy as np
        o, lse = fsa.selected_attention(*self.args, block_size=32)
        self.assertIsInstance(o, np.ndarray)
        self.assertEqual((o.shape, o.dtype, lse.shape, lse.dtype), ((96, 4, 64), np.float32, (4, 96), np.float32))

    def test_outputs_given_are_written_and_returned(self):
        import numpy as np
        o, lse = np.full((96, 4, 64), np.nan, np.float32), np.full((4, 96), np.nan, np.float32)
        workspace = np.empty(1 << 24, np.uint8)
        workspace = workspace[-workspace.ctypes.data % 256:]
        got = fsa.selected_attention(*self.args, block_size=32, out=o, lse=lse, workspace=workspace)
        self.assertIs(got[0], o)
        self.assertIs(got[1], lse)
        expected = support.oracle(*self.args, 32)
        self.assert_close(o, expected[0], "f32")

    def test_strided_and_read_only_inputs_are_taken_as_they_are(self):
        import numpy as np
        packed = np.concatenate([self.x["k"], self.x["v"]], axis=2)  # one tensor of keys and values
        k, v = packed[..., :64], packed[..., 64:]
        q = self.x["q"].copy()
        for array in (q, packed, self.x["block_indices"]):
            array.flags.writeable = False
        o, _ = fsa.selected_attention(q, k, v, self.x["block_indices"], block_size=32)
        plain, _ = fsa.selected_attention(*(a.copy() for a in self.args), block_size=32)
        self.assertTrue(np.array_equal(o, plain))

    def test_rows_without_keys_are_zero_and_minus_infinity(self):
        import numpy as np
        blocks = self.x["block_indices"].copy()
        blocks[:, 5] = -1
        o, lse = fsa.selected_attention(*self.args[:3], blocks, block_size=32)
        self.assertTrue(np.all(o[5] == 0) and np.all(np.isneginf(lse[:, 5])))

    def test_threads_share_a_plan(self):
        import numpy as np
        expected, _ = fsa.selected_attention(*self.args, block_size=32)
        wrong = []

        def work():
            for _ in range(200):
                o, _ = fsa.selected_attention(*self.args, block_size=32)
                if not np.array_equal(o, expected):
                    wrong.append(1)

        threads = [threading.Thread(target=work) for _ in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        self.assertEqual(wrong, [])

    def test_an_unwritten_array_interface_will_do(self):
        class Foreign:
            """A tensor type that is known for its __dlpack__ alone."""
            def __init__(self, array):
                self.array, self.shape, self.dtype = array, array.shape, array.dtype

            def __dlpack__(self, **_):
                return self.array.__dlpack__()

            def __dlpack_device__(self):
                return self.array.__dlpack_device__()

        import numpy as np
        o, lse = fsa.selected_attention(*(Foreign(a) for a in self.args), block_size=32)
        expected, _ = fsa.selected_attention(*self.args, block_size=32)
        self.assertTrue(np.array_equal(o, expected))


if __name__ == "__main__":
    support.main("numpy")
