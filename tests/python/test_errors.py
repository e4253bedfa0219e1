"""What a user can get wrong from Python: fsa.Error with the kind and a message that names the tensor and helps."""
import os
import pickle
import subprocess
import sys
import tempfile
import unittest

import fsa
import support


class Errors(unittest.TestCase):
    def setUp(self):
        self.x = support.small_inputs()

    def call(self, block_size=32, **changes):
        keywords = {k: changes.pop(k) for k in list(changes) if k not in self.x}
        return fsa.selected_attention(**(self.x | changes), block_size=block_size, **keywords)

    def refused(self, kind, *parts, **changes):
        with self.assertRaises(fsa.Error) as caught:
            self.call(**changes)
        self.assertEqual(caught.exception.kind, kind, caught.exception.message)
        for part in parts:
            self.assertIn(part, caught.exception.message)
        self.assertEqual(str(caught.exception), caught.exception.message)

    def test_types_that_are_no_tensors(self):
        self.refused("invalid_argument", "q is a list", "__dlpack__", "numpy.asarray", q=self.x["q"].tolist())
        self.refused("invalid_argument", "k is a NoneType", k=None)
        self.refused("invalid_argument", "cu_q is a list", cu_q=[0, 96], cu_k=[0, 96])
        self.refused("invalid_argument", "o is a list", out=[1.0])

    def test_element_types(self):
        import numpy as np
        self.refused("invalid_argument", "float64", q=self.x["q"].astype(np.float64))
        self.refused("invalid_argument", "k is f16", "f32", k=self.x["k"].astype(np.float16))
        self.refused("invalid_argument", "block_indices", "int64", "i32", block_indices=self.x["block_indices"].astype(np.int64))
        self.refused("invalid_argument", "cu_q", "int64", cu_q=np.array([0, 96]), cu_k=np.array([0, 96], np.int32))

    def test_shapes(self):
        import numpy as np
        self.refused("invalid_argument", "q has shape [96, 256]", "[Tq, Hq, D]", q=self.x["q"].reshape(96, 256))
        self.refused("invalid_argument", "block_indices has shape", block_indices=self.x["block_indices"][0])
        self.refused("invalid_argument", "block_indices is i32 [1, 96, 4]", "[2, 96, 4]", block_indices=self.x["block_indices"][:1])
        self.refused("invalid_argument", "v is f32 [95, 2, 64]", v=self.x["v"][:95])
        self.refused("invalid_argument", "heads_q is 3", q=self.x["q"][:, :3])
        self.refused("invalid_argument", "o is f32 [95, 4, 64]", out=np.empty((95, 4, 64), np.float32))

    def test_strides(self):
        import numpy as np
        self.refused("invalid_argument", "k has stride 2 in its last dimension", k=np.zeros((96, 2, 128), np.float32)[..., ::2])
        self.refused("invalid_argument", "q has a stride of", q=np.zeros((96, 4, 65), np.float32)[..., :64])
        self.refused("invalid_argument", "block_indices is not contiguous", block_indices=np.zeros((2, 96, 8), np.int32)[..., ::2])

    def test_outputs_that_cannot_be_written(self):
        import numpy as np
        out = np.empty((96, 4, 64), np.float32)
        out.flags.writeable = False
        self.refused("invalid_argument", "o cannot be used", "written", out=out)

    def test_parameters(self):
        self.refused("unsupported", "block_size", "20", block_size=20)
        self.refused("unsupported", "head_dim is 20", **{name: self.x[name][..., :20].copy() for name in ("q", "k", "v")})
        self.refused("invalid_argument", "block_size", block_size="large")
        with self.assertRaises(TypeError):
            fsa.selected_attention(*self.x.values())

    def test_sequences(self):
        import numpy as np
        i = lambda *values: np.array(values, np.int32)
        self.refused("invalid_argument", "both cu_q and cu_k", cu_q=i(0, 40, 96))
        self.refused("invalid_argument", "cu_q", cu_q=i(0, 97, 96), cu_k=i(0, 96, 96))
        self.refused("invalid_argument", "cu_k ends at 95", cu_q=i(0, 96), cu_k=i(0, 95))
        self.refused("invalid_argument", "sequence 0", cu_q=i(0, 60, 96), cu_k=i(0, 50, 96))

    def test_workspaces(self):
        import numpy as np
        engine = fsa.default_engine("cpu")
        plan = engine.plan("selected_attention", support.small_problem())
        if plan.workspace_bytes:
            self.refused("invalid_argument", "workspace has 16 bytes", workspace=np.zeros(16, np.uint8))
        self.refused("invalid_argument", "workspace is a bytearray", workspace=bytearray(1 << 20))
        self.refused("invalid_argument", "workspace is not contiguous", workspace=np.zeros((64, 64), np.uint8)[:, ::2])

    def test_engines_and_operators(self):
        for device, kind in (("tpu", "invalid_argument"), ("cuda:63", "unavailable")):
            with self.assertRaises(fsa.Error) as caught:
                fsa.Engine(device)
            self.assertEqual(caught.exception.kind, kind)
        with self.assertRaises(fsa.Error) as caught:
            fsa.Engine("cpu").plan("selected_atention", {})
        self.assertEqual(caught.exception.kind, "unsupported")
        self.assertIn("selected_attention", caught.exception.message)
        with self.assertRaises(fsa.Error) as caught:
            fsa.Engine("cpu").plan("selected_attention", {"head_dim": {1, 2}})
        self.assertIn("no JSON object", caught.exception.message)

    def test_misaligned_pointers(self):
        import numpy as np
        memory = np.zeros(96 * 4 * 64 + 1, np.float32)
        shift = 1 if memory.ctypes.data % 16 == 0 else 0
        self.refused("invalid_argument", "q is at address", "misaligned", q=memory[shift:shift + 96 * 4 * 64].reshape(96, 4, 64))

    def test_a_cache_folder_that_cannot_be_written_is_a_warning_to_plans_and_an_error_to_tuning(self):
        with tempfile.NamedTemporaryFile() as file:  # a path below a file: not even root can make a folder there
            lines = []
            engine = fsa.Engine("cpu", cache_dir=f"{file.name}/cache", log=lambda level, line: lines.append((level, line)))
            self.call(engine=engine)
            self.assertTrue([line for level, line in lines if level == "warning" and file.name in line], lines)
            with self.assertRaises(fsa.Error) as caught:
                fsa.tune("selected_attention", support.small_problem(), engine=engine)
            self.assertEqual(caught.exception.kind, "unavailable")
            self.assertIn(file.name, caught.exception.message)

    def test_a_pack_for_another_architecture(self):
        pack = os.environ["FSA_TEST_FOREIGN_PACK"]
        self.refused("not_found", "sm_80", "export", engine=fsa.Engine("cpu", pack=pack, freeze=True, cache=False))

    def test_a_workspace_too_small_for_the_whole_operator(self):
        import numpy as np
        with self.assertRaises(fsa.Error) as caught:
            fsa.native_sparse_attention(self.x["q"], self.x["k"], self.x["v"], np.ones((96, 4, 3), np.float32), kernel_size=32, stride=16,
                                        block_size=32, topk=4, window=64, workspace=np.zeros(16, np.uint8))
        self.assertEqual(caught.exception.kind, "invalid_argument")
        self.assertRegex(caught.exception.message, "workspace has [0-9]+ bytes; supported: at least [0-9]{3,} bytes")

    def test_operators_that_this_library_lacks_say_so(self):
        import numpy as np
        for name in ("sliding_window",):
            if name in fsa.operator_names():
                continue
            with self.assertRaises(fsa.Error) as caught:
                fsa.sliding_window(self.x["q"], self.x["k"], self.x["v"], window=8)
            self.assertEqual(caught.exception.kind, "unsupported")

    def test_compression_arguments_have_to_go_together(self):
        import numpy as np
        shared = dict(kernel_size=32, stride=16, block_size=32, topk=4, window=64)
        gates = np.ones((96, 4, 3), np.float32)
        qkv = (self.x["q"], self.x["k"], self.x["v"])
        for bad, part in ((dict(ck=self.x["k"]), "both ck and cv"), (dict(w_k=np.ones((2, 32), np.float32)), "both w_k and w_v"),
                          (dict(pe=gates), "pe with linear"), (dict(stride=0), "stride is 0"), (dict(kernel_size=8), "1 <= stride")):
            with self.assertRaises(fsa.Error) as caught:
                fsa.native_sparse_attention(*qkv, gates, **(shared | bad))
            self.assertIn(part, caught.exception.message)

    def test_an_error_survives_pickling(self):
        error = pickle.loads(pickle.dumps(fsa.Error("io", "a file")))
        self.assertEqual((error.kind, error.message, str(error)), ("io", "a file", "a file"))

    def test_a_missing_library_says_where_it_was_looked_for(self):
        code = "import fsa\ntry: fsa.version()\nexcept fsa.Error as e: print(e.kind, e.message)"
        done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"FSA_LIBRARY": "/no/such/libfsa.so"}, capture_output=True, text=True)
        self.assertIn("unavailable", done.stdout, done.stderr)
        self.assertIn("/no/such/libfsa.so", done.stdout)
        self.assertIn("FSA_LIBRARY", done.stdout)


if __name__ == "__main__":
    support.main("numpy")
