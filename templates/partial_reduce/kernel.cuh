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

/// Lanes that look the slots of one row up together, each of them kEach slots.
template <Shape kShape>
struct RowLanes {
  static constexpr int kWidth = kShape.topk > 16 ? 32 : kShape.topk > 8 ? 16 : kShape.topk > 4 ? 8 : 4;
  static constexpr int kEach = ceil_div(kShape.topk, kWidth), kRows = 32 / kWidth;

  static FSA_DEVICE float max_over(float x) {
#pragma unroll
    for (int lanes = 1; lanes < kWidth; lanes *= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, lanes));
    return x;
  }
  static FSA_DEVICE float sum_over(float x) {
#pragma unroll
    for (int lanes = 1; lanes < kWidth; lanes *= 2) x += __shfl_xor_sync(~0u, x, lanes);
    return x;
  }
  /// Which of the row's lanes say so, a bit each.
  static FSA_DEVICE unsigned lanes_where(bool so, int lane) {
    return __ballot_sync(~0u, so) >> lane / kWidth * kWidth & (~0u >> (32 - kWidth));
  }
};

/// What a lane knows of its slots of a row.
template <Shape kShape, Config kConfig>
struct Slots {
  using Lanes = RowLanes<kShape>;
  int entry[Lanes::kEach];
  float lse[Lanes::kEach], scale[Lanes::kEach];
  float shared_lse = cuda::negative_infinity(), shared_unit = 1;

  FSA_DEVICE void load(const Params& p, const Row<kShape>& row, bool exists, int lane) {
    constexpr bool kPacked = kConfig.partial == Partial::kI12;
    const long long query = static_cast<long long>(row.head) * p.total_q + row.token;
#pragma unroll
    for (int i = 0; i < Lanes::kEach; ++i) {
      const int slot = i * Lanes::kWidth + lane % Lanes::kWidth;
      entry[i] = exists && slot < kShape.topk ? __ldg(p.entry_position + query * kShape.topk + slot) : -1;
      lse[i] = cuda::negative_infinity(), scale[i] = 1;
      if (entry[i] < 0) continue;
      const long long partial_row = static_cast<long long>(entry[i]) * kShape.group + row.in_group;
      lse[i] = __ldg(p.partial_lse + partial_row);
      scale[i] = __ldg(p.entry_scale + (kPacked ? partial_row : entry[i]));
      // The step of a row of integers, or the inverse of a power of two.
      if constexpr (!kPacked) scale[i] = __uint_as_float((254u << 23) - __float_as_uint(scale[i]));
    }
    if (kShape.shared == 0 || !exists) return;
    const long long output_row = static_cast<long long>(row.query_head()) * p.total_q + row.token;
    shared_lse = __ldg(p.shared_lse + output_row);
    shared_unit = __ldg(p.shared_unit + output_row);
  }
};

