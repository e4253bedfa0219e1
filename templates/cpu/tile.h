#pragma once
// Owns the tile: up to 24 query rows against one packed key block, with a running softmax.
#include "cpu/exponential.h"
#include "cpu/microkernel.h"
#include "cpu/packed_block.h"

namespace fsa::cpu {

/// The rows of a tile. `state[r]` points to state_floats(t) floats; row r sees the first `visible[r]` >= 1 keys of the block.
struct TileRows {
  float* state[kTileRows];
  int visible[kTileRows];
  int count = 0;
  int most_visible = 0;
};

/// A worker's tile engine: packs blocks into scratch and attends tiles of rows to the block packed last.
class TileEngine {
 public:
  FSA_INLINE TileEngine(const TileShape& shape, float scale, float* scratch) : t_(shape), layout_(tile_layout(shape)), scale_log2_(scale * kLog2E), scratch_(scratch) {}

  const TileShape& shape() const { return t_; }

  FSA_INLINE void pack(const BlockSource& source, int limit) {
    pack_keys(t_, source, limit, keys());
    pack_values(t_, source, limit, values());
  }

  /// A state that has seen no key.
  FSA_INLINE void init_state(float* state) const {
    for (int i = 0; i < state_max(t_); i += kLanes) store(state + i, splat(0));
    state[state_max(t_)] = -kInfinity;
  }

  /// Adds a row to the tile and loads its query.
  FSA_INLINE void add_row(TileRows& rows, const char* q, float* state, int visible) {
    const int r = rows.count++;
    rows.state[r] = state;
    rows.visible[r] = visible;
    rows.most_visible = visible > rows.most_visible ? visible : rows.most_visible;
    load_query(q, query() + r * layout_.query_stride);
  }

  /// Folds the packed block into the states of the tile's rows.
  FSA_INLINE void attend(TileRows& rows) {
    for (int r = rows.count; r < kTileRows; ++r) rows.state[r] = spare();
    score(rows);
    mask(rows);
    alignas(64) float correction[2 * kLanes];
    softmax(rows, correction);
    accumulate(rows, correction);
  }

  /// Writes a finished row; a row that saw no key becomes 0 with LSE -infinity.
  FSA_INLINE void finish(const float* state, Element element, char* o, float* lse) const {
    const float sum = reduce_add(load<F32x16>(state + state_sum(t_)));
    const float inverse = sum != 0 ? 1.0f / sum : 0.0f;
    const int whole = t_.shape.head_dim_v / kLanes * kLanes;
#pragma clang loop unroll(disable)
    for (int i = 0; i < whole; i += kLanes) store_elements(element, o + i * bytes_of(element), load<F32x16>(state + i) * inverse, kLanes);
    if (whole < t_.shape.head_dim_v) store_elements(element, o + whole * bytes_of(element), load<F32x16>(state + whole) * inverse, kLanes / 2);
    *lse = sum != 0 ? (state[state_max(t_)] + log2(sum)) * kLn2 : -kInfinity;
  }

 private:
  float* keys() const { return scratch_ + layout_.keys; }
  float* values() const { return scratch_ + layout_.values; }
  float* query() const { return scratch_ + layout_.query; }
  float* scores(int row) const { return scratch_ + layout_.scores + row * t_.shape.block_size; }
  float* spare() const { return scratch_ + layout_.spare; }

  FSA_INLINE void load_query(const char* q, float* row) const {
    const int words = key_words(t_), whole = words / kLanes * kLanes;
#pragma clang loop unroll(disable)
    for (int i = 0; i < whole; i += kLanes) store(row + i, load_operand(t_, q + i * word_bytes(t_), kLanes));
    if (whole < words) store(row + whole, load_operand(t_, q + whole * word_bytes(t_), words - whole));
  }

  /// Logits of every row, in scores(): panels no row sees are left out.
  FSA_INLINE void score(const TileRows& rows) const {
    const int vectors = key_vectors(t_), width = panel_width(vectors, t_.nr), whole = vectors / width * width;
#pragma clang loop unroll(disable)
    for (int c = 0; c < whole && c * kLanes < rows.most_visible; c += width) score_panel(rows, c, width);
    if (whole < vectors && whole * kLanes < rows.most_visible) score_panel(rows, whole, vectors - whole);
  }

  FSA_INLINE void score_panel(const TileRows& rows, int first, int width) const {
    const int step = panel_rows(t_, width), depth = key_words(t_);
    const float* panel = keys() + first * kLanes * round_up(depth, kLanes);
#pragma clang loop unroll(disable)
    for (int r = 0; r < rows.count; r += step) {
      Accumulators acc;
      FSA_UNROLL
      for (int i = 0; i < step; ++i) {
        FSA_UNROLL
        for (int c = 0; c < width; ++c) acc.v[i][c] = splat(0);
      }
      multiply_panel(t_.math, step, width, depth, query() + r * layout_.query_stride, layout_.query_stride, panel, acc);
      FSA_UNROLL
      for (int i = 0; i < step; ++i) {
        FSA_UNROLL
        for (int c = 0; c < width; ++c) store(scores(r + i) + (first + c) * kLanes, acc.v[i][c]);
      }
    }
  }

