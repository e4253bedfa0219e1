"""Checks of results that hold for every library of tensors: a test class gives to(array, dtype) and back(tensor)."""
import fsa
import support

# Relative errors of outputs by element type; for 16-bit types most of it is the rounding of the output itself.
TOLERANCE = {"f32": 2e-5, "bf16": 2.0e-3, "f16": 5e-4}


class Results:
    """Mixed into a unittest.TestCase."""
    dtypes = ("f32",)

    def to(self, array, dtype):
        """A numpy array of float32 or int32 as the library's tensor: dtype "f32", "bf16", "f16" or "i32"."""
        raise NotImplementedError

    def back(self, tensor):
        """The inverse, float32 or int32."""
        raise NotImplementedError

    def cases(self):
        for path in support.FILES:
            golden = support.Golden(path)
            for dtype in self.dtypes:
                with self.subTest(golden=golden.name, dtype=dtype):
                    yield golden, dtype

    def need(self, op):
        if op not in fsa.operator_names():
            self.skipTest(f"this libfsa.so has no {op}: it has {', '.join(fsa.operator_names())}")

    def ints(self, golden, *names):
        return {name: self.to(golden[name], "i32") for name in names}

    def reals(self, golden, dtype, *names):
        return [self.to(golden[name], dtype) for name in names]

    def rounded(self, golden, dtype, *names):
        """Inputs as the library sees them: f16 cannot hold every bf16 value."""
        return [self.back(t) for t in self.reals(golden, dtype, *names)]

    def assert_close(self, got, expected, dtype, scale=1.0):
        self.assertLess(support.relative_error(self.back(got), expected), scale * TOLERANCE[dtype])

    def test_selected_attention_gives_the_golden_results(self):
        ran = 0
        for golden, dtype in self.cases():
            s = golden.settings
            q, k, v = self.reals(golden, dtype, "q", "k", "v")
            o, lse = fsa.selected_attention(q, k, v, **self.ints(golden, "block_indices", "cu_q", "cu_k"), block_size=s["block_size"],
                                            scale=s["scale"])
            expected_o, expected_lse = golden["o_sel"], golden["lse_sel"]
            if dtype == "f16":
                expected_o, expected_lse = support.oracle(*self.rounded(golden, dtype, "q", "k", "v"), golden["block_indices"], s["block_size"],
                                                          golden["cu_q"], golden["cu_k"], s["scale"])
            self.assert_close(o, expected_o, dtype)
            self.assertLess(support.lse_error(self.back(lse), expected_lse), 2e-5)
            ran += 1
        self.assertEqual(ran, len(support.FILES) * len(self.dtypes))

    def test_one_sequence_is_the_default(self):
        x = support.small_inputs()
        inputs = [self.to(x[n], self.dtypes[0]) for n in ("q", "k", "v")]
        blocks = self.to(x["block_indices"], "i32")
        o, lse = fsa.selected_attention(*inputs, blocks, block_size=32)
        import numpy as np
        cu = self.to(np.array([0, 96], np.int32), "i32")
        again, lse_again = fsa.selected_attention(*inputs, blocks, block_size=32, cu_q=cu, cu_k=cu, scale=1 / 8)
        expected, expected_lse = support.oracle(*(self.back(t) for t in inputs), x["block_indices"], 32)
        self.assert_close(o, expected, self.dtypes[0])
        self.assertLess(support.lse_error(self.back(lse), expected_lse), 2e-5)
        self.assertTrue(np.array_equal(self.back(o), self.back(again)) and np.array_equal(self.back(lse), self.back(lse_again)))

    def test_sliding_window_gives_the_golden_results(self):
        self.need("sliding_window")
        for golden, dtype in self.cases():
            if dtype == "f16":
                continue  # golden values are for bf16 inputs
            o, lse = fsa.sliding_window(*self.reals(golden, dtype, "q", "k", "v"), **self.ints(golden, "cu_q", "cu_k"),
                                        window=golden.settings["window"], scale=golden.settings["scale"])
            self.assert_close(o, golden["o_win"], dtype)
            self.assertLess(support.lse_error(self.back(lse), golden["lse_win"]), 2e-5)

    def test_compressed_attention_and_block_selection_give_the_golden_results(self):
        self.need("compressed_attention")
        self.need("select_blocks")
        import numpy as np
        for golden, dtype in self.cases():
            if dtype == "f16":
                continue
            s = golden.settings
            shared = dict(kernel_size=s["kernel_size"], stride=s["stride"], total_k=len(golden["k"]), scale=s["scale"],
                          **self.ints(golden, "cu_q", "cu_k"))
            q, ck, cv = self.reals(golden, dtype, "q", "ck", "cv")
            o, lse = fsa.compressed_attention(q, ck, cv, **shared)
            self.assert_close(o, golden["o_cmp"], dtype)
            self.assertLess(support.lse_error(self.back(lse), golden["lse_cmp"]), 2e-5)
            blocks = fsa.select_blocks(q, ck, lse, block_size=s["block_size"], topk=s["topk"], init_blocks=s["init_blocks"],
                                       local_blocks=s["local_blocks"], **shared)
            # Blocks whose scores differ by less than float32 can tell may change places.
            same = np.mean(np.all(self.back(blocks) == golden["block_indices"], axis=2))
            self.assertGreater(same, 0.99)

    def test_native_sparse_attention_gives_the_golden_results(self):
        self.need("native_sparse_attention")
        for golden, dtype in self.cases():
            if dtype == "f16":
                continue
            s = {k: v for k, v in golden.settings.items()}
            q, k, v, ck, cv, gates = self.reals(golden, dtype, "q", "k", "v", "ck", "cv", "gates")
            out, branches = fsa.native_sparse_attention(q, k, v, gates, ck=ck, cv=cv, branch_outputs=True, **self.ints(golden, "cu_q", "cu_k"), **s)
            for name in ("o_cmp", "o_sel", "o_win"):
                self.assertLess(support.relative_error(self.back(branches[name]), golden[name]), 2.0e-3, name)
            self.assert_close(out, golden["out"], dtype, 2.0)
            plain = fsa.native_sparse_attention(q, k, v, gates, ck=ck, cv=cv, **self.ints(golden, "cu_q", "cu_k"), **s)
            self.assert_close(plain, golden["out"], dtype, 2.0)

    def test_native_sparse_attention_compresses_itself(self):
        self.need("native_sparse_attention")
        ran = 0
        for golden, dtype in self.cases():
            if dtype == "f16" or "w_k" not in golden.tensors:
                continue
            q, k, v, w_k, w_v, pe, gates = self.reals(golden, dtype, "q", "k", "v", "w_k", "w_v", "pe", "gates")
            out = fsa.native_sparse_attention(q, k, v, gates, w_k=w_k, w_v=w_v, pe=pe, **self.ints(golden, "cu_q", "cu_k"), **golden.settings)
            self.assert_close(out, golden["out"], "bf16", 3.0)  # the golden ck and cv are rounded to bf16
            ran += 1
        self.assertGreater(ran, 0)