/// Finds the partials of each of a warp's rows and weighs them by their share in the row's sum of exponentials, undoing their scales;
/// stores the rows' LSEs. Terms [rows, row_terms]: those that there are, in the order of their slots; last the shared partial's weight.
template <Shape kShape, Config kConfig>
FSA_DEVICE void find_terms(const Params& p, Term* terms, long long first_row, long long rows, int lane) {
  using Lanes = RowLanes<kShape>;
  constexpr int kRows = kConfig.rows(kShape);
#pragma unroll 2
  for (int first = 0; first < kRows; first += Lanes::kRows) {
    const int r = first + lane / Lanes::kWidth;
    const bool exists = r < kRows && first_row + r < rows;
    const Row<kShape> row(p, exists ? first_row + r : first_row);
    Slots<kShape, kConfig> slots;
    slots.load(p, row, exists, lane);
    float top = slots.shared_lse;
#pragma unroll
    for (const float lse : slots.lse) top = fmaxf(top, lse);
    top = Lanes::max_over(top);
    const float shift = top == cuda::negative_infinity() ? 0 : top;
    const auto exponential = [&](float lse) { return cuda::exp2_fast((lse - shift) * cuda::kLog2E); };
    float sum = 0;
#pragma unroll
    for (const float lse : slots.lse) sum += exponential(lse);
    sum = Lanes::sum_over(sum);
    if constexpr (kShape.shared == 1) sum += exponential(slots.shared_lse);
    const auto share = [&](float lse) { return sum == 0 ? 0 : __fdividef(exponential(lse), sum); };

    Term* const row_terms = terms + r * kConfig.row_terms(kShape);
    int before = 0;
#pragma unroll
    for (int i = 0; i < Lanes::kEach; ++i) {
      const bool counts = slots.lse[i] != cuda::negative_infinity();  // NaN does: a row that met one is to show it
      const unsigned counting = Lanes::lanes_where(counts, lane);
      const int place = before + __popc(counting & ((1u << lane % Lanes::kWidth) - 1));
      if (counts) row_terms[place] = {slots.entry[i], share(slots.lse[i]) * slots.scale[i]};
      before += __popc(counting);
    }
    if (r < kRows)
      for (int t = before + lane % Lanes::kWidth; t < kShape.topk; t += Lanes::kWidth) row_terms[t] = {-1, 0};
    if (!exists || lane % Lanes::kWidth != 0) continue;
    if constexpr (kShape.shared == 1) row_terms[kShape.topk] = {-1, share(slots.shared_lse) * slots.shared_unit};
    p.lse[static_cast<long long>(row.query_head()) * p.total_q + row.token] =
        sum == 0 ? cuda::negative_infinity() : shift + cuda::log2_fast(sum) * cuda::kLn2;
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
    if (terms[first].entry < 0) break;  // and none after it
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

/// A lane's columns of a row's shared partial. Asked for before the others: the trip to memory is then theirs, too.
template <Shape kShape, int kColumns>
struct SharedPiece {
  uint4 words[kColumns / 8];
  float weight;

  FSA_DEVICE void load(const Params& p, const Row<kShape>& row, const Term& term, int piece) {
    weight = term.weight;
    const long long first = row.token * p.shared_stride.token + row.query_head() * p.shared_stride.head + piece * 8;
#pragma unroll
    for (int i = 0; i < kColumns / 8; ++i) {
      words[i] = make_uint4(0, 0, 0, 0);
      if (weight != 0) words[i] = cuda::load16_streaming(static_cast<const unsigned short*>(p.shared_o) + first + i * 32);
    }
  }
  FSA_DEVICE void add_to(float (&sum)[8], int group) const { cuda::multiply_add8<true>(sum, words[group], weight); }
};

/// Stores eight merged columns of a row.
template <Shape kShape>
FSA_DEVICE void store_columns(const Params& p, const Row<kShape>& row, int column, float (&sum)[8]) {
  if constexpr (kShape.gated == 1) add_branches<kShape>(p, row.token, row.query_head(), column, sum);
  cuda::store8<kShape.output>(p.o, row.token * p.o_stride.token + row.query_head() * p.o_stride.head + column, sum);
}

/// Grid: ceil(Hkv * Tq * g / (warps * rows)).
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  constexpr int kColumns = kConfig.lane_columns(kShape.head_dim_v), kPieces = kShape.head_dim_v / kColumns;
  constexpr int kRows = kConfig.rows(kShape), kTerms = kRows * kConfig.row_terms(kShape);
  extern __shared__ __align__(16) unsigned char smem[];  // [warps][kTerms] terms
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  Term* const terms_of_warp = reinterpret_cast<Term*>(smem) + warp * kTerms;
  const long long rows = static_cast<long long>(p.heads_kv) * p.total_q * kShape.group;
  const long long first_row = (static_cast<long long>(blockIdx.x) * kConfig.warps + warp) * kRows;
  if (first_row >= rows) return;

  find_terms<kShape, kConfig>(p, terms_of_warp, first_row, rows, lane);
  __syncwarp();
#pragma unroll 1
  for (int i = lane; i < kRows * kPieces; i += 32) {
    const int r = i / kPieces, piece = i % kPieces;
    if (first_row + r >= rows) break;
    const Row<kShape> row(p, first_row + r);
    const Term* const terms = terms_of_warp + r * kConfig.row_terms(kShape);
    SharedPiece<kShape, kColumns> shared;
    if constexpr (kShape.shared == 1) shared.load(p, row, terms[kShape.topk], piece);
    float merged[kColumns];
    merge_columns<kShape, kConfig>(p, terms, row.in_group, piece, merged);
#pragma unroll
    for (int group = 0; group < kColumns / 8; ++group) {
      float sum[8];
#pragma unroll
      for (int i = 0; i < 8; ++i) sum[i] = merged[group * 8 + i];
      if constexpr (kShape.shared == 1) shared.add_to(sum, group);
      store_columns<kShape>(p, row, group * 32 + piece * 8, sum);
    }
  }
}

}  // namespace fsa::partial_reduce