  /// -infinity over the keys a row does not see, whatever was computed there (NaN included).
  FSA_INLINE void mask(const TileRows& rows) const {
    constexpr I32x16 kIota = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int r = 0; r < rows.count; ++r) {
      float* row = scores(r);
#pragma clang loop unroll(disable)
      for (int i = rows.visible[r] / kLanes * kLanes; i < t_.shape.block_size; i += kLanes)
        store(row + i, kIota + i < I32x16(rows.visible[r]) ? load<F32x16>(row + i) : splat(-kInfinity));
    }
  }

  /// Turns logits into probabilities against each row's new maximum; `correction` [32] scales what the row had before.
  FSA_INLINE void softmax(const TileRows& rows, float* correction) const {
    alignas(64) float before[2 * kLanes] = {}, now[2 * kLanes] = {};
#pragma clang loop unroll(disable)
    for (int r = 0; r < rows.count; ++r) {
      before[r] = rows.state[r][state_max(t_)];
      const float top = row_max(scores(r)) * scale_log2_;
      now[r] = top > before[r] ? top : before[r];
    }
    for (int i = 0; i < 2 * kLanes; i += kLanes) store(correction + i, exp2(load<F32x16>(before + i) - load<F32x16>(now + i)));
#pragma clang loop unroll(disable)
    for (int r = 0; r < rows.count; ++r) {
      float* state = rows.state[r];
      const F32x16 sum = exponentiate(scores(r), now[r]);
      store(state + state_sum(t_), load<F32x16>(state + state_sum(t_)) * correction[r] + sum);
      state[state_max(t_)] = now[r];
    }
  }

  FSA_INLINE float row_max(const float* row) const {
    F32x16 top = load<F32x16>(row);
    FSA_UNROLL
    for (int i = 1; i < key_vectors(t_); ++i) top = max(top, load<F32x16>(row + i * kLanes));
    return reduce_max(top);
  }

  /// In place: logits to probabilities, as fp32 or bf16, the words that the microkernel reads. Returns their sums by lane.
  FSA_INLINE F32x16 exponentiate(float* row, float top) const {
    F32x16 sum = splat(0);
    const int vectors = key_vectors(t_);
    FSA_UNROLL
    for (int i = 0; i < vectors; ++i) {
      const F32x16 p = exp2(__builtin_elementwise_fma(load<F32x16>(row + i * kLanes), splat(scale_log2_), splat(-top)));
      sum += p;
      if (t_.math == Math::kBF16Dot)
        store(row + i * kLanes / 2, narrow_bf16_native(p));
      else
        store(row + i * kLanes, p);
    }
    return sum;
  }

  /// state = state * correction + P V, panel by panel.
  FSA_INLINE void accumulate(const TileRows& rows, const float* correction) const {
    const int vectors = value_vectors(t_), width = panel_width(vectors, t_.nr), whole = vectors / width * width;
#pragma clang loop unroll(disable)
    for (int c = 0; c < whole; c += width) accumulate_panel(rows, c, width, correction);
    if (whole < vectors) accumulate_panel(rows, whole, vectors - whole, correction);
  }

  FSA_INLINE void accumulate_panel(const TileRows& rows, int first, int width, const float* correction) const {
    const int step = panel_rows(t_, width), depth = round_up(rows.most_visible, kLanes) / per_word(t_.math);
    const float* panel = values() + first * kLanes * value_words(t_);
#pragma clang loop unroll(disable)
    for (int r = 0; r < rows.count; r += step) {
      Accumulators acc;
      FSA_UNROLL
      for (int i = 0; i < step; ++i) {
        FSA_UNROLL
        for (int c = 0; c < width; ++c) acc.v[i][c] = load<F32x16>(rows.state[r + i] + (first + c) * kLanes) * correction[r + i];
      }
      multiply_panel(t_.math, step, width, depth, scores(r), t_.shape.block_size, panel, acc);
      FSA_UNROLL
      for (int i = 0; i < step; ++i) {
        FSA_UNROLL
        for (int c = 0; c < width; ++c) store(rows.state[r + i] + (first + c) * kLanes, acc.v[i][c]);
      }
    }
  }

  TileShape t_;
  TileLayout layout_;
  float scale_log2_;
  float* scratch_;
};

}  // namespace fsa::cpu
