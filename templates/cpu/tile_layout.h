#pragma once
// Owns the sizes of a CPU tile: rows, vectors, panels and the scratch they take. Clean for host compilers and bitcode.
#include "selected_shape.h"

namespace fsa::cpu {

/// The multiply-add that the microkernel is built from.
enum class Math : int {
  kF32,      ///< fp32 fused multiply-add on operands widened to fp32
  kBF16Dot,  ///< vdpbf16ps: two bf16 products per lane, accumulated in fp32; bf16 inputs only
};

inline constexpr int kLanes = 16;     ///< fp32 lanes of a vector: one zmm, or two ymm
inline constexpr int kTileRows = 48;  ///< query rows that share a pass over a block: a multiple of 16 and of every legal mr
inline constexpr int kMaxRows = 12;   ///< of a microkernel
inline constexpr int kMaxWidth = 6;   ///< vectors of a microkernel
inline constexpr int kMaxKeyVectors = 8;  ///< of a block's keys

/// A kernel's shape and the tile it computes with, as one value.
struct TileShape {
  SelectedShape shape;
  Math math;
  int mr;  ///< rows of the microkernel's accumulators
  int nr;  ///< 16-lane vectors in each of its rows
};

constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }
constexpr int round_up(int a, int b) { return ceil_div(a, b) * b; }

/// Elements that travel in one 32-bit word through the multiply-add.
constexpr int per_word(Math math) { return math == Math::kBF16Dot ? 2 : 1; }

/// Vectors per panel when `vectors` columns are cut into as few and as even panels as `nr` allows: 5 by 4 gives 3 + 2.
constexpr int panel_width(int vectors, int nr) { return ceil_div(vectors, ceil_div(vectors, nr)); }

/// Rows of the microkernel for a panel of `width` vectors: narrow panels take more rows, to keep as many sums in flight.
constexpr int panel_rows(const TileShape& t, int width) {
  constexpr int kTaller[] = {12, 8, 6};
  for (int rows : kTaller)
    if (rows > t.mr && rows * width <= t.mr * t.nr) return rows;
  return t.mr;
}

constexpr int key_words(const TileShape& t) { return t.shape.head_dim / per_word(t.math); }     ///< depth of Q K^T
constexpr int value_words(const TileShape& t) { return t.shape.block_size / per_word(t.math); }  ///< depth of P V
constexpr int key_vectors(const TileShape& t) { return t.shape.block_size / kLanes; }            ///< columns of Q K^T
constexpr int value_vectors(const TileShape& t) { return ceil_div(t.shape.head_dim_v, kLanes); } ///< columns of P V

/// The running state of a row, in fp32: its unnormalised output, 16 partial sums of its exponentials, the reference that
/// both are relative to (2^reference), and the largest logit so far in units of log2; 14 floats unused.
constexpr int state_sum(const TileShape& t) { return value_vectors(t) * kLanes; }
constexpr int state_reference(const TileShape& t) { return state_sum(t) + kLanes; }
constexpr int state_max(const TileShape& t) { return state_reference(t) + 1; }
constexpr int state_floats(const TileShape& t) { return state_reference(t) + kLanes; }

/// Offsets, in 32-bit words, of a worker's tile buffers; each a multiple of 16, so that vectors stay aligned.
struct TileLayout {
  int keys;    ///< [panels][head_dim words, up to 16 more][width * 16]: K^T of the block
  int values;  ///< [panels][block_size words][width * 16]: V of the block
  int query;   ///< [kTileRows][query_stride]
  int scores;  ///< [kTileRows][block_size]: logits, then probabilities in place
  int spare;   ///< [state_floats]: stands in for the rows that a tile lacks
  int end;
  int query_stride;
};

constexpr TileLayout tile_layout(const TileShape& t) {
  TileLayout l{};
  l.query_stride = round_up(key_words(t), kLanes);
  l.values = l.keys + key_vectors(t) * kLanes * round_up(key_words(t), kLanes);
  l.query = l.values + value_vectors(t) * kLanes * value_words(t);
  l.scores = l.query + kTileRows * l.query_stride;
  l.spare = l.scores + kTileRows * t.shape.block_size;
  l.end = l.spare + state_floats(t);
  return l;
}

}  // namespace fsa::cpu
