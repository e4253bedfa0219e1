#pragma once
// Owns what the kernels of attention over ranges know about the rows of a tile: what each sees, and how Q is copied.
#include "cuda/memory.cuh"
#include "cuda/sequences.cuh"
#include "range_params.h"

namespace fsa::cuda {

/// The rows of K and V that a warp's rows see at all, and those that every one of them sees.
struct WarpBounds {
  int begin, end, all_begin, all_end;

  FSA_DEVICE bool meets(int first, int last) const { return max(first, begin) < min(last, end); }
  FSA_DEVICE bool all_see(int first, int last) const { return first >= all_begin && last <= all_end; }
};

/// The range of one row.
struct RowRange {
  int begin, count;

  FSA_DEVICE bool sees_all(int first, int last) const { return begin <= first && begin + count >= last; }
};

/// A packed sequence, its bounds inside the tensors whatever cu_q, cu_k and cu_rows hold.
struct RangeSequence {
  int q_begin, q_end, tokens, row_begin, row_end;

  FSA_DEVICE RangeSequence(const RangeParams& p, int b) {
    const auto clamped = [](int x, int low, int high) { return min(max(x, low), high); };
    q_begin = clamped(__ldg(p.cu_q + b), 0, p.total_q);
    q_end = clamped(__ldg(p.cu_q + b + 1), q_begin, p.total_q);
    const int k_begin = clamped(__ldg(p.cu_k + b), 0, p.total_k);
    tokens = clamped(__ldg(p.cu_k + b + 1), k_begin, p.total_k) - k_begin;
    row_begin = clamped(__ldg(p.cu_rows + b), 0, p.total_rows);
    row_end = clamped(__ldg(p.cu_rows + b + 1), row_begin, p.total_rows);
  }
  FSA_DEVICE int position(int token) const { return tokens - (q_end - token); }

  /// Rows of K and V that query `token` sees.
  template <class Rule>
  FSA_DEVICE KeyRange visible(const RangeParams& p, int token) const {
    if (position(token) < 0) return {row_begin, row_begin};
    const KeyRange local = Rule::visible(p, position(token), row_end - row_begin);
    return {row_begin + local.begin, row_begin + local.end};
  }
  /// What the queries [first, last] see together: one run, as both ends rise with the position.
  template <class Rule>
  FSA_DEVICE KeyRange visible(const RangeParams& p, int first, int last) const {
    if (position(last) < 0) return {row_begin, row_begin};
    return {visible<Rule>(p, first + max(0, -position(first))).begin, visible<Rule>(p, last).end};
  }
};

/// What the lane of one row of a tile finds.
struct RowLookup {
  static constexpr int kNone = 0x7fffffff;
  KeyRange seen{kNone, 0};  // by this row
  KeyRange segment{0, 0};   // by the rows from this one on that are of its sequence, if it is the tile's first of that; else empty

  /// Row `in_tile` of the tile of kRows rows at `first_row`; rows past the last repeat it.
  template <class T, class Rule>
  static FSA_DEVICE RowLookup of(const RangeParams& p, int first_row, int in_tile) {
    RowLookup found;
    const int last_row = p.total_q * T::kGroup - 1, row = min(first_row + in_tile, last_row), token = row / T::kGroup;
    const int b = last_not_above(p.num_seqs, token, [&](int x) { return __ldg(p.cu_q + x); });
    if (b < 0) return found;
    const RangeSequence s(p, b);
    if (token < s.q_begin || token >= s.q_end) return found;
    const KeyRange seen = s.template visible<Rule>(p, token);
    if (seen.begin < seen.end) found.seen = seen;
    const bool starts = in_tile == 0 || (token == s.q_begin && row % T::kGroup == 0);
    const int last_token = min(first_row + T::kRows - 1, last_row) / T::kGroup;
    if (starts && first_row + in_tile <= last_row) found.segment = s.template visible<Rule>(p, token, min(last_token, s.q_end - 1));
    return found;
  }

  FSA_DEVICE bool starts_segment() const { return segment.begin < segment.end; }
  FSA_DEVICE RowRange range() const { return {seen.begin, max(0, seen.end - seen.begin)}; }
  /// Of a warp's lookups.
  FSA_DEVICE WarpBounds bounds() const {
    return {__reduce_min_sync(~0u, seen.begin), __reduce_max_sync(~0u, seen.end), __reduce_max_sync(~0u, seen.begin),
            __reduce_min_sync(~0u, seen.end)};
  }
};

/// Starts the copy of a tile's rows of Q [rows, D] by kThreads threads; rows of no query and columns past D are zeros.
template <class T, class Tile, int kThreads, int kUnroll = 4>
FSA_DEVICE void copy_queries(const RangeParams& p, int head, int first_row, unsigned q_tile) {
  const int rows = p.total_q * T::kGroup;
#pragma unroll kUnroll
  for (int i = threadIdx.x; i < T::kRows * Tile::kChunks; i += kThreads) {
    const int in_tile = i / Tile::kChunks, chunk = i % Tile::kChunks, row = first_row + in_tile;
    const bool exists = chunk < T::kD / 8 && row < rows;
    const int token = row / T::kGroup, query_head = head * T::kGroup + row % T::kGroup;
    const long long offset = token * p.q_stride.token + query_head * p.q_stride.head + chunk * 8;
    copy16_async_or_zero(q_tile + Tile::offset(in_tile, chunk), exists ? static_cast<const char*>(p.q) + offset * 2 : p.q, exists);
  }
}

}  // namespace fsa::cuda
