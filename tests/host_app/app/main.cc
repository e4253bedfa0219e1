// A host application: runs selected attention on the CPU and checks the answer, which is known without an oracle.
#include <fsa/fsa.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

constexpr int kTokens = 256, kHeadsQ = 4, kHeadsKv = 1, kDim = 64, kBlock = 32, kTopk = 4;

struct Tensors {
  // Keys are all alike, so that every visible value weighs the same; value t is t throughout.
  std::vector<float> q = std::vector<float>(kTokens * kHeadsQ * kDim, 0.5f), k = std::vector<float>(kTokens * kDim, 0.25f), v{};
  std::vector<float> o = std::vector<float>(kTokens * kHeadsQ * kDim), lse = std::vector<float>(kHeadsQ * kTokens);
  std::vector<int> blocks = std::vector<int>(kTokens * kTopk, -1), cu{0, kTokens};

  Tensors() {
    for (int t = 0; t < kTokens; ++t) {
      v.insert(v.end(), kDim, static_cast<float>(t));
      blocks[t * kTopk] = t / kBlock;  // every query selects its own block
    }
  }

  fsa::SelectedAttentionTensors views() {
    using View = fsa::TensorView;
    using fsa::DType;
    return {.q = View::contiguous(q.data(), DType::kF32, {kTokens, kHeadsQ, kDim}),
            .k = View::contiguous(k.data(), DType::kF32, {kTokens, kHeadsKv, kDim}),
            .v = View::contiguous(v.data(), DType::kF32, {kTokens, kHeadsKv, kDim}),
            .block_indices = View::contiguous(blocks.data(), DType::kI32, {kHeadsKv, kTokens, kTopk}),
            .cu_q = View::contiguous(cu.data(), DType::kI32, {2}),
            .cu_k = View::contiguous(cu.data(), DType::kI32, {2}),
            .o = View::contiguous(o.data(), DType::kF32, {kTokens, kHeadsQ, kDim}),
            .lse = View::contiguous(lse.data(), DType::kF32, {kHeadsQ, kTokens})};
  }
};

/// Query t sees keys from its block's start to itself: their mean value is half way between the two.
double worst_error(const Tensors& tensors) {
  double worst = 0;
  for (int t = 0; t < kTokens; ++t) {
    const double mean = 0.5 * (t / kBlock * kBlock + t);
    for (int i = 0; i < kHeadsQ * kDim; ++i) worst = std::fmax(worst, std::fabs(tensors.o[t * kHeadsQ * kDim + i] - mean));
  }
  return worst;
}

int fail(const fsa::Error& error) {
  std::fprintf(stderr, "%s\n", error.message().c_str());
  return 1;
}

}  // namespace

int main() {
  auto engine = fsa::Engine::create("cpu");
  if (!engine) return fail(engine.error());
  auto plan = engine->plan({.dtype = fsa::DType::kF32,
                            .head_dim = kDim,
                            .head_dim_v = kDim,
                            .heads_q = kHeadsQ,
                            .heads_kv = kHeadsKv,
                            .block_size = kBlock,
                            .topk = kTopk,
                            .total_q = kTokens,
                            .total_k = kTokens});
  if (!plan) return fail(plan.error());

  Tensors tensors;
  std::vector<char> scratch(plan->workspace_bytes() + 256);
  char* aligned = scratch.data() + (256 - reinterpret_cast<std::uintptr_t>(scratch.data()) % 256);
  auto done = plan->forward(tensors.views(), {aligned, plan->workspace_bytes()});
  if (!done) return fail(done.error());

  const double error = worst_error(tensors);
  std::printf("fsa %s, %s on %s: worst error %.2g\n", std::string(fsa::library_version()).c_str(), plan->report().variant.c_str(),
              std::string(engine->target()).c_str(), error);
  return error < 1e-3 ? 0 : 1;
}
