#pragma once
// Owns the CUDA kernel of gated_combine: the gated sum of the three branches' outputs.
#include "cuda/memory.cuh"
#include "cuda/numeric.cuh"
#include "gated_combine/config.h"
#include "gated_combine/params.h"

namespace fsa::gated_combine {

/// Four neighbouring columns of a row, in all three branches, and the row's gates.
template <Shape kShape>
struct Piece {
  float4 cmp, sel, win;
  float gate[3];

  FSA_DEVICE void load(const Params& p, int token, int head, int column) {
    cmp = read(p.o_cmp, p.cmp_stride, token, head, column);
    sel = read(p.o_sel, p.sel_stride, token, head, column);
    win = read(p.o_win, p.win_stride, token, head, column);
    const long long gates = token * p.gates_stride.token + head * p.gates_stride.head;
#pragma unroll
    for (int i = 0; i < 3; ++i) gate[i] = cuda::load_number<kShape.gates>(p.gates, gates + i);
  }

  FSA_DEVICE void store(const Params& p, int token, int head, int column) const {
    const float x = sum(cmp.x, sel.x, win.x), y = sum(cmp.y, sel.y, win.y), z = sum(cmp.z, sel.z, win.z), w = sum(cmp.w, sel.w, win.w);
    const long long offset = token * p.out_stride.token + head * p.out_stride.head + column;
    if constexpr (kShape.element == Element::kF32) {
      *reinterpret_cast<float4*>(static_cast<float*>(p.out) + offset) = make_float4(x, y, z, w);
    } else {
      constexpr bool kF16 = kShape.element == Element::kF16;
      *reinterpret_cast<uint2*>(static_cast<unsigned short*>(p.out) + offset) =
          make_uint2(cuda::pack2<kF16>(x, y), cuda::pack2<kF16>(z, w));
    }
  }

 private:
  static FSA_DEVICE float4 read(const float* o, const RowStrides& stride, int token, int head, int column) {
    const uint4 words = cuda::load16_streaming(o + token * stride.token + head * stride.head + column);
    return make_float4(__uint_as_float(words.x), __uint_as_float(words.y), __uint_as_float(words.z), __uint_as_float(words.w));
  }
  FSA_DEVICE float sum(float c, float s, float w) const { return fmaf(gate[2], w, fmaf(gate[1], s, gate[0] * c)); }
};

/// Grid: ceil(Tq * Hq / rows). Neighbouring lanes take neighbouring columns, then heads, then tokens.
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  constexpr int kPieces = kShape.head_dim_v / 4, kRows = kConfig.rows(kShape);
  const int rows = p.total_q * p.heads_q;  // fits: the problem was checked
  const int first_row = blockIdx.x * kRows;
  Piece<kShape> pieces[kConfig.pieces];
  int tokens[kConfig.pieces], heads[kConfig.pieces];
#pragma unroll
  for (int u = 0; u < kConfig.pieces; ++u) {
    const int i = threadIdx.x + u * kConfig.threads(), row = first_row + i / kPieces;
    tokens[u] = -1;
    if (i >= kRows * kPieces || row >= rows) continue;
    tokens[u] = row / p.heads_q;
    heads[u] = row - tokens[u] * p.heads_q;
    pieces[u].load(p, tokens[u], heads[u], i % kPieces * 4);
  }
#pragma unroll
  for (int u = 0; u < kConfig.pieces; ++u)
    if (tokens[u] >= 0) pieces[u].store(p, tokens[u], heads[u], (threadIdx.x + u * kConfig.threads()) % kPieces * 4);
}

}  // namespace fsa::gated_combine
