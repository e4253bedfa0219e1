#pragma once
// Owns the packing of one key block: K transposed and V as they are, in panels that the microkernel streams through.
#include "cpu/element.h"

namespace fsa::cpu {

/// Where a block's first key and value lie, and how far apart the tokens are, in bytes.
struct BlockSource {
  const char* k;
  const char* v;
  long k_stride, v_stride;
};

/// Start of vector `column` in a packed panel array of `depth` words, and the width of the panel it lies in.
struct PanelColumn {
  int offset;
  int width;
};
FSA_INLINE PanelColumn panel_column(int vectors, int nr, int depth, int column) {
  const int width = panel_width(vectors, nr), first = column / width * width;
  const int own = first + width <= vectors ? width : vectors - first;
  return {(first * depth + (column - first)) * kLanes, own};
}

/// Packs words [word, word + 16) of 16 keys from `key` on: reads 16 rows, transposes them, stores 16 columns.
FSA_INLINE void pack_key_square(const TileShape& t, const BlockSource& source, int limit, int key, int word, float* panel, int width) {
  F32x16 rows[kLanes];
  FSA_UNROLL
  for (int i = 0; i < kLanes; ++i) {
    const int row = key + i < limit ? key + i : limit - 1;  // masked later; reading it again keeps unseen keys unread
    rows[i] = load_operand(t, source.k + row * source.k_stride + word * word_bytes(t), key_words(t) - word);
  }
  transpose(rows);
  FSA_UNROLL
  for (int i = 0; i < kLanes; ++i) store(panel + (word + i) * width * kLanes, rows[i]);
}

/// K^T of the first `limit` keys, `keys` [panels][words][width * 16]. Lanes past `limit` repeat its last key.
FSA_INLINE void pack_keys(const TileShape& t, const BlockSource& source, int limit, float* keys) {
  const int words = key_words(t), whole = words / kLanes * kLanes;
#pragma clang loop unroll(disable)
  for (int key = 0; key < limit; key += kLanes) {
    const PanelColumn column = panel_column(key_vectors(t), t.nr, round_up(words, kLanes), key / kLanes);
#pragma clang loop unroll(disable)
    for (int word = 0; word < whole; word += kLanes) pack_key_square(t, source, limit, key, word, keys + column.offset, column.width);
    if (whole < words) pack_key_square(t, source, limit, key, whole, keys + column.offset, column.width);
  }
}

/// One packed row of V for 16 columns, `left` (8 or 16) of them real: a key's values, or those of two keys interleaved.
FSA_INLINE F32x16 load_value_row(const TileShape& t, const BlockSource& source, int limit, int row, int column, int left) {
  const char* v = source.v + column * bytes_of(t.shape.element);
  if (t.math != Math::kBF16Dot) return load_elements(t.shape.element, v + row * source.v_stride, left);
  const U16x16 even = load_halves(v + 2 * row * source.v_stride, left);
  const U16x16 odd = 2 * row + 1 < limit ? load_halves(v + (2 * row + 1) * source.v_stride, left) : U16x16(0);
  return (F32x16)(__builtin_convertvector(even, U32x16) | (__builtin_convertvector(odd, U32x16) << 16));
}

FSA_INLINE void pack_value_column(const TileShape& t, const BlockSource& source, int limit, int column, int left, float* values) {
  const int used = ceil_div(limit, per_word(t.math)), end = round_up(limit, kLanes) / per_word(t.math);
  const PanelColumn place = panel_column(value_vectors(t), t.nr, value_words(t), column);
  float* panel = values + place.offset;
#pragma clang loop unroll(disable)
  for (int row = 0; row < used; ++row) store(panel + row * place.width * kLanes, load_value_row(t, source, limit, row, column * kLanes, left));
#pragma clang loop unroll(disable)
  for (int row = used; row < end; ++row) store(panel + row * place.width * kLanes, splat(0));
}

/// V of the first `limit` keys, zeros up to the next multiple of 16; `values` [panels][words][width * 16].
FSA_INLINE void pack_values(const TileShape& t, const BlockSource& source, int limit, float* values) {
  const int whole = t.shape.head_dim_v / kLanes;
#pragma clang loop unroll(disable)
  for (int column = 0; column < whole; ++column) pack_value_column(t, source, limit, column, kLanes, values);
  if (whole < value_vectors(t)) pack_value_column(t, source, limit, whole, kLanes / 2, values);
}

}  // namespace fsa::cpu
