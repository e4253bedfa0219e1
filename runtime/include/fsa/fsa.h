#pragma once
// The library in one include. A whole program:
//
//   #include <cmath>
//   #include <cstdio>
//   #include <vector>
//   #include <fsa/fsa.h>
//
//   int main() {
//     auto engine = fsa::Engine::create("cpu");                       // or "cuda:0"
//     if (!engine) return std::puts(engine.error().message().c_str()), 1;
//
//     const int tokens = 256, heads_q = 4, heads_kv = 1, dim = 64, block = 32, topk = 4;
//     auto plan = engine->plan({.dtype = fsa::DType::kF32, .head_dim = dim, .head_dim_v = dim, .heads_q = heads_q,
//                               .heads_kv = heads_kv, .block_size = block, .topk = topk, .total_q = tokens, .total_k = tokens});
//     if (!plan) return std::puts(plan.error().message().c_str()), 1;
//
//     // std::vector does not promise 16-byte alignment on every platform; on x86-64 Linux its memory has it.
//     std::vector<float> q(tokens * heads_q * dim, 0.5f), k(tokens * dim, 0.25f), v(tokens * dim, 1.0f), o(q.size()), lse(heads_q * tokens);
//     std::vector<int> blocks(tokens * topk, -1), cu{0, tokens};
//     for (int t = 0; t < tokens; ++t) blocks[t * topk] = t / block;   // every query selects its own block
//     std::vector<char> scratch(plan->workspace_bytes() + 256);
//     void* aligned = scratch.data() + (256 - reinterpret_cast<std::uintptr_t>(scratch.data()) % 256);
//
//     using View = fsa::TensorView;
//     auto done = plan->forward({.q = View::contiguous(q.data(), fsa::DType::kF32, {tokens, heads_q, dim}),
//                                .k = View::contiguous(k.data(), fsa::DType::kF32, {tokens, heads_kv, dim}),
//                                .v = View::contiguous(v.data(), fsa::DType::kF32, {tokens, heads_kv, dim}),
//                                .block_indices = View::contiguous(blocks.data(), fsa::DType::kI32, {heads_kv, tokens, topk}),
//                                .cu_q = View::contiguous(cu.data(), fsa::DType::kI32, {2}),
//                                .cu_k = View::contiguous(cu.data(), fsa::DType::kI32, {2}),
//                                .o = View::contiguous(o.data(), fsa::DType::kF32, {tokens, heads_q, dim}),
//                                .lse = View::contiguous(lse.data(), fsa::DType::kF32, {heads_q, tokens})},
//                               {aligned, plan->workspace_bytes()});
//     if (!done) return std::puts(done.error().message().c_str()), 1;
//     std::printf("%s kernels, o[0] = %g\n", plan->report().variant.c_str(), o[0]);
//   }
#include "fsa/base/dtype.h"
#include "fsa/base/error.h"
#include "fsa/base/result.h"
#include "fsa/base/tensor_view.h"
#include "fsa/engine.h"
#include "fsa/options.h"
#include "fsa/plan.h"
#include "fsa/selected_attention.h"
