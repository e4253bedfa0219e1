#pragma once
// Owns the tile: up to 48 query rows against one packed key block, with a running softmax.
#include "cpu/exponential.h"
#include "cpu/microkernel.h"
#include "cpu/packed_block.h"

namespace fsa::cpu {

/// The rows of a tile. `state[r]` points to state_floats(t) floats; row r sees the keys [first[r], visible[r]) of the block, one
/// at least. `first` and `least_first` are kept where Kernel::kStartsMove; elsewhere every row sees the block from its first key on.
struct TileRows {
  float* state[kTileRows];
  int first[kTileRows];
  int visible[kTileRows];
  int count = 0;
  int least_first = kNoKey;
  int most_visible = 0;

  static constexpr int kNoKey = 0x7fffffff;
};

/// A worker's tile engine: packs blocks into scratch and attends tiles of rows to the block packed last. The tile shape is
/// Kernel::tile(), a function of injected constants: as a member it would be known only once everything is inlined into
/// one function, too late for the loops that have to be unrolled. Kernel::kStartsMove: see TileRows.
template <class Kernel>
class TileEngine {
 public:
  FSA_INLINE TileEngine(float scale, float* scratch) : scale_log2_(scale * kLog2E), scratch_(scratch) {}

  FSA_NOINLINE void pack(const BlockSource& source, int limit) {
    pack_keys(t(), source, limit, keys());
    pack_values(t(), source, limit, values());
  }

  /// A state that has seen no key.
  FSA_INLINE void init_state(float* state) const {
#pragma clang loop unroll(disable)
    for (int i = 0; i < state_reference(t()); i += kLanes) store(state + i, splat(0));
    state[state_reference(t())] = state[state_max(t())] = -kInfinity;
  }

  /// Adds a row to the tile and loads its query.
  FSA_INLINE void add_row(TileRows& rows, const char* q, float* state, int first, int visible) {
    const int r = rows.count++;
    if constexpr (Kernel::kStartsMove) {
      rows.first[r] = first;
      rows.least_first = first < rows.least_first ? first : rows.least_first;
    }
    rows.state[r] = state;
    rows.visible[r] = visible;
    rows.most_visible = visible > rows.most_visible ? visible : rows.most_visible;
    load_query(q, query() + r * layout().query_stride);
  }

  /// Folds the packed block into the states of the tile's rows.
  FSA_NOINLINE void attend(TileRows& rows) {
#pragma clang loop unroll(disable) vectorize(disable)
    for (int r = rows.count; r < kTileRows; ++r) rows.state[r] = spare();
    score(rows);
    mask(rows);
    alignas(64) float correction[kTileRows];
    softmax(rows, correction);
    accumulate(rows, correction);
  }

  /// Writes a finished row; a row that saw no key becomes 0 with LSE -infinity.
  FSA_INLINE void finish(const float* state, Element element, char* o, float* lse) const {
    const float sum = reduce_add(load<F32x16>(state + state_sum(t())));
    const float inverse = sum != 0 ? 1.0f / sum : 0.0f;
    const int whole = t().shape.head_dim_v / kLanes * kLanes;
#pragma clang loop unroll(disable)
    for (int i = 0; i < whole; i += kLanes) store_elements(element, o + i * bytes_of(element), load<F32x16>(state + i) * inverse, kLanes);
    if (whole < t().shape.head_dim_v) store_elements(element, o + whole * bytes_of(element), load<F32x16>(state + whole) * inverse, kLanes / 2);
    *lse = sum != 0 ? (state[state_reference(t())] + log2(sum)) * kLn2 : -kInfinity;
  }

 private:
  FSA_INLINE static TileShape t() { return Kernel::tile(); }
  FSA_INLINE static TileLayout layout() { return tile_layout(t()); }
  FSA_INLINE float* keys() const { return scratch_ + layout().keys; }
  FSA_INLINE float* values() const { return scratch_ + layout().values; }
  FSA_INLINE float* query() const { return scratch_ + layout().query; }
  FSA_INLINE float* scores(int row) const { return scratch_ + layout().scores + row * t().shape.block_size; }
  FSA_INLINE float* spare() const { return scratch_ + layout().spare; }

  FSA_INLINE void load_query(const char* q, float* row) const {
    const int words = key_words(t()), whole = words / kLanes * kLanes;
#pragma clang loop unroll(disable)
    for (int i = 0; i < whole; i += kLanes) store(row + i, load_operand(t(), q + i * word_bytes(t()), kLanes));
    if (whole < words) store(row + whole, load_operand(t(), q + whole * word_bytes(t()), words - whole));
  }

  /// Keys before the first that some row sees, in whole vectors.
  FSA_INLINE static int skipped(const TileRows& rows) {
    if constexpr (Kernel::kStartsMove) return rows.least_first / kLanes * kLanes;
    return 0;
  }

