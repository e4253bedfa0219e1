#pragma once
// Owns what merging the partial outputs of rows is made of: looking them up, weighing, loading and adding them, and the way out.
#include "cuda/gates.cuh"
#include "cuda/memory.cuh"
#include "cuda/packed12.cuh"
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

/// The sum of exponentials of a row's partials, relative to the largest LSE; 0 where a row has no partial.
struct RowSum {
  float top, sum;
};

/// What a lane knows of its slots of a row.
template <Shape kShape, Partial kPartial>
class Slots {
 public:
  using Lanes = RowLanes<kShape>;

  FSA_DEVICE void load(const Params& p, const Row<kShape>& row, bool exists, int lane) {
    constexpr bool kPacked = kPartial == Partial::kI12;
    const long long query = static_cast<long long>(row.head) * p.total_q + row.token;
#pragma unroll
    for (int i = 0; i < Lanes::kEach; ++i) {
      const int slot = i * Lanes::kWidth + lane % Lanes::kWidth;
      entry_[i] = exists && slot < kShape.topk ? __ldg(p.entry_position + query * kShape.topk + slot) : -1;
      lse_[i] = cuda::negative_infinity(), scale_[i] = 1;
      if (entry_[i] < 0) continue;
      const long long partial_row = static_cast<long long>(entry_[i]) * kShape.group + row.in_group;
      // The step of a row of integers, or the inverse of a power of two.
      if constexpr (kPacked) {
        const float2 both = __ldg(reinterpret_cast<const float2*>(p.partial_lse) + partial_row);
        lse_[i] = both.x, scale_[i] = both.y;
      } else {
        lse_[i] = __ldg(p.partial_lse + partial_row);
        scale_[i] = __uint_as_float((254u << 23) - __float_as_uint(__ldg(p.entry_scale + entry_[i])));
      }
    }
  }

  /// All lanes of the row get the same.
  FSA_DEVICE RowSum sum_up() {
    float top = cuda::negative_infinity(), sum = 0;
#pragma unroll
    for (const float lse : lse_) top = fmaxf(top, lse);
    top = Lanes::max_over(top);
    top_ = top == cuda::negative_infinity() ? 0 : top;
#pragma unroll
    for (const float lse : lse_) sum += exponential(lse);
    return {top_, Lanes::sum_over(sum)};
  }

  /// Terms [topk]: the partials that there are, in the order of their slots, by their exponentials times `factor`, scales undone.
  FSA_DEVICE void write(Term* terms, float factor, bool writes, int lane) const {
    int before = 0;
#pragma unroll
    for (int i = 0; i < Lanes::kEach; ++i) {
      const bool counts = lse_[i] != cuda::negative_infinity();  // NaN does: a row that met one is to show it
      const unsigned counting = Lanes::lanes_where(counts, lane);
      const int place = before + __popc(counting & ((1u << lane % Lanes::kWidth) - 1));
      if (counts) terms[place] = {entry_[i], exponential(lse_[i]) * factor * scale_[i]};
      before += __popc(counting);
    }
    if (writes)
      for (int t = before + lane % Lanes::kWidth; t < kShape.topk; t += Lanes::kWidth) terms[t] = {-1, 0};
  }

 private:
  FSA_DEVICE float exponential(float lse) const { return cuda::exp2_fast((lse - top_) * cuda::kLog2E); }

  int entry_[Lanes::kEach];
  float lse_[Lanes::kEach], scale_[Lanes::kEach], top_;
};

/// Bytes of an entry: its g rows.
template <Partial kPartial>
FSA_DEVICE constexpr int entry_bytes(int group, int columns) {
  return group * (kPartial == Partial::kI12 ? columns / 2 * 3 : kPartial == Partial::kF32 ? columns * 4 : columns * 2);
}

/// The first row of an entry.
template <Partial kPartial>
FSA_DEVICE const char* entry_rows(const void* partial, int entry, int group, int columns) {
  return static_cast<const char*>(partial) + static_cast<long long>(entry) * entry_bytes<kPartial>(group, columns);
}

/// A lane's columns of a partial row: 8 neighbours, in kChunks of kChunkWords words each that are apart.
template <Partial kPartial, int kColumns>
struct Piece {
  static constexpr int kChunks = kPartial == Partial::kF32 ? 2 : 1, kChunkWords = 4;
  unsigned words[kChunks * kChunkWords];

  /// Bytes from the entry's first row to a chunk of piece `piece` of its row `in_group`.
  template <int kGroup>
  FSA_DEVICE static int offset(int in_group, int columns, int piece, int chunk) {
    return (in_group * columns + piece * 8) * (2 * kChunks) + chunk * 16;
  }
  FSA_DEVICE void add_to(float (&sum)[8], float weight, const cuda::Unpack12&) const {
    if constexpr (kPartial == Partial::kF32) {
#pragma unroll
      for (int i = 0; i < 8; ++i) sum[i] = fmaf(weight, __uint_as_float(words[i]), sum[i]);
    } else {
      cuda::multiply_add8<kPartial == Partial::kF16>(sum, make_uint4(words[0], words[1], words[2], words[3]), weight);
    }
  }
};

