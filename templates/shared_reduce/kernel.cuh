#pragma once
// Owns the CUDA kernel of shared_reduce: the blocks that many queries of a tile share, attended by all of these at once, and merged
// with the partials of the others.
#include "shared_reduce/merge.cuh"

namespace fsa::shared_reduce {

/// A tile as one unit sees it, for the copy of its rows of Q.
template <class T>
struct UnitPlan {
  static constexpr int kRows = 64, kGroup = T::kGroup, kD = T::kD;
};

/// Where shared_blocks has a tile's steps.
template <class T>
FSA_DEVICE int place_of_tile(const cuda::hopper::TileList<T>& list, const cuda::hopper::RangeTile<T>& tile) {
  return tile.head * list.tiles + tile.first_row / (T::kConsumers * T::kUnitRows);
}

/// The first warpgroup's first three warps: what each row of a tile sees where it is a member, Q, and the partials of each row.
template <class T>
class Finder {
 public:
  FSA_DEVICE Finder(const Params& p, const cuda::hopper::RangeMemory<T>& memory, Tables<T>& tables)
      : p_(p), memory_(memory), tables_(tables) {}

  FSA_DEVICE void run() const {
    const cuda::hopper::TileList<T> list(p_.range);
    int taken = static_cast<int>(blockIdx.x);
#pragma unroll 1
    for (int i = 0, number = 0; number >= 0; ++i) {
      cuda::hopper::RangeTile<T>& tile = tables_.tiles[i & 1];
      barrier(tables_.walk_empty[i & 1]).wait((i >> 1 & 1) ^ 1);
      if (threadIdx.x == 0) {
        if (i > 0) taken = list.take(p_.range.next_tile, taken);
        list.describe(taken, tile);
        if (taken >= 0) tile.all = {0, T::kParts * __ldg(p_.shared_count + place_of_tile(list, tile))};
      }
      cuda::hopper::sync_named<1, T::kFinders>();
      number = tile.number;
      const int head = tile.head, first_row = tile.first_row;
      if (number >= 0) find(first_row, tile);
      cuda::hopper::sync_named<1, T::kFinders>();
      if (threadIdx.x == 0) barrier(tables_.walk_full[i & 1]).arrive();
      barrier(tables_.q_empty).wait((i & 1) ^ 1);
#pragma unroll 1
      for (int unit = 0; unit < T::kConsumers && number >= 0; ++unit)
        cuda::copy_queries<UnitPlan<T>, typename T::QTile, T::kFinders, 2>(p_.range, head, first_row + unit * T::kUnitRows,
                                                                           memory_.tiles + unit * 64 * 128);
      barrier(tables_.q_full).arrive_after_copies();
      if (threadIdx.x == 0) barrier(tables_.q_full).arrive();
      barrier(tables_.list_empty[i & 1]).wait((i >> 1 & 1) ^ 1);
      if (number >= 0) list_partials(head, first_row / T::kGroup, tables_.lists[i & 1]);
      barrier(tables_.list_full[i & 1]).arrive();
    }
  }