  /// Logits of every row, in scores(): panels no row sees are left out.
  FSA_INLINE void score(const TileRows& rows) const {
    const int vectors = key_vectors(t()), width = panel_width(vectors, t().nr), whole = vectors / width * width;
#pragma clang loop unroll(disable)
    for (int c = 0; c < whole && c * kLanes < rows.most_visible; c += width)
      if (!Kernel::kStartsMove || (c + width) * kLanes > skipped(rows)) score_panel(rows, c, width);
    if (whole < vectors && whole * kLanes < rows.most_visible) score_panel(rows, whole, vectors - whole);
  }

  FSA_INLINE void score_panel(const TileRows& rows, int first, int width) const {
    const int step = panel_rows(t(), width), depth = key_words(t());
    const float* panel = keys() + first * kLanes * round_up(depth, kLanes);
#pragma clang loop unroll(disable)
    for (int r = 0; r < rows.count; r += step) {
      Accumulators acc;
      FSA_UNROLL
      for (int i = 0; i < step; ++i) {
        FSA_UNROLL
        for (int c = 0; c < width; ++c) acc.v[i][c] = splat(0);
      }
      multiply_panel(t().math, step, width, depth, query() + r * layout().query_stride, layout().query_stride, panel, acc);
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
      for (int i = rows.visible[r] / kLanes * kLanes; i < t().shape.block_size; i += kLanes)
        store(row + i, kIota + i < I32x16(rows.visible[r]) ? load<F32x16>(row + i) : splat(-kInfinity));
      if constexpr (Kernel::kStartsMove) {
#pragma clang loop unroll(disable)
        for (int i = 0; i < rows.first[r]; i += kLanes)
          store(row + i, kIota + i < I32x16(rows.first[r]) ? splat(-kInfinity) : load<F32x16>(row + i));
      }
    }
  }

  /// Turns logits into probabilities; `correction` [kTileRows] scales what the rows had before.
  FSA_INLINE void softmax(const TileRows& rows, float* correction) const {
#pragma clang loop unroll(disable)
    for (int first = 0; first < rows.count; first += kLanes) {
      alignas(64) float reference[kLanes];
      choose_references(rows, first, reference, correction + first);
      const int end = rows.count - first < kLanes ? rows.count - first : kLanes;
#pragma clang loop unroll(disable)
      for (int i = 0; i < end; i += 2) exponentiate(rows, first + i, reference + i, correction + first + i);
    }
  }

  /// For 16 rows from `first` on: the reference that probabilities are taken against, 2^(logit - reference), and the
  /// correction that moves a row's state to it. Lanes become rows, so that no maximum is reduced across a vector.
  FSA_INLINE void choose_references(const TileRows& rows, int first, float* reference, float* correction) const {
    F32x16 top[kLanes];  // the maxima of each row over every 16th key; then transposed
    FSA_UNROLL
    for (int i = 0; i < kLanes; ++i) top[i] = lane_maxima(scores(first + i));
    transpose(top);
    FSA_UNROLL
    for (int i = 0; i < kLanes / 2; ++i) top[i] = max(top[i], top[i + kLanes / 2]);
    F32x16 highest = top[0];
    FSA_UNROLL
    for (int i = 1; i < kLanes / 2; ++i) highest = max(highest, top[i]);
    alignas(64) float before[kLanes], running[kLanes];
#pragma clang loop unroll(disable) vectorize(disable)
    for (int i = 0; i < kLanes; ++i) {
      before[i] = rows.state[first + i][state_reference(t())];
      running[i] = rows.state[first + i][state_max(t())];
    }
    const F32x16 now_running = max(load<F32x16>(running), highest * scale_log2_);
    const F32x16 now = t().math == Math::kBF16Dot ? dot_reference(top, highest * scale_log2_, now_running) : now_running;
    store(correction, exp2(load<F32x16>(before) - now));
    store(reference, now);
    store(running, now_running);
#pragma clang loop unroll(disable) vectorize(disable)
    for (int i = 0; i < kLanes; ++i) {
      rows.state[first + i][state_reference(t())] = reference[i];
      rows.state[first + i][state_max(t())] = running[i];
    }
  }

