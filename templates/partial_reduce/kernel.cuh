#pragma once
// Owns the CUDA kernel that merges the partial outputs of each row by their log-sum-exp.
#include "cuda/gates.cuh"
#include "cuda/memory.cuh"
#include "cuda/packed12.cuh"
#include "partial_reduce/config.h"
#include "partial_reduce/params.h"

namespace fsa::partial_reduce {

/// Where an output row stands. Rows are numbered head-major, [Hkv, Tq, g], so that neighbours share entries.
template <Shape kShape>
struct Row {
  int token, head, in_group;

  FSA_DEVICE Row(const Params& p, long long row) {
    const int query = static_cast<int>(row / kShape.group);  // Hkv * Tq * T is an int
    in_group = static_cast<int>(row - static_cast<long long>(query) * kShape.group);
    head = query / p.total_q;
    token = query - head * p.total_q;
  }
  FSA_DEVICE int query_head() const { return head * kShape.group + in_group; }
};

/// A partial row and what it counts in the merged output; no row: -1 and 0.
struct Term {
  int entry;
  float weight;
};

/// The terms of a warp's rows, [rows, T].
struct Terms {
  Term* terms;
  float* lses;
};

/// Finds the entries of each row's slots and their LSEs.
template <Shape kShape, int kRows>
FSA_DEVICE void load_terms(const Params& p, const Terms& out, long long first_row, long long rows, int lane) {
#pragma unroll 2
  for (int i = lane; i < kRows * kShape.topk; i += 32) {
    const long long r = first_row + i / kShape.topk;
    int entry = -1;
    float lse = cuda::negative_infinity();
    if (r < rows) {
      const Row<kShape> row(p, r);
      entry = __ldg(p.entry_position + (static_cast<long long>(row.head) * p.total_q + row.token) * kShape.topk + i % kShape.topk);
      if (entry >= 0) lse = __ldg(p.partial_lse + static_cast<long long>(entry) * kShape.group + row.in_group);
    }
    out.terms[i].entry = entry;
    out.lses[i] = lse;
  }
}

/// Weighs each partial row by its share in the row's sum of exponentials, undoing its scale; stores the rows' LSEs.
template <Shape kShape, Config kConfig>
FSA_DEVICE void weigh_terms(const Params& p, const Terms& out, long long first_row, long long rows, int lane) {
  constexpr int kT = kShape.topk;
  constexpr bool kPacked = kConfig.partial == Partial::kI12;
  for (int i = lane; i < kConfig.rows(kShape) * kT; i += 32) {
    const int r = i / kT, entry = out.terms[i].entry;
    const long long at = kPacked ? static_cast<long long>(entry) * kShape.group + (first_row + r) % kShape.group : entry;
    const float scale = entry >= 0 ? __ldg(p.entry_scale + at) : 1.0f;
    const float* lses = out.lses + r * kT;
    float top = cuda::negative_infinity();
#pragma unroll 16
    for (int t = 0; t < kT; ++t) top = fmaxf(top, lses[t]);
    const float shift = top == cuda::negative_infinity() ? 0 : top;
    float sum = 0;
#pragma unroll 16
    for (int t = 0; t < kT; ++t) sum += cuda::exp2_fast((lses[t] - shift) * cuda::kLog2E);
    const float share = sum == 0 ? 0 : __fdividef(cuda::exp2_fast((out.lses[i] - shift) * cuda::kLog2E), sum);
    // The step of a row of integers, or the inverse of a power of two.
    out.terms[i].weight = share * (kPacked ? scale : __uint_as_float((254u << 23) - __float_as_uint(scale)));
    if (i % kT == 0 && first_row + r < rows) {
      const Row<kShape> row(p, first_row + r);
      p.lse[static_cast<long long>(row.query_head()) * p.total_q + row.token] =
          sum == 0 ? cuda::negative_infinity() : shift + cuda::log2_fast(sum) * cuda::kLn2;
    }
  }
}

/// A lane's columns of a partial row: 8 neighbours.
template <Partial kPartial, int kColumns>
struct Piece {
  uint4 words[kPartial == Partial::kF32 ? 2 : 1];