 private:
  using Lanes = partial_reduce::RowLanes<T::kMergeShape>;

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
        row = {cuda::first_cell<T::kBlock>(sequence.k_begin, b) * T::kBlock, max(0, sequence.position(token) + 1)};
      }
      tile.rows[in_tile] = row;
    }
  }

  /// Lists the partials of a tile's queries, whose first is `first_token`. Several trips to memory are under way at once.
  FSA_DEVICE void list_partials(int head, int first_token, List<T>& list) const {
    constexpr int kQueries = T::kFinders / 32 * Lanes::kRows, kRounds = ceil_div(T::kTileTokens, kQueries), kMost = 6 / Lanes::kEach;
    constexpr int kAhead = kRounds < kMost ? kRounds : kMost;
    const int lane = threadIdx.x % 32, query = threadIdx.x / 32 * Lanes::kRows + lane / Lanes::kWidth;
    const int* const positions = p_.merged.entry_position + (static_cast<long long>(head) * p_.range.total_q + first_token) * T::kTopk;
#pragma unroll 1
    for (int first = 0; first < T::kTileTokens; first += kQueries * kAhead) {
      int entry[kAhead][Lanes::kEach];
#pragma unroll
      for (int u = 0; u < kAhead; ++u)
#pragma unroll
        for (int i = 0; i < Lanes::kEach; ++i) {
          const int in_tile = first + query + u * kQueries, slot = i * Lanes::kWidth + lane % Lanes::kWidth;
          const bool exists = in_tile < T::kTileTokens && first_token + in_tile < p_.range.total_q && slot < T::kTopk;
          entry[u][i] = exists ? __ldg(positions + in_tile * T::kTopk + slot) : -1;
        }
#pragma unroll
      for (int u = 0; u < kAhead; ++u) list_query(first + query + u * kQueries, entry[u], list, lane);
    }
  }

  FSA_DEVICE void list_query(int in_tile, const int (&entries)[Lanes::kEach], List<T>& list, int lane) const {
    int before = 0;
#pragma unroll
    for (int i = 0; i < Lanes::kEach; ++i) {
      const int entry = entries[i];
      const unsigned listed = Lanes::lanes_where(entry >= 0, lane);
      const int place = before + __popc(listed & ((1u << lane % Lanes::kWidth) - 1));
      before += __popc(listed);
      if (entry >= 0) list.entry[in_tile][place] = entry;
    }
    if (in_tile < T::kTileTokens && lane % Lanes::kWidth == 0) list.count[in_tile] = before;
  }

  const Params& p_;
  cuda::hopper::RangeMemory<T> memory_;
  Tables<T>& tables_;
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
    for (int i = 0;; ++i) {
      barrier(tables_.walk_full[i & 1]).wait(i >> 1 & 1);
      const cuda::hopper::RangeTile<T>& tile = tables_.tiles[i & 1];
      const int number = cuda::uniform(tile.number), head = tile.head;
      if (number < 0) return;
      const int count = cuda::uniform(tile.all.steps) / T::kParts;
      const int* const steps = p_.shared_steps + static_cast<long long>(place_of_tile(list, tile)) * (T::kTileSlots * T::kStepWords);
#pragma unroll 1
      for (int first = 0; first < count; first += 32) copy_steps(head, steps + first * T::kStepWords, min(32, count - first));
      barrier(tables_.walk_empty[i & 1]).arrive();
    }
  }

 private:
  /// Up to 32 steps: a lane loads one of them, for a load by load would take longer than the steps.
  FSA_DEVICE void copy_steps(int head, const int* steps, int count) {
    int word[T::kStepWords]{}, fields[T::kParts]{};
    if (lane_ < count) {
#pragma unroll
      for (int w = 0; w < T::kStepWords; ++w) word[w] = __ldg(steps + lane_ * T::kStepWords + w);
      const int* const first = p_.range.v_fields + head * cuda::hopper::laid_out_blocks<T>(p_.range) + word[0] * T::kParts;
#pragma unroll
      for (int part = 0; part < T::kParts; ++part) fields[part] = __ldg(first + part);
    }
#pragma unroll 1
    for (int s = 0; s < count; ++s) {
      const int cell = __shfl_sync(~0u, word[0], s), row = __shfl_sync(~0u, word[1], s), keys = __shfl_sync(~0u, word[2], s);
      unsigned members[2 * T::kConsumers];
#pragma unroll
      for (int w = 0; w < 2 * T::kConsumers; ++w) members[w] = __shfl_sync(~0u, word[3 + w], s);
#pragma unroll
      for (int part = 0; part < T::kParts; ++part) {
        const int first = cell * T::kBlock + part * T::kKeys, seen = max(keys - part * T::kKeys, 0);
        const cuda::hopper::TileField scale{__shfl_sync(~0u, fields[part], s)};
        const auto step = cuda::hopper::RangeStep::of<T>(first, {first, first + seen}, scale.exponent());
        this->copy(head, row + part * T::kKeys, first, step, scale, scale, [&](int stage) {
#pragma unroll
          for (int unit = 0; unit < T::kConsumers; ++unit)
            tables_.unit_steps[stage][unit] = {step, make_uint2(members[2 * unit], members[2 * unit + 1])};
        });
      }
    }
  }

  const Params& p_;
  cuda::hopper::RangeTables<T>& tables_;
  int lane_;
};

/// Grid: any number of thread blocks up to Hkv * X: they take tiles one after the other.
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  using T = Plan<kShape, kConfig>;
  extern __shared__ __align__(1024) unsigned char smem[];
  static_assert(sizeof(Tables<T>) <= kConfig.table_bytes(kShape), "the plan and the tables must agree");
  constexpr int kTables = kConfig.range(kShape).table_offset(range_shape(kShape));
  Tables<T>& tables = *reinterpret_cast<Tables<T>*>(smem + kTables);
  const cuda::hopper::RangeMemory<T> memory{cuda::smem_address(smem), tables};
  if (threadIdx.x == 0) {
    memory.init();
    tables.init();
  }
  __syncthreads();
  if (threadIdx.x < T::kCopiers) {
    cuda::hopper::give_registers<T::kProducerRegisters>();
    if (threadIdx.x < T::kFinders)
      Finder<T>(p, memory, tables).run();
    else
      Feeder<T>(p, memory).run();
  } else {
    cuda::hopper::take_registers<T::kConsumerRegisters>();
    Merger<T>(p, memory, tables, cuda::smem_address(smem + kConfig.warps_offset(kShape))).run();
  }
}

}  // namespace fsa::shared_reduce
