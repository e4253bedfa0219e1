#pragma once
// Owns the CPU core of attention over ranges: a chunk of query tokens against the run of keys that they see together.
#include "cpu/chunk.h"
#include "cpu/range_config.h"
#include "range_params.h"

namespace fsa::cpu {

struct RangeConstants {
  RangeShape shape;
  RangeConfig config;
};
extern "C" {
extern const RangeConstants fsa_constants;
}

template <class Rule>
struct RangeKernel {
  static constexpr bool kStartsMove = Rule::kStartMoves;
  FSA_INLINE static TileShape tile() { return range_tile(fsa_constants.shape, fsa_constants.config); }
};

/// Finds the rows of K and V that the tokens [first, end) of `s` see, from ranges[0] on.
template <class Rule>
FSA_INLINE void find_ranges(const RangeParams& p, const Sequence& s, int first, int end, KeyRange* ranges) {
  const int row_begin = clamp(p.cu_rows[s.index], 0, p.total_rows), row_end = clamp(p.cu_rows[s.index + 1], row_begin, p.total_rows);
#pragma clang loop unroll(disable) vectorize(disable)
  for (int token = first; token < end; ++token) {
    const int position = s.position(token);
    const KeyRange local = position < 0 ? KeyRange{0, 0} : Rule::visible(p, position, row_end - row_begin);
    ranges[token - first] = {row_begin + local.begin, row_begin + local.end};
  }
}

/// Attends the tokens [first, end) of one sequence, block by block; `ranges[token - begin]` are theirs and rise with the token.
template <class Kernel>
FSA_INLINE void attend_sequence(Chunk<Kernel>& chunk, const KeyRange* ranges, int begin, int first, int end) {
  const int keys = Kernel::tile().shape.block_size;
  while (first < end && ranges[first - begin].begin >= ranges[first - begin].end) ++first;  // too early to see a key
  if (first == end) return;
  const int last_row = ranges[end - 1 - begin].end;
  int behind = first;
  for (int row = ranges[first - begin].begin; row < last_row; row += keys) {
    while (ranges[first - begin].end <= row) ++first;
    while (behind < end && ranges[behind - begin].begin < row + keys) ++behind;
    const int left = last_row - row - keys;
    chunk.attend(row, left < 0 ? keys + left : keys, left < keys ? left : keys, ranges, first, behind);
  }
}

/// Item: a run of tokens of one kv head, late ones first (early tokens see few keys, so the long items start first).
template <class Rule>
FSA_INLINE void attend_ranges(const RangeParams& p, long item, float* scratch) {
  const RangeConfig& config = fsa_constants.config;
  const RangeScratch layout = range_scratch(fsa_constants.shape, config);
  const int chunks = ceil_div(p.total_q, config.tokens);
  const int head = static_cast<int>(item % p.heads_kv), begin = (chunks - 1 - static_cast<int>(item / p.heads_kv)) * config.tokens;
  const int end = p.total_q - begin < config.tokens ? p.total_q : begin + config.tokens;
  Chunk<RangeKernel<Rule>> chunk(operands(p), p.scale, scratch, scratch + layout.states, head, begin, end);
  KeyRange* ranges = reinterpret_cast<KeyRange*>(scratch + layout.ranges);  // of the tokens from `begin` on
  chunk.init();
  for_sequences(p.cu_q, p.cu_k, p.num_seqs, p.total_q, p.total_k, begin, end,
                [&](const Sequence& s, int first, int last) FSA_INLINE_LAMBDA {
                  find_ranges<Rule>(p, s, first, last, ranges + (first - begin));
                  attend_sequence(chunk, ranges, begin, first, last);
                });
  chunk.store_outputs(fsa_constants.shape.output);
}

}  // namespace fsa::cpu
