#pragma once
// Owns the pass that lays V out in panels, as shared memory holds them: a tile then comes by a bulk copy per panel, and the conversion
// from bf16 to f16 is paid once.
#include "cuda/hopper/range_plan.cuh"
#include "cuda/launch_order.cuh"
#include "cuda/memory.cuh"
#include "cuda/range_softmax.cuh"

namespace fsa::cuda::hopper {

/// This thread's 16-byte pieces of a block's rows of V, from the tensor to its panels.
template <class T>
class TilePieces {
  using Tile = typename T::VTile;

 public:
  /// Rows that are not in use are zeros.
  FSA_DEVICE void load(const void* matrix, const RowStrides& stride, int head, int first_row, const KeyRange& used) {
    const char* const first = static_cast<const char*>(matrix) + (first_row * stride.token + head * stride.head) * 2;
#pragma unroll
    for (int u = 0; u < kPieces; ++u) {
      const int i = threadIdx.x + u * T::kThreads, row = i / Tile::kChunks, chunk = i % Tile::kChunks;
      pieces_[u] = make_uint4(0, 0, 0, 0);
      const bool exists = first_row + row >= used.begin && first_row + row < used.end;
      if (i < kAll && exists) pieces_[u] = load16_streaming(first + row * stride.token * 2 + chunk * 16);
    }
  }

  /// Orders every 32 columns so that what products leave with a lane are 8 neighbours: column 8q + 2n + e goes to 8n + 2q + e.
  FSA_DEVICE void permute_columns() {
    static_assert(Tile::kChunks % 4 == 0, "four neighbouring threads hold 32 columns");
#pragma unroll
    for (int u = 0; u < kPieces; ++u) {
      unsigned words[4] = {pieces_[u].x, pieces_[u].y, pieces_[u].z, pieces_[u].w};
      quad_transpose(words, threadIdx.x % 32);
      pieces_[u] = make_uint4(words[0], words[1], words[2], words[3]);
    }
  }

  FSA_DEVICE void store(unsigned char* panels, const LaidOutRows<T>& rows) const {
#pragma unroll
    for (int u = 0; u < kPieces; ++u) {
      const int i = threadIdx.x + u * T::kThreads;
      const int row = i / Tile::kChunks, chunk = i % Tile::kChunks;
      const long long panel = rows.offset + (chunk >> 3) * rows.pitch;
      if (i < kAll) *reinterpret_cast<uint4*>(panels + panel + Tile::offset(row, chunk & 7)) = pieces_[u];
    }
  }

  /// Bits of the largest finite magnitude of bf16 numbers.
  FSA_DEVICE unsigned largest() const {
    LargestMagnitude most;
#pragma unroll
    for (int u = 0; u < kPieces; ++u) most.add_finite(pieces_[u]);
    return most.value();
  }

  FSA_DEVICE bool all_finite() const {
    constexpr unsigned kInfinity = T::kF16 ? 0x7c00 : LargestMagnitude::kInfinity;
    unsigned bits = 0;
#pragma unroll
    for (int u = 0; u < kPieces; ++u)
      bits = max(max(max(bits, max_magnitude2(pieces_[u].x)), max(max_magnitude2(pieces_[u].y), max_magnitude2(pieces_[u].z))),
                 max_magnitude2(pieces_[u].w));
    return bits < kInfinity;
  }

  FSA_DEVICE void to_f16(const ValueScale& scale) {
#pragma unroll
    for (int u = 0; u < kPieces; ++u) pieces_[u] = ValueScale::to_f16(pieces_[u], scale.bf16x2());
  }

 private:
  static constexpr int kAll = T::kKeys * Tile::kChunks, kPieces = ceil_div(kAll, T::kThreads);
  uint4 pieces_[kPieces];
};

/// The rows of V that belong to sequences. What others hold must not choose V's scale: they may never have been written.
FSA_DEVICE KeyRange used_rows(const RangeParams& p) {
  const int begin = min(max(__ldg(p.cu_rows), 0), p.total_rows);
  return {begin, min(max(__ldg(p.cu_rows + p.num_seqs), begin), p.total_rows)};
}

/// Lays out, as the block of rows that begins at `to`, the rows of V from `from` on; those that are not in use are zeros.
template <class T>
FSA_DEVICE void lay_out_values(const RangeParams& p, int head, int from, const KeyRange& used, int to) {
  TilePieces<T> v;
  v.load(p.v, p.v_stride, head, from, used);
  ValueScale scale;
  __shared__ unsigned largest;
  if (threadIdx.x == 0) largest = 0;
  const bool finite = __syncthreads_and(v.all_finite());
  if constexpr (!T::kF16) {
    const unsigned mine = __reduce_max_sync(~0u, v.largest());
    if (threadIdx.x % 32 == 0) atomicMax(&largest, mine);
    __syncthreads();
    // Steps of 16, so that blocks of like values share a scale: outputs move when it changes.
    scale.choose(largest);
    scale.field &= ~3;
    v.to_f16(scale);
  }
  if (threadIdx.x == 0) p.v_fields[head * laid_out_blocks<T>(p) + to / T::kKeys] = TileField::of(scale.field, finite).word;
  if constexpr (T::kPermutesColumns) v.permute_columns();
  v.store(p.v_tiles, {p, head, to});
}

/// Lets the kernel that follows take tiles from the first on.
FSA_DEVICE void begin_tiles(const RangeParams& p) {
  if (blockIdx.x == 0 && threadIdx.x == 0) *p.next_tile = 0;
}

/// Grid: Hkv * (ceil(rows of V / keys) + 1).
template <RangeShape kShape, RangeConfig kConfig>
FSA_DEVICE void lay_out_tiles(const RangeParams& p) {
  using T = RangePlan<kShape, kConfig>;
  let_next_launch_start();
  begin_tiles(p);
  const int blocks = laid_out_blocks<T>(p), head = blockIdx.x / blocks, first_row = blockIdx.x % blocks * T::kKeys;
  lay_out_values<T>(p, head, first_row, used_rows(p), first_row);
}

}  // namespace fsa::cuda::hopper
