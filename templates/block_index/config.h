#pragma once
// Owns the CUDA Config of block_index and what follows from it. Clean for host and NVRTC.
#include "cuda/device.h"
#include "selected_shape.h"

namespace fsa::block_index {

struct Config {
  int warps = 8;             ///< per thread block, which counts and fills one segment of queries
  int segment_tokens = 256;  ///< queries per segment, at least; more where the counts would outgrow the index itself

  int chunk_mib = 32;  ///< MiB of Q rows of one kv head whose work items run together, at least kLeastChunkMib

  static constexpr int kLeastChunkMib = 32;
  /// Cells that a thread block marks at a time: all of them in most problems, in several passes for very long contexts.
  static constexpr int kPassCells = 2688;
  /// Entries that a thread block of fill sorts before it stores them.
  static constexpr int kSortedEntries = 2048;

  /// Queries of a segment that are marked at a time, a bit each: words of 32.
  FSA_HOST_DEVICE static constexpr int step_words(const SelectedShape& s) {
    const int words = kSortedEntries / s.topk / 32;
    return words < 1 ? 1 : words > 4 ? 4 : words;
  }
  FSA_HOST_DEVICE static constexpr int step_tokens(const SelectedShape& s) { return 32 * step_words(s); }
  /// Whether fill sorts: all entries of a step fit.
  FSA_HOST_DEVICE static constexpr bool sorts(const SelectedShape& s) { return step_tokens(s) * s.topk <= kSortedEntries; }

  FSA_HOST_DEVICE constexpr int threads() const { return 32 * warps; }
  /// 64 registers; 16 warps need more.
  FSA_HOST_DEVICE constexpr int min_blocks() const { return warps < 16 ? 32 / warps : 1; }
  /// Cells that one thread block of scan_cells numbers.
  FSA_HOST_DEVICE constexpr int tile_cells() const { return threads(); }
  /// Shared memory of fill for a pass over `cells` cells: marks and three words per cell, one per sorted entry.
  FSA_HOST_DEVICE static constexpr int fill_bytes(const SelectedShape& s, int cells) {
    return (step_words(s) + 3) * 4 * (cells < kPassCells ? cells : kPassCells) + (sorts(s) ? 4 * kSortedEntries : 0);
  }
  /// Of histogram: marks and a number per cell.
  FSA_HOST_DEVICE static constexpr int histogram_bytes(const SelectedShape& s, int cells) {
    return (step_words(s) + 1) * 4 * (cells < kPassCells ? cells : kPassCells);
  }
  /// The most that any problem takes.
  FSA_HOST_DEVICE constexpr int smem_bytes(const SelectedShape& s) const { return fill_bytes(s, kPassCells); }
};

}  // namespace fsa::block_index