  template <int kGroup>
  FSA_DEVICE void load(const void* partial, int entry, int in_group, int columns, int piece) {
    const long long row = static_cast<long long>(entry) * kGroup + in_group;
    const char* at = static_cast<const char*>(partial) + (row * columns + piece * 8) * (kPartial == Partial::kF32 ? 4 : 2);
    words[0] = cuda::load16_streaming(at);
    if constexpr (kPartial == Partial::kF32) words[1] = cuda::load16_streaming(at + 16);
  }
  FSA_DEVICE void clear() {
    for (uint4& w : words) w = make_uint4(0, 0, 0, 0);
  }
  FSA_DEVICE void add_to(float (&sum)[8], float weight) const {
    if constexpr (kPartial == Partial::kF32) {
      const unsigned word[8] = {words[0].x, words[0].y, words[0].z, words[0].w, words[1].x, words[1].y, words[1].z, words[1].w};
#pragma unroll
      for (int i = 0; i < 8; ++i) sum[i] = fmaf(weight, __uint_as_float(word[i]), sum[i]);
    } else {
      cuda::multiply_add8<kPartial == Partial::kF16>(sum, words[0], weight);
    }
  }
};

/// The same of a row of 12-bit integers: 8 of each 32 columns, in three pieces a quarter of the row apart.
template <int kColumns>
struct Piece<Partial::kI12, kColumns> {
  static constexpr int kGroups = kColumns / 8;
  unsigned words[3 * kGroups];

  template <int kGroup>
  FSA_DEVICE void load(const void* partial, int entry, int in_group, int columns, int piece) {
    const char* const at = static_cast<const char*>(partial) + static_cast<long long>(entry) * (columns / 2 * 3 * kGroup) +
                           cuda::row_offset12<4 * kColumns, kGroup>(in_group) + piece * kGroups * 4;
#pragma unroll
    for (int i = 0; i < 3; ++i)
      cuda::load_words_streaming<kGroups>(words + i * kGroups, at + i * cuda::piece_pitch12<4 * kColumns, kGroup>());
  }
  FSA_DEVICE void clear() {
    for (unsigned& w : words) w = 0;
  }
  FSA_DEVICE void add_to(float (&sum)[kColumns], float weight) const {
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
      float x[8];
      cuda::unpack12(x, {words[3 * group], words[3 * group + 1], words[3 * group + 2]});
#pragma unroll
      for (int i = 0; i < 8; ++i) sum[8 * group + i] = fmaf(weight, x[i], sum[8 * group + i]);
    }
  }
};

/// The merged columns of piece `piece` of a row.
template <Shape kShape, Config kConfig, int kColumns>
FSA_DEVICE void merge_columns(const Params& p, const Term* terms, int in_group, int piece, float (&sum)[kColumns]) {
  constexpr int kLoads = kConfig.loads < kShape.topk ? kConfig.loads : kShape.topk;
  float weight_sum = 0;
#pragma unroll
  for (int i = 0; i < kColumns; ++i) sum[i] = 0;
#pragma unroll 1
  for (int first = 0; first < kShape.topk; first += kLoads) {
    Piece<kConfig.partial, kColumns> pieces[kLoads];
    float weights[kLoads];
#pragma unroll
    for (int u = 0; u < kLoads; ++u) {
      pieces[u].clear();
      weights[u] = 0;
      if (kShape.topk % kLoads != 0 && first + u >= kShape.topk) continue;
      const Term term = terms[first + u];
      if (term.entry < 0) continue;
      weights[u] = term.weight;
      pieces[u].template load<kShape.group>(p.partial_o, term.entry, in_group, kShape.head_dim_v, piece);
    }
#pragma unroll
    for (int u = 0; u < kLoads; ++u) {
      pieces[u].add_to(sum, weights[u]);
      weight_sum += weights[u];
    }
  }
  if constexpr (kConfig.partial == Partial::kI12) {
#pragma unroll
    for (int i = 0; i < kColumns; ++i) sum[i] = fmaf(-cuda::kZero12, weight_sum, sum[i]) * cuda::kHeadroom12;
  }
}

