#pragma once
// Owns the block run: one packed key block of one kv head, and the tiles of query rows that are attended to it.
#include "cpu/sequence.h"
#include "cpu/tile.h"
#include "strides.h"

namespace fsa::cpu {

/// The tensors of an attention forward, as its kernels receive them.
struct Operands {
  const char* q;
  const char* k;
  const char* v;
  char* o;
  float* lse;
  RowStrides q_stride, k_stride, v_stride, o_stride;  // in elements
  int total_q, total_k;
};

template <class Params>
FSA_INLINE Operands operands(const Params& p) {
  return {static_cast<const char*>(p.q), static_cast<const char*>(p.k), static_cast<const char*>(p.v), static_cast<char*>(p.o), p.lse,
          p.q_stride, p.k_stride, p.v_stride, p.o_stride, p.total_q, p.total_k};
}

/// Packs blocks of one kv head and feeds rows to the tile engine. Kernel: see TileEngine.
template <class Kernel>
class BlockRun {
 public:
  FSA_INLINE BlockRun(const Operands& x, float scale, float* tile_scratch, int head) : x_(x), engine_(scale, tile_scratch), head_(head) {}

  FSA_INLINE TileEngine<Kernel>& engine() { return engine_; }
  FSA_INLINE static SelectedShape shape() { return Kernel::tile().shape; }
  FSA_INLINE long query_head(int h) const { return static_cast<long>(head_) * shape().group + h; }

  /// Packs block `block` of sequence `s`, the keys past the position of `last_token` left out: no row of the run sees them.
  FSA_INLINE void open(const Sequence& s, int block, int last_token) {
    start_ = block * shape().block_size;
    sequence_ = s;
    engine_.pack(source(first_row(s, block)), visible_keys(last_token));
  }

  /// Packs the first `limit` keys of the block that begins at row `row` of K and V.
  FSA_INLINE void open(long row, int limit) { engine_.pack(source(row), limit); }

  /// Fetches keys [first, first + count) of block `block` of `s` into the second-level cache; returns where to go on.
  FSA_INLINE int prefetch(const Sequence& s, int block, int first, int count) const {
    const int left = s.k_end - s.k_begin - block * shape().block_size;
    return prefetch(first_row(s, block), left < shape().block_size ? left : shape().block_size, first, count);
  }

  /// The same for the block of `most` keys that begins at row `row` of K and V.
  FSA_INLINE int prefetch(long row, int most, int first, int count) const {
    constexpr int kLine = 64, kForReading = 0, kSecondLevel = 2;
    const BlockSource ahead = source(row);
    const int bytes = static_cast<int>(bytes_of(shape().element)), end = first + count < most ? first + count : most;
#pragma clang loop unroll(disable)
    for (int key = first; key < end; ++key) {
#pragma clang loop unroll(disable)
      for (int i = 0; i < shape().head_dim * bytes; i += kLine) __builtin_prefetch(ahead.k + key * ahead.k_stride + i, kForReading, kSecondLevel);
#pragma clang loop unroll(disable)
      for (int i = 0; i < shape().head_dim_v * bytes; i += kLine) __builtin_prefetch(ahead.v + key * ahead.v_stride + i, kForReading, kSecondLevel);
    }
    return end;
  }

  /// Adds query head `h` of `token`, which must see the open block, to a tile.
  FSA_INLINE void add(TileRows& rows, int token, int h, float* state) { add(rows, token, h, state, 0, visible_keys(token)); }

  /// The same for a token that sees the keys [first, visible) of the open block.
  FSA_INLINE void add(TileRows& rows, int token, int h, float* state, int first, int visible) {
    const long offset = token * x_.q_stride.token + query_head(h) * x_.q_stride.head;
    engine_.add_row(rows, x_.q + offset * bytes_of(shape().element), state, first, visible);
  }

  /// Writes the finished row of query head `h` of `token`.
  FSA_INLINE void store_output(const float* state, int token, int h, Element element) const {
    const long offset = token * x_.o_stride.token + query_head(h) * x_.o_stride.head;
    engine_.finish(state, element, x_.o + offset * bytes_of(element), x_.lse + query_head(h) * x_.total_q + token);
  }

 private:
  FSA_INLINE static long first_row(const Sequence& s, int block) { return static_cast<long>(s.k_begin) + block * shape().block_size; }

  FSA_INLINE BlockSource source(long row) const {
    const long bytes = bytes_of(shape().element);
    return {x_.k + (row * x_.k_stride.token + head_ * x_.k_stride.head) * bytes, x_.v + (row * x_.v_stride.token + head_ * x_.v_stride.head) * bytes,
            x_.k_stride.token * bytes, x_.v_stride.token * bytes};
  }

  FSA_INLINE int visible_keys(int token) const {
    const int left = sequence_.position(token) + 1 - start_, block_size = shape().block_size;
    return left < block_size ? left : block_size;
  }

  Operands x_;
  TileEngine<Kernel> engine_;
  int head_;
  int start_ = 0;  // of the open block, in keys of the sequence
  Sequence sequence_{};
};

}  // namespace fsa::cpu
