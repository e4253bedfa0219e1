#pragma once
// Owns the chunk: the running states of a run of query tokens of one kv head, from first block to stored output.
#include "cpu/block_run.h"
#include "range_params.h"

namespace fsa::cpu {

/// Tokens [begin, end) of kv head `head`. `states` [(end - begin) * group][state_floats], token by token, head by head.
/// Kernel: see TileEngine.
template <class Kernel>
class Chunk {
 public:
  FSA_INLINE Chunk(const Operands& x, float scale, float* tile_scratch, float* states, int head, int begin, int end)
      : run_(x, scale, tile_scratch, head), states_(states), begin_(begin), end_(end) {}

  FSA_INLINE void init() {
    const int rows = (end_ - begin_) * group();
    for (int row = 0; row < rows; ++row) run_.engine().init_state(states_ + static_cast<long>(row) * state_floats(Kernel::tile()));
  }

  /// Attends block `block` of sequence `s` for `count` tokens, ascending, all of which see it. Meanwhile the keys of block
  /// `next` (negative: none), which the caller will attend after it, are fetched, a share with every tile.
  FSA_INLINE void attend(const Sequence& s, int block, int next, const int* tokens, int count) {
    run_.open(s, block, tokens[count - 1]);
    const int share = ceil_div(Kernel::tile().shape.block_size, ceil_div(count * group(), kTileRows));
    int fetched = 0;
    int entry = 0, h = 0;
    while (entry < count) {
      TileRows rows;
      for (; rows.count < kTileRows && entry < count; h + 1 < group() ? ++h : (++entry, h = 0))
        run_.add(rows, tokens[entry], h, state(tokens[entry], h));
      if (next >= 0) fetched = run_.prefetch(s, next, fetched, share);
      run_.engine().attend(rows);
    }
  }

  /// Attends the block of `limit` keys that begins at row `row` of K and V for the tokens [first, end), each of which sees one
  /// of them at least; `ranges[token - begin]` are the rows it sees. Meanwhile the `next_limit` keys behind are fetched.
  FSA_INLINE void attend(int row, int limit, int next_limit, const KeyRange* ranges, int first, int end) {
    run_.open(row, limit);
    const int block_size = Kernel::tile().shape.block_size, share = ceil_div(block_size, ceil_div((end - first) * group(), kTileRows));
    int fetched = 0;
    int token = first, h = 0;
    while (token < end) {
      TileRows rows;
      for (; rows.count < kTileRows && token < end; h + 1 < group() ? ++h : (++token, h = 0)) {
        const KeyRange range = ranges[token - begin_];
        run_.add(rows, token, h, state(token, h), clamp(range.begin - row, 0, limit), clamp(range.end - row, 0, limit));
      }
      if (fetched < next_limit) fetched = run_.prefetch(row + block_size, next_limit, fetched, share);
      run_.engine().attend(rows);
    }
  }

  FSA_INLINE void store_outputs(Element element) {
    for (int token = begin_; token < end_; ++token)
      for (int h = 0; h < group(); ++h) run_.store_output(state(token, h), token, h, element);
  }

 private:
  FSA_INLINE static int group() { return Kernel::tile().shape.group; }
  FSA_INLINE float* state(int token, int h) const {
    return states_ + (static_cast<long>(token - begin_) * group() + h) * state_floats(Kernel::tile());
  }

  BlockRun<Kernel> run_;
  float* states_;
  int begin_, end_;
};

}  // namespace fsa::cpu
