#pragma once
// Owns the layout of 16-bit matrices in shared memory: rows of 16-byte chunks that ldmatrix reads without bank conflicts.
#include "cuda/device.h"

namespace fsa::cuda {

/// Bytes from one row of a tile to the next; `columns` is a multiple of 16. Rows of whole 128-byte lines are swizzled
/// in place. Others get one more chunk: an odd number of chunks spreads 8 rows over all banks as well.
FSA_HOST_DEVICE constexpr int tile_pitch(int columns) { return columns % 64 == 0 ? columns * 2 : columns * 2 + 16; }
/// Bytes of a tile: a multiple of 256 for the multiples of 16 rows that kernels use, so tiles may follow one another.
FSA_HOST_DEVICE constexpr int tile_bytes(int rows, int columns) { return rows * tile_pitch(columns); }

/// Bytes of a tile as warpgroups read it (cuda/hopper/wgmma.cuh): panels of 64 columns, whatever the columns.
FSA_HOST_DEVICE constexpr int panel_bytes(int rows, int columns) { return rows * 128 * ceil_div(columns, 64); }

#if defined(__CUDACC__)

template <int kColumns>
struct SmemTile {
  static_assert(kColumns % 16 == 0, "a tile is cut into 16-column steps of the matrix instruction");
  static constexpr bool kSwizzled = kColumns % 64 == 0;
  static constexpr int kPitch = tile_pitch(kColumns);
  static constexpr int kChunks = kColumns / 8;

  /// Byte offset of 16-byte chunk `chunk` of `row`.
  static FSA_DEVICE unsigned offset(int row, int chunk) { return row * kPitch + ((kSwizzled ? chunk ^ (row & 7) : chunk) << 4); }
  /// From the address of chunk 0 or 1 of a row to that of the chunk `chunks` (even, constant) further on. The tile starts
  /// at a multiple of 128 bytes, so the swizzle is an exclusive or of address bits 4 to 6.
  static FSA_DEVICE unsigned advance(unsigned address, int chunks) {
    return kSwizzled ? (address ^ ((chunks & 7) << 4)) + (chunks >> 3) * 128 : address + chunks * 16;
  }
};

#endif

}  // namespace fsa::cuda
