#pragma once
// Owns the CUDA kernels of shared_attention: the blocks that many queries of a tile share, attended by all of these at once.
#include "cuda/hopper/range_attention.cuh"
#include "cuda/hopper/range_tiles.cuh"
#include "shared_attention/config.h"
#include "shared_attention/params.h"

namespace fsa::shared_attention {

using cuda::hopper::barrier;

/// Attention over ranges whose steps have members.
template <Shape kShape, Config kConfig>
struct Plan : cuda::hopper::RangePlan<range_shape(kShape), kConfig.range(kShape)> {
  static constexpr bool kMembers = true, kHoldsQueries = kConfig.holds_queries(kShape);
  static constexpr int kUnitRows = shared_blocks::unit_tokens(kShape.group) * kShape.group;
  static constexpr int kTileSlots = shared_blocks::tile_tokens(kShape.group) * kShape.topk;
};

/// The same as one unit sees it, for the copy of its rows of Q.
template <class T>
struct UnitPlan {
  static constexpr int kRows = 64, kGroup = T::kGroup, kD = T::kD;
};

/// Number of a thread block's tile i, of all heads.
template <class T>
FSA_DEVICE int tile_number(const cuda::hopper::TileList<T>& list, int i) {
  return list.head(i) * list.tiles + list.first_row(i) / (T::kConsumers * T::kUnitRows);
}

/// The first warpgroup's first three warps: what each row of a tile sees where it is a member, and Q.
template <class T>
class Finder {
 public:
  FSA_DEVICE Finder(const Params& p, const cuda::hopper::RangeMemory<T>& memory) : p_(p), memory_(memory), tables_(memory.tables) {}

  FSA_DEVICE void run() const {
    const cuda::hopper::TileList<T> list(p_.range);
#pragma unroll 1
    for (int i = 0; list.has(i); ++i) {
      barrier(tables_.walk_empty[i & 1]).wait((i >> 1 & 1) ^ 1);
      find(list.first_row(i), tables_.tiles[i & 1]);
      if (threadIdx.x == 0) tables_.tiles[i & 1].all = {0, __ldg(p_.shared_count + tile_number(list, i))};
      cuda::hopper::sync_named<1, T::kFinders>();
      if (threadIdx.x == 0) barrier(tables_.walk_full[i & 1]).arrive();
      barrier(tables_.q_empty).wait((i & 1) ^ 1);
#pragma unroll 1
      for (int unit = 0; unit < T::kConsumers; ++unit)
        cuda::copy_queries<UnitPlan<T>, typename T::QTile, T::kFinders, 2>(p_.range, list.head(i), list.first_row(i) + unit * T::kUnitRows,
                                                                           memory_.tiles + unit * 64 * 128);
      barrier(tables_.q_full).arrive_after_copies();
      if (threadIdx.x == 0) barrier(tables_.q_full).arrive();
    }
  }

 private:
  /// A row sees its sequence from the first key to its own.
  FSA_DEVICE void find(int first_row, cuda::hopper::RangeTile<T>& tile) const {
#pragma unroll 1
    for (int in_tile = threadIdx.x; in_tile < T::kRows; in_tile += T::kFinders) {
      const int token = (first_row + in_tile / 64 * T::kUnitRows + in_tile % 64) / T::kGroup;
      const RangeParams& p = p_.range;
      const int b = cuda::last_not_above(p.num_seqs, token, [&](int x) { return __ldg(p.cu_q + x); });
      cuda::RowRange row{0, 0};
      if (b >= 0) {
        const cuda::Sequence sequence = cuda::load_sequence(p.cu_q, p.cu_k, b);
        row = {cuda::first_cell<T::kKeys>(sequence.k_begin, b) * T::kKeys, max(0, sequence.position(token) + 1)};
      }
      tile.rows[in_tile] = row;
    }
  }

  const Params& p_;
  cuda::hopper::RangeMemory<T> memory_;
  cuda::hopper::RangeTables<T>& tables_;
};

/// The first warpgroup's last warp: it fills the stages with the blocks of the tiles' steps.
template <class T>
class Feeder : cuda::hopper::RangeFeeder<T> {
 public:
  FSA_DEVICE Feeder(const Params& p, const cuda::hopper::RangeMemory<T>& memory)
      : cuda::hopper::RangeFeeder<T>(p.range, memory), p_(p), tables_(memory.tables), lane_(threadIdx.x % 32) {}