/// The same of a row of 12-bit integers: 8 of each 32 columns, in three chunks a quarter of the row apart.
template <int kColumns>
struct Piece<Partial::kI12, kColumns> {
  static constexpr int kGroups = kColumns / 8, kChunks = 3, kChunkWords = kGroups;
  unsigned words[kChunks * kChunkWords];

  template <int kGroup>
  FSA_DEVICE static int offset(int in_group, int, int piece, int chunk) {
    return cuda::row_offset12<4 * kColumns, kGroup>(in_group) + piece * kGroups * 4 + chunk * cuda::piece_pitch12<4 * kColumns, kGroup>();
  }
  FSA_DEVICE void add_to(float (&sum)[kColumns], float weight, const cuda::Unpack12& unpack) const {
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
      float x[8];
      unpack(x, {words[3 * group], words[3 * group + 1], words[3 * group + 2]});
#pragma unroll
      for (int i = 0; i < 8; ++i) sum[8 * group + i] = fmaf(weight, x[i], sum[8 * group + i]);
    }
  }
};

/// Eight neighbouring numbers of another branch's output, on their way. Of f32, by way of L1: its two loads of 16 bytes share their lines.
template <Shape kShape>
struct BranchColumns {
  uint4 words[kShape.scaled == 1 ? 1 : 2];

  FSA_DEVICE void load(const void* o, const RowStrides& stride, int token, int head, int column) {
    const long long offset = token * stride.token + head * stride.head + column;
    if constexpr (kShape.scaled == 1) {
      words[0] = cuda::load16_streaming(static_cast<const unsigned short*>(o) + offset);
    } else {
      const uint4* const at = reinterpret_cast<const uint4*>(static_cast<const float*>(o) + offset);
      words[0] = __ldg(at), words[1] = __ldg(at + 1);
    }
  }
  FSA_DEVICE void get(float (&numbers)[8]) const {
    if constexpr (kShape.scaled == 1) {
      for (float& x : numbers) x = 0;
      cuda::multiply_add8<true>(numbers, words[0], 1.0f);
    } else {
      const unsigned all[8] = {words[0].x, words[0].y, words[0].z, words[0].w, words[1].x, words[1].y, words[1].z, words[1].w};
#pragma unroll
      for (int i = 0; i < 8; ++i) numbers[i] = __uint_as_float(all[i]);
    }
  }
};

/// A row's gates, which undo the units of the other branches' rows.
template <Shape kShape>
FSA_DEVICE cuda::Gates load_gates(const Params& p, int token, int head) {
  cuda::Gates gates = cuda::Gates::load<kShape.gates>(p.gates, p.gates_stride, token, head);
  if constexpr (kShape.scaled == 1) {
    const long long row = static_cast<long long>(head) * p.total_q + token;
    gates.cmp *= __ldg(p.cmp_unit + row);
    gates.win *= __ldg(p.win_unit + row);
  }
  return gates;
}

/// Turns merged columns of a row into the gated sum of all branches.
template <Shape kShape>
FSA_DEVICE void add_branches(const cuda::Gates& gates, const BranchColumns<kShape>& of_cmp, const BranchColumns<kShape>& of_win,
                             float (&sum)[8]) {
  float cmp[8], win[8];
  of_cmp.get(cmp);
  of_win.get(win);
#pragma unroll
  for (int i = 0; i < 8; ++i) sum[i] = gates.sum(cmp[i], sum[i], win[i]);
}

/// Stores eight columns of a row as they are.
template <Shape kShape>
FSA_DEVICE void store_sums(const Params& p, const Row<kShape>& row, int column, const float (&sum)[8]) {
  cuda::store8<kShape.output>(p.o, row.token * p.o_stride.token + row.query_head() * p.o_stride.head + column, sum);
}

/// Stores eight merged columns of a row, or what they come to with the other branches.
template <Shape kShape>
FSA_DEVICE void store_columns(const Params& p, const Row<kShape>& row, int column, float (&sum)[8]) {
  if constexpr (kShape.gated == 1) {
    BranchColumns<kShape> cmp, win;
    cmp.load(p.o_cmp, p.cmp_stride, row.token, row.query_head(), column);
    win.load(p.o_win, p.win_stride, row.token, row.query_head(), column);
    add_branches<kShape>(load_gates<kShape>(p, row.token, row.query_head()), cmp, win, sum);
  }
  store_sums<kShape>(p, row, column, sum);
}

}  // namespace fsa::partial_reduce
