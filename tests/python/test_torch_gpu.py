"""torch tensors on a GPU: streams, graphs, devices."""
import sys
import unittest

import fsa
import support
import torch_checks


class TorchOnAGpu(torch_checks.Torch, unittest.TestCase):
    dtypes = ("bf16", "f16")
    device = "cuda:0"

    def test_host_tensors_for_a_gpu_plan_are_refused(self):
        q, k, v, blocks = self.inputs()
        for name, tensor in (("k", k), ("block_indices", blocks)):
            with self.assertRaises(fsa.Error) as caught:
                fsa.selected_attention(**(dict(q=q, k=k, v=v, block_indices=blocks) | {name: tensor.cpu()}), block_size=32)
            self.assertIn(f"{name} is on the CPU", caught.exception.message)
            self.assertIn("cuda:0", caught.exception.message)

    def test_block_indices_of_a_prompt_at_any_address_of_an_int(self):
        import torch
        torch.manual_seed(1)
        q, k, v = (torch.randn(2048, heads, 128, dtype=torch.bfloat16, device=self.device) for heads in (16, 4, 4))
        blocks = torch.randint(-1, 32, (4, 2048, 16), dtype=torch.int32, device=self.device)
        plain, _ = fsa.selected_attention(q, k, v, blocks, block_size=64)
        for by in (1, 2, 3):
            o, _ = fsa.selected_attention(q, k, v, self.moved(blocks, by), block_size=64)
            self.assertTrue(torch.equal(o, plain), f"{by} past an allocation's begin")

    def test_f32_is_for_the_cpu(self):
        q, k, v, blocks = self.inputs()
        with self.assertRaises(fsa.Error) as caught:
            fsa.selected_attention(q.float(), k.float(), v.float(), blocks, block_size=32)
        self.assertEqual(caught.exception.kind, "unsupported")

    def test_work_goes_to_the_current_stream(self):
        import torch
        inputs = self.inputs()
        expected = self.expected(inputs)[0]
        fsa.selected_attention(*inputs, block_size=32)  # plans
        torch.cuda.synchronize()
        q = inputs[0].clone()
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            torch.cuda._sleep(50_000_000)  # q is zero until the stream gets here
            late = torch.zeros_like(q)
            late.copy_(q)
            o, _ = fsa.selected_attention(late, *inputs[1:], block_size=32)
        stream.synchronize()
        self.assert_close(o, expected, "bf16")

    def test_a_stream_can_be_named(self):
        import torch
        inputs = self.inputs()
        expected = self.expected(inputs)[0]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        for named in (stream, stream.cuda_stream):
            o, _ = fsa.selected_attention(*inputs, block_size=32, stream=named)
            stream.synchronize()
            self.assert_close(o, expected, "bf16")

    def test_a_graph_replays_with_new_inputs(self):
        import torch
        q, k, v, blocks = self.inputs()
        fsa.selected_attention(q, k, v, blocks, block_size=32)  # plans, and makes cu_q and cu_k
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            o, lse = fsa.selected_attention(q, k, v, blocks, block_size=32)
        for seed in (2, 3):
            fresh = self.inputs(seed)
            for old, new in zip((q, k, v, blocks), fresh):
                old.copy_(new)
            graph.replay()
            torch.cuda.synchronize()
            self.assert_close(o, self.expected(fresh)[0], "bf16")

    def test_many_calls_without_a_wait_do_not_disturb_each_other(self):
        import torch
        inputs = self.inputs()
        first, _ = fsa.selected_attention(*inputs, block_size=32)
        results = [fsa.selected_attention(*inputs, block_size=32)[0] for _ in range(200)]
        torch.cuda.synchronize()
        self.assertTrue(all(torch.equal(first, r) for r in results))

    def test_validate_looks_into_the_sequences(self):
        import torch
        plan = fsa.default_engine("cuda:0").plan("selected_attention", support.small_problem("bf16"))
        q, k, v, blocks = self.inputs()
        cu = torch.tensor([0, 95], dtype=torch.int32, device="cuda:0")
        tensors = {"q": q, "k": k, "v": v, "block_indices": blocks, "cu_q": cu, "cu_k": cu, "o": torch.empty_like(q),
                   "lse": torch.empty((4, 96), device="cuda:0")}
        with self.assertRaisesRegex(fsa.Error, "ends at 95"):
            plan.validate(tensors)

    def test_a_workspace_can_be_given(self):
        import torch
        plan = fsa.default_engine("cuda:0").plan("selected_attention", support.small_problem("bf16"))
        inputs = self.inputs()
        workspace = torch.empty(max(plan.workspace_bytes, 256), dtype=torch.uint8, device="cuda:0")
        o, _ = fsa.selected_attention(*inputs, block_size=32, workspace=workspace)
        self.assert_close(o, self.expected(inputs)[0], "bf16")
        with self.assertRaisesRegex(fsa.Error, "workspace is on cpu"):
            fsa.selected_attention(*inputs, block_size=32, workspace=workspace.cpu())

    def test_the_second_gpu_works_beside_the_first(self):
        import torch
        if torch.cuda.device_count() < 2:
            self.skipTest("one GPU")
        inputs = self.inputs()
        there = [t.to("cuda:1") for t in inputs]
        o, _ = fsa.selected_attention(*there, block_size=32)
        self.assertEqual(o.device, torch.device("cuda:1"))
        self.assert_close(o, self.expected(inputs)[0], "bf16")
        with self.assertRaisesRegex(fsa.Error, "k is on cuda:1"):
            fsa.selected_attention(inputs[0], there[1], *inputs[2:], block_size=32)


if __name__ == "__main__":
    try:
        import torch
        if not torch.cuda.is_available():
            print("skipped: torch finds no GPU")
            sys.exit(77)
    except ImportError:
        pass  # support.main says so
    support.main("numpy", "torch")