  FSA_DEVICE void run() {
    const cuda::hopper::TileList<T> list(p_.range);
#pragma unroll 1
    for (int i = 0; list.has(i); ++i) {
      barrier(tables_.walk_full[i & 1]).wait(i >> 1 & 1);
      const int count = __shfl_sync(~0u, tables_.tiles[i & 1].all.steps, 0);
      const int* const steps = p_.shared_steps + static_cast<long long>(tile_number(list, i)) * (T::kTileSlots * shared_blocks::kStepWords);
#pragma unroll 1
      for (int first = 0; first < count; first += 32)
        copy_steps(list.head(i), steps + first * shared_blocks::kStepWords, min(32, count - first));
      barrier(tables_.walk_empty[i & 1]).arrive();
    }
  }

 private:
  /// Up to 32 steps: a lane loads one of them, for a load by load would take longer than the steps.
  FSA_DEVICE void copy_steps(int head, const int* steps, int count) {
    int word[shared_blocks::kStepWords]{}, field = 0;
    if (lane_ < count) {
#pragma unroll
      for (int w = 0; w < shared_blocks::kStepWords; ++w) word[w] = __ldg(steps + lane_ * shared_blocks::kStepWords + w);
      field = __ldg(p_.range.v_fields + head * cuda::hopper::laid_out_blocks<T>(p_.range) + word[0]);
    }
#pragma unroll 1
    for (int s = 0; s < count; ++s) {
      const int cell = __shfl_sync(~0u, word[0], s), keys = __shfl_sync(~0u, word[1], s);
      const cuda::hopper::TileField scale{__shfl_sync(~0u, field, s)};
      unsigned members[4];
#pragma unroll
      for (int w = 0; w < 4; ++w) members[w] = __shfl_sync(~0u, word[2 + w], s);
      const auto step = cuda::hopper::RangeStep::of<T>(cell * T::kKeys, {cell * T::kKeys, cell * T::kKeys + keys}, scale.exponent());
      this->copy(head, cell * T::kKeys, step, scale, scale, [&](int stage) {
        tables_.members[stage][0] = make_uint2(members[0], members[1]);
        tables_.members[stage][1] = make_uint2(members[2], members[3]);
      });
    }
  }

  const Params& p_;
  cuda::hopper::RangeTables<T>& tables_;
  int lane_;
};

/// Grid: 2 * Hkv * C. Lays K and V out, a block per cell.
template <Shape kShape, Config kConfig>
FSA_DEVICE void prepare(const Params& p) {
  using T = Plan<kShape, kConfig>;
  const int head = blockIdx.x / 2 / p.cells, cell = blockIdx.x / 2 % p.cells;
  const int b = cuda::last_not_above(p.range.num_seqs, cell, [&](int x) { return cuda::first_cell<T::kKeys>(__ldg(p.range.cu_k + x), x); });
  const auto row = [&](int x) { return min(max(x, 0), p.range.total_k); };
  int begin = 0, end = 0;
  if (b >= 0) {
    const int first = row(__ldg(p.range.cu_k + b)), block = cell - cuda::first_cell<T::kKeys>(first, b);
    begin = row(first + block * T::kKeys);
    end = row(min(__ldg(p.range.cu_k + b + 1), begin + T::kKeys));
  }
  cuda::hopper::lay_out_block<T>(p.range, head, begin, {begin, end}, cell * T::kKeys);
}

/// Grid: ceil(Hkv * X / tiles).
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  using T = Plan<kShape, kConfig>;
  extern __shared__ __align__(1024) unsigned char smem[];
  static_assert(sizeof(cuda::hopper::RangeTables<T>) <= kConfig.table_bytes(kShape), "the plan and the tables must agree");
  constexpr int kTables = kConfig.range(kShape).table_offset(range_shape(kShape));
  const cuda::hopper::RangeMemory<T> memory{cuda::smem_address(smem), *reinterpret_cast<cuda::hopper::RangeTables<T>*>(smem + kTables)};
  if (threadIdx.x == 0) memory.init();
  __syncthreads();
  if (threadIdx.x < T::kCopiers) {
    cuda::hopper::give_registers<T::kProducerRegisters>();
    if (threadIdx.x < T::kFinders)
      Finder<T>(p, memory).run();
    else
      Feeder<T>(p, memory).run();
  } else {
    cuda::hopper::take_registers<T::kConsumerRegisters>();
    cuda::hopper::RangeConsumer<T>(p.range, memory).run();
  }
}

}  // namespace fsa::shared_attention
