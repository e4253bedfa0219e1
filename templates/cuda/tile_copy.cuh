#pragma once
// Owns the background copy of rows of a packed tensor to a shared-memory tile.
#include "cuda/memory.cuh"
#include "cuda/smem_tile.h"
#include "strides.h"

namespace fsa::cuda {

/// Starts the copy of rows [begin, begin + kRows) of kColumns columns of one head by kThreads threads; rows from `end` on
/// and columns past kColumns are zeros. Piece u of a thread is chunk number threadIdx.x + u * kThreads of the tile.
template <class Tile, int kColumns, int kRows, int kThreads>
FSA_DEVICE void copy_rows(const void* matrix, const RowStrides& stride, int head, int begin, int end, unsigned tile) {
  const char* const first = static_cast<const char*>(matrix) + (begin * stride.token + head * stride.head) * 2;
#pragma unroll 4
  for (int i = threadIdx.x; i < kRows * Tile::kChunks; i += kThreads) {
    const int row = i / Tile::kChunks, chunk = i % Tile::kChunks;
    const bool exists = begin + row < end && chunk < kColumns / 8;
    copy16_async_or_zero(tile + Tile::offset(row, chunk), exists ? first + row * stride.token * 2 + chunk * 16 : matrix, exists);
  }
}

}  // namespace fsa::cuda