  /// A reference that keeps the rounding of P to bf16 small. Any will do for the result, as sums and outputs are kept
  /// against the same one; but with the block's own maximum as 1 the largest probability is exact, and of eight scales
  /// between 1 and 2 the one is taken that rounds the row's largest probabilities (of 8 groups of keys) best. It takes
  /// the error of P from 1.3e-3 to 1.0e-3 of the output, where the rounding of a bf16 output alone costs 1.6e-3.
  /// Bounded below by the running maximum, lest old contributions overflow in units of a lower block's.
  FSA_INLINE F32x16 dot_reference(const F32x16 (&top)[kLanes], F32x16 highest, F32x16 running) const {
    constexpr int kScales = 8;
    static constexpr float kLog2Scale[kScales] = {0, 0.169925001f, 0.321928095f, 0.459431619f, 0.584962501f, 0.700439718f, 0.807354922f, 0.906890596f};
    constexpr float kSplit = 65537.0f;  // Dekker: x * (2^16 + 1) - (x * (2^16 + 1) - x) is x rounded to 8 bits
    const F32x16 base = max(highest, running - 30.0f);
    F32x16 p[kLanes / 2];
    FSA_UNROLL
    for (int i = 0; i < kLanes / 2; ++i) p[i] = exp2_avx512(__builtin_elementwise_fma(top[i], splat(scale_log2_), -base));
    F32x16 least = splat(kInfinity), best = splat(0);
#pragma clang loop unroll(disable)
    for (int k = 0; k < kScales; ++k) {
      const float scale = 1.0f + static_cast<float>(k) / kScales;
      F32x16 sums[2] = {splat(0), splat(0)};
      FSA_UNROLL
      for (int i = 0; i < kLanes / 2; ++i) {
        const F32x16 scaled = p[i] * scale, wide = scaled * kSplit;
        const F32x16 lost = scaled - (wide - (wide - scaled));
        sums[i % 2] = __builtin_elementwise_fma(lost, lost, sums[i % 2]);
      }
      const F32x16 error = (sums[0] + sums[1]) * (1.0f / (scale * scale));
      best = error < least ? splat(kLog2Scale[k]) : best;
      least = error < least ? error : least;
    }
    return base - best;
  }

  FSA_INLINE F32x16 lane_maxima(const float* row) const {
    F32x16 top = load<F32x16>(row);
    FSA_UNROLL
    for (int i = 1; i < key_vectors(t()); ++i) top = max(top, load<F32x16>(row + i * kLanes));
    return top;
  }

  /// In place: two rows of logits to probabilities, as fp32 or bf16, the words that the microkernel reads; their sums go
  /// to the states. Two rows at once, since the chain of one exp2 is longer than a scheduler holds of the next.
  FSA_INLINE void exponentiate(const TileRows& rows, int first, const float* reference, const float* correction) const {
    const int vectors = key_vectors(t());
    F32x16 p[2][kMaxKeyVectors];
    FSA_UNROLL
    for (int r = 0; r < 2; ++r) {
      FSA_UNROLL
      for (int i = 0; i < vectors; ++i)
        p[r][i] = __builtin_elementwise_fma(load<F32x16>(scores(first + r) + i * kLanes), splat(scale_log2_), splat(-reference[r]));
    }
    FSA_UNROLL
    for (int r = 0; r < 2; ++r) {
      FSA_UNROLL
      for (int i = 0; i < vectors; ++i) p[r][i] = t().math == Math::kBF16Dot ? exp2_avx512(p[r][i]) : exp2(p[r][i]);
    }
    FSA_UNROLL
    for (int r = 0; r < 2; ++r) {
      float* state = rows.state[first + r] + state_sum(t());
      F32x16 sum = load<F32x16>(state) * correction[r];
      FSA_UNROLL
      for (int i = 0; i < vectors; ++i) {
        sum += p[r][i];
        if (t().math == Math::kBF16Dot)
          store(scores(first + r) + i * kLanes / 2, narrow_bf16_native(p[r][i]));
        else
          store(scores(first + r) + i * kLanes, p[r][i]);
      }
      store(state, sum);
    }
  }

  /// state = state * correction + P V, panel by panel.
  FSA_INLINE void accumulate(const TileRows& rows, const float* correction) const {
    const int vectors = value_vectors(t()), width = panel_width(vectors, t().nr), whole = vectors / width * width;
#pragma clang loop unroll(disable)
    for (int c = 0; c < whole; c += width) accumulate_panel(rows, c, width, correction);
    if (whole < vectors) accumulate_panel(rows, whole, vectors - whole, correction);
  }

  FSA_INLINE void accumulate_panel(const TileRows& rows, int first, int width, const float* correction) const {
    const int step = panel_rows(t(), width), skip = skipped(rows) / per_word(t().math);
    const int depth = round_up(rows.most_visible, kLanes) / per_word(t().math) - skip;
    const float* panel = values() + first * kLanes * value_words(t()) + skip * width * kLanes;
#pragma clang loop unroll(disable)
    for (int r = 0; r < rows.count; r += step) {
      Accumulators acc;
      FSA_UNROLL
      for (int i = 0; i < step; ++i) {
        FSA_UNROLL
        for (int c = 0; c < width; ++c) acc.v[i][c] = load<F32x16>(rows.state[r + i] + (first + c) * kLanes) * correction[r + i];
      }
      multiply_panel(t().math, step, width, depth, scores(r) + skip, t().shape.block_size, panel, acc);
      FSA_UNROLL
      for (int i = 0; i < step; ++i) {
        FSA_UNROLL
        for (int c = 0; c < width; ++c) store(rows.state[r + i] + (first + c) * kLanes, acc.v[i][c]);
      }
    }
  }

  float scale_log2_;
  float* scratch_;
};

}  // namespace fsa::cpu
