#pragma once
// Owns the compile-time part of a block selection, and the rule of what a query sees, must take and may choose.
// Clean for host compilers, NVRTC and bitcode.
#include "cuda/device.h"
#include "selected_shape.h"

namespace fsa::select_blocks {

/// The dimensions kernels are specialised on; every member is one 32-bit word.
struct Shape {
  Element element;   ///< of q and ck (kF32: CPU only)
  int head_dim;      ///< D: 16..256, a multiple of 8
  int group;         ///< g = Hq / Hkv, any positive integer
  int kernel_size;   ///< l: tokens that a compressed key covers
  int stride;        ///< s: tokens from one compressed key to the next; divides l and the block size
  int block_size;    ///< keys per selection block
  int topk;          ///< T: slots of block_indices per (kv head, query)
  int init_blocks;   ///< first blocks of the sequence that every query takes
  int local_blocks;  ///< most recent blocks that every query takes, its own included

  /// a: compressed keys that start in a block.
  FSA_HOST_DEVICE constexpr int keys_per_block() const { return block_size / stride; }
  /// c: strides that a compressed key covers.
  FSA_HOST_DEVICE constexpr int span() const { return kernel_size / stride; }
  /// Compressed keys that overlap a block: c - 1 that start before it, then its own.
  FSA_HOST_DEVICE constexpr int band() const { return keys_per_block() + span() - 1; }
  /// w[o]: stride-wide pieces that compressed key a*j - (c-1) + o and block j have in common.
  FSA_HOST_DEVICE constexpr int weight(int o) const {
    const int rising = o + 1, falling = band() - o, most = keys_per_block() < span() ? keys_per_block() : span();
    const int slope = rising < falling ? rising : falling;
    return slope < most ? slope : most;
  }
  /// Compressed keys before a tile of `keys` that blocks finished by the tile still need.
  FSA_HOST_DEVICE constexpr int halo(int keys) const { return span() - 1 + (keys % keys_per_block() == 0 ? 0 : keys_per_block() - 1); }
  /// Most blocks that a tile of `keys` finishes.
  FSA_HOST_DEVICE constexpr int blocks_per_tile(int keys) const { return keys / keys_per_block() + (keys % keys_per_block() == 0 ? 0 : 1); }

  FSA_HOST_DEVICE constexpr int forced() const { return init_blocks + local_blocks; }
  /// True where more blocks are forced than there are slots: they compete, and no other block has a chance.
  FSA_HOST_DEVICE constexpr bool forced_compete() const { return forced() > topk; }
  /// Blocks that a query with more than `topk` blocks before it chooses by score.
  FSA_HOST_DEVICE constexpr int choices() const { return forced_compete() ? topk : topk - forced(); }

  /// The block of a query at `position`; -1 for a query before its sequence's first key.
  FSA_HOST_DEVICE constexpr int own_block(int position) const { return position < 0 ? -1 : position / block_size; }
  /// Compressed keys that a query at `position` sees: the first so many of `len_c`.
  FSA_HOST_DEVICE constexpr int visible_keys(int position, int len_c) const {
    const int whole = position < kernel_size - 1 ? 0 : (position - (kernel_size - 1)) / stride + 1;
    return whole < len_c ? whole : len_c;
  }
  /// End of the blocks that a query with own block `own` may choose by score; 0 where no score matters to it: all its
  /// blocks fit, or all slots are forced.
  FSA_HOST_DEVICE constexpr int choice_end(int own) const {
    if (own < topk || choices() == 0) return 0;
    return forced_compete() ? own + 1 : own + 1 - local_blocks;
  }
  /// Whether it may choose block `j`, 0 <= j < choice_end(own).
  FSA_HOST_DEVICE constexpr bool may_choose(int j, int own) const {
    const bool is_first = j < init_blocks;
    return forced_compete() ? is_first || j > own - local_blocks : !is_first;
  }
};

/// Scores are kept times 2^60: probabilities down to 2^-186 stay apart, and sums over any sensible group stay finite.
constexpr float kScoreShift = 60.0f;

}  // namespace fsa::select_blocks
