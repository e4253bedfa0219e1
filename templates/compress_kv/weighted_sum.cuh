#pragma once
// Owns the CUDA kernels of the modes mean and weighted: every lane sums 8 columns over the tokens of one window.
#include "compress_kv/config.h"
#include "compress_kv/windows.cuh"
#include "cuda/numeric.cuh"

namespace fsa::compress_kv {

/// sum += the tokens of the window, each times its weight. `x` points to the lane's columns of the first token.
template <Shape kShape, Config kConfig>
FSA_DEVICE void add_window(const Params& p, const char* x, int head, float (&sum)[8]) {
  constexpr bool kF16 = kShape.element == Element::kF16;
  constexpr int kLength = kShape.kernel_size, kLoads = kConfig.loads < kLength ? kConfig.loads : kLength;
  const long long token_bytes = p.x_stride.token * 2;
#pragma unroll 1
  for (int first = 0; first < kLength; first += kLoads) {
    uint4 numbers[kLoads];
    float weights[kLoads];
#pragma unroll
    for (int u = 0; u < kLoads; ++u) {
      numbers[u] = make_uint4(0, 0, 0, 0);
      weights[u] = 0;
      if (kLength % kLoads != 0 && first + u >= kLength) continue;
      numbers[u] = __ldg(reinterpret_cast<const uint4*>(x + (first + u) * token_bytes));
      weights[u] = 1;
      if constexpr (kShape.mode == Mode::kWeighted)
        weights[u] = cuda::load_number<kShape.element>(p.w, static_cast<long long>(head) * kLength + first + u);
    }
#pragma unroll
    for (int u = 0; u < kLoads; ++u) cuda::multiply_add8<kF16>(sum, numbers[u], weights[u]);
  }
}

/// Grid: ceil(Tc * Hkv / pairs). Heads inside rows: neighbouring lanes read neighbouring bytes of a token, and neighbouring
/// rows, whose windows overlap, meet in L1.
template <Shape kShape, Config kConfig>
FSA_DEVICE void weighted_sum(const Params& p) {
  constexpr int kPieces = kShape.head_dim / 8, kPairs = kConfig.pairs(kShape);
  constexpr bool kF16 = kShape.element == Element::kF16;
  const int in_block = threadIdx.x / kPieces, column = threadIdx.x % kPieces * 8;
  const int pair = blockIdx.x * kPairs + in_block;  // Tc * Hkv is an int
  if (in_block >= kPairs || pair >= p.total_c * p.heads_kv) return;
  const int row = pair / p.heads_kv, head = pair - row * p.heads_kv;
  const int begin = window_begin<kShape>(p, row);
  if (begin < 0) return;

  float sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  const char* const x = static_cast<const char*>(p.x) + (begin * p.x_stride.token + head * p.x_stride.head + column) * 2;
  add_window<kShape, kConfig>(p, x, head, sum);
  if constexpr (kShape.mode == Mode::kMean) {
#pragma unroll
    for (int i = 0; i < 8; ++i) sum[i] *= 1.0f / kShape.kernel_size;
  }
  char* const y = static_cast<char*>(p.y) + (row * p.y_stride.token + head * p.y_stride.head + column) * 2;
  *reinterpret_cast<uint4*>(y) = cuda::pack8<kF16>(sum);
}

}  // namespace fsa::compress_kv
