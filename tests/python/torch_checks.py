"""Checks of torch tensors that hold on every device: a test class gives `device`."""
import checks
import fsa
import support


class Torch(checks.Results):
    """Mixed into a unittest.TestCase."""
    device = "cpu"

    def to(self, array, dtype):
        import torch
        kinds = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i32": torch.int32}
        return torch.from_numpy(array).to(kinds[dtype]).to(self.device)

    def back(self, tensor):
        import torch
        return tensor.cpu().numpy() if tensor.dtype == torch.int32 else tensor.float().cpu().numpy()

    def inputs(self, seed=1):
        x = support.small_inputs(seed)
        return [self.to(x[n], "i32" if n == "block_indices" else "bf16") for n in ("q", "k", "v", "block_indices")]

    def expected(self, inputs):
        return support.oracle(*(self.back(t) for t in inputs), 32)

    def test_outputs_are_tensors_of_the_inputs_type_and_device(self):
        import torch
        inputs = self.inputs()
        o, lse = fsa.selected_attention(*inputs, block_size=32)
        self.assertEqual((o.dtype, o.device, lse.dtype, lse.device), (torch.bfloat16, inputs[0].device, torch.float32, inputs[0].device))
        self.assert_close(o, self.expected(inputs)[0], "bf16")

    def test_strided_inputs_and_outputs(self):
        import torch
        q, k, v, blocks = self.inputs()
        packed = torch.cat([k, v], dim=2)
        wide = torch.zeros((96, 4, 128), dtype=q.dtype, device=q.device)
        fsa.selected_attention(q, packed[..., :64], packed[..., 64:], blocks, block_size=32, out=wide[..., 64:])
        plain, _ = fsa.selected_attention(q, k, v, blocks, block_size=32)
        self.assertTrue(torch.equal(wide[..., 64:], plain))
        self.assertEqual(wide[..., :64].abs().max().item(), 0)

    def moved(self, blocks, by: int):
        """The same numbers, `by` of them past where an allocation begins."""
        import torch
        room = torch.zeros(blocks.numel() + by, dtype=blocks.dtype, device=blocks.device)
        room[by:] = blocks.flatten()
        return room[by:].view(blocks.shape)

    def test_block_indices_at_any_address_of_an_int(self):
        import torch
        q, k, v, blocks = self.inputs()
        plain, _ = fsa.selected_attention(q, k, v, blocks, block_size=32)
        for by in (1, 2, 3):
            o, _ = fsa.selected_attention(q, k, v, self.moved(blocks, by), block_size=32)
            self.assertTrue(torch.equal(o, plain), f"{by} past an allocation's begin")

    def test_a_tensor_that_requires_grad_is_refused_unless_under_no_grad(self):
        import torch
        q, k, v, blocks = self.inputs()
        q.requires_grad_()
        with self.assertRaises(fsa.Error) as caught:
            fsa.selected_attention(q, k, v, blocks, block_size=32)
        self.assertEqual(caught.exception.kind, "unsupported")
        self.assertIn("q requires grad", caught.exception.message)
        self.assertIn("no_grad", caught.exception.message)
        with torch.no_grad():
            fsa.selected_attention(torch.nn.Parameter(q), k, v, blocks, block_size=32)

    def test_element_types_and_devices_that_are_none_of_the_plans(self):
        import torch
        q, k, v, blocks = self.inputs()
        for change, parts in ((dict(block_indices=blocks.long()), ("block_indices", "int64", "i32")), (dict(k=k.double()), ("k has elements", "float64")),
                              (dict(v=v.to("meta")), ("meta",)), (dict(q=q.to(torch.complex64)), ("complex64",)),
                              (dict(k=k.bool()), ("k has elements", "bool"))):
            with self.assertRaises(fsa.Error) as caught:
                fsa.selected_attention(**(dict(q=q, k=k, v=v, block_indices=blocks) | change), block_size=32)
            for part in parts:
                self.assertIn(part, caught.exception.message)

    def test_the_custom_operator_agrees_with_its_fake(self):
        import torch
        q, k, v, blocks = self.inputs()
        import fsa.torch_ops
        tests = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
        torch.library.opcheck(torch.ops.fsa.selected_attention.default, (q, k, v, blocks, 32), test_utils=tests)
        o, lse = torch.ops.fsa.selected_attention(q, k, v, blocks, 32)
        direct, _ = fsa.selected_attention(q, k, v, blocks, block_size=32)
        self.assertTrue(torch.equal(o, direct))

    def test_a_compiled_function_has_no_graph_break(self):
        import torch
        import fsa.torch_ops
        q, k, v, blocks = self.inputs()

        def layer(q, k, v, blocks):
            o, lse = fsa.selected_attention(q * 2, k, v, blocks, block_size=32)
            return o.float() * 0.5, lse + 1

        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
        for got, expected in zip(compiled(q, k, v, blocks), layer(q, k, v, blocks)):
            self.assertTrue(torch.equal(got, expected))

    def test_a_compiled_call_refuses_what_an_operator_cannot_take(self):
        import torch
        q, k, v, blocks = self.inputs()
        compiled = torch.compile(lambda *t: fsa.selected_attention(*t, block_size=32, out=torch.empty_like(t[0])), fullgraph=True, backend="eager")
        with self.assertRaisesRegex(Exception, "in a traced or compiled call"):
            compiled(q, k, v, blocks)

    def test_a_compiled_chain_of_branches_has_no_graph_break(self):
        import torch
        golden = support.Golden(support.FILES[0])
        q, k, v, ck, cv = self.reals(golden, "bf16", "q", "k", "v", "ck", "cv")
        cu = self.ints(golden, "cu_q", "cu_k")
        s = golden.settings
        compression = dict(kernel_size=s["kernel_size"], stride=s["stride"], total_k=k.shape[0], **cu)
        selection = dict(block_size=s["block_size"], topk=s["topk"], init_blocks=s["init_blocks"], local_blocks=s["local_blocks"])

        def branches(q, k, v, ck, cv):
            compressed, lse = fsa.compressed_attention(q, ck, cv, **compression)
            blocks = fsa.select_blocks(q, ck, lse, **selection, **compression)
            window, _ = fsa.sliding_window(q, k, v, window=s["window"], **cu)
            return blocks, compressed + window

        import fsa.torch_ops
        compiled = torch.compile(branches, fullgraph=True, backend="aot_eager")
        for got, expected in zip(compiled(q, k, v, ck, cv), branches(q, k, v, ck, cv)):
            self.assertTrue(torch.equal(got, expected))

    def test_a_compiled_native_sparse_attention_has_no_graph_break(self):
        self.need("native_sparse_attention")
        import torch
        golden = support.Golden(support.FILES[0])
        q, k, v, ck, cv, gates = self.reals(golden, "bf16", "q", "k", "v", "ck", "cv", "gates")
        cu = self.ints(golden, "cu_q", "cu_k")
        layer = lambda q, k, v, gates, ck, cv: fsa.native_sparse_attention(q, k, v, gates, ck=ck, cv=cv, **cu, **golden.settings) * 2
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
        self.assertTrue(torch.equal(compiled(q, k, v, gates, ck, cv), layer(q, k, v, gates, ck, cv)))