/// Eight neighbouring numbers of another branch's output. Of f32, by way of L1: its two loads of 16 bytes share their lines.
template <Shape kShape>
FSA_DEVICE void load_branch(const void* o, const RowStrides& stride, int token, int head, int column, float (&numbers)[8]) {
  const long long offset = token * stride.token + head * stride.head + column;
  if constexpr (kShape.scaled == 1) {
    for (float& x : numbers) x = 0;
    cuda::multiply_add8<true>(numbers, cuda::load16_streaming(static_cast<const unsigned short*>(o) + offset), 1.0f);
    return;
  }
  const float4* const at = reinterpret_cast<const float4*>(static_cast<const float*>(o) + offset);
  const float4 low = __ldg(at), high = __ldg(at + 1);
  numbers[0] = low.x, numbers[1] = low.y, numbers[2] = low.z, numbers[3] = low.w;
  numbers[4] = high.x, numbers[5] = high.y, numbers[6] = high.z, numbers[7] = high.w;
}

/// Turns merged columns of a row into the gated sum of all branches.
template <Shape kShape>
FSA_DEVICE void add_branches(const Params& p, int token, int head, int column, float (&sum)[8]) {
  float cmp[8], win[8];
  load_branch<kShape>(p.o_cmp, p.cmp_stride, token, head, column, cmp);
  load_branch<kShape>(p.o_win, p.win_stride, token, head, column, win);
  cuda::Gates gates = cuda::Gates::load<kShape.gates>(p.gates, p.gates_stride, token, head);
  if constexpr (kShape.scaled == 1) {
    const long long row = static_cast<long long>(head) * p.total_q + token;
    gates.cmp *= __ldg(p.cmp_unit + row);
    gates.win *= __ldg(p.win_unit + row);
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) sum[i] = gates.sum(cmp[i], sum[i], win[i]);
}

/// Stores eight merged columns of a row.
template <Shape kShape>
FSA_DEVICE void store_columns(const Params& p, const Row<kShape>& row, int column, const float* merged) {
  float sum[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) sum[i] = merged[i];
  if constexpr (kShape.gated == 1) add_branches<kShape>(p, row.token, row.query_head(), column, sum);
  cuda::store8<kShape.output>(p.o, row.token * p.o_stride.token + row.query_head() * p.o_stride.head + column, sum);
}

/// Grid: ceil(Hkv * Tq * g / (warps * rows)).
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  constexpr int kColumns = kConfig.lane_columns(kShape.head_dim_v), kPieces = kShape.head_dim_v / kColumns;
  constexpr int kRows = kConfig.rows(kShape), kTerms = kRows * kShape.topk;
  extern __shared__ __align__(16) unsigned char smem[];  // [warps][kTerms] terms, then as many LSEs
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const Terms out{reinterpret_cast<Term*>(smem) + warp * kTerms,
                  reinterpret_cast<float*>(smem + kConfig.warps * kTerms * sizeof(Term)) + warp * kTerms};
  const long long rows = static_cast<long long>(p.heads_kv) * p.total_q * kShape.group;
  const long long first_row = (static_cast<long long>(blockIdx.x) * kConfig.warps + warp) * kRows;
  if (first_row >= rows) return;

  load_terms<kShape, kRows>(p, out, first_row, rows, lane);
  __syncwarp();
  weigh_terms<kShape, kConfig>(p, out, first_row, rows, lane);
  __syncwarp();
#pragma unroll 1
  for (int i = lane; i < kRows * kPieces; i += 32) {
    const int r = i / kPieces, piece = i % kPieces;
    if (first_row + r >= rows) break;
    const Row<kShape> row(p, first_row + r);
    float sum[kColumns];
    merge_columns<kShape, kConfig>(p, out.terms + r * kShape.topk, row.in_group, piece, sum);
#pragma unroll
    for (int group = 0; group < kColumns / 8; ++group) store_columns<kShape>(p, row, group * 32 + piece * 8, sum + group * 8);
  }
}

}  // namespace fsa::partial_reduce
