#pragma once
// Owns the CUDA kernel that finds the blocks which many queries of a tile share, and lays V out for their attention.
#include "cuda/cell_finder.cuh"
#include "cuda/slots.cuh"
#include "shared_blocks/config.h"
#include "shared_blocks/params.h"
#include "shared_blocks/value_layout.cuh"

namespace fsa::shared_blocks {

/// The blocks of a tile and who chose them, in shared memory. Where a block stands depends on the order of threads; what is said of it
/// does not.
template <Shape kShape>
class BlockTable {
 public:
  static constexpr int kPlaces = Config::places(kShape), kUnits = TileShape::of(kShape).units, kWords = 2 * kUnits;

  FSA_DEVICE explicit BlockTable(int* smem) : cells_(smem), members_(reinterpret_cast<unsigned*>(smem + kPlaces)) {}
  FSA_DEVICE int* end() const { return cells_ + (1 + kWords) * kPlaces; }

  FSA_DEVICE void clear(int thread, int threads) const {
    for (int i = thread; i < kPlaces; i += threads) cells_[i] = kFree;
    for (int i = thread; i < kWords * kPlaces; i += threads) members_[i] = 0;
  }
  /// Query `token` of the tile chose `cell`; gives its place.
  FSA_DEVICE int add(int cell, int token) const {
    int place = first_place(cell);
    while (true) {
      const int found = atomicCAS(cells_ + place, kFree, cell);
      if (found == kFree || found == cell) break;
      place = next_place(place);
    }
    atomicOr(members_ + word_of(token) * kPlaces + place, 1u << bit_of(token));
    return place;
  }
  /// Whether the members that are left at a place hold `token`.
  FSA_DEVICE bool has(int place, int token) const { return members(place, word_of(token)) >> bit_of(token) & 1; }
  FSA_DEVICE int cell(int place) const { return cells_[place]; }
  FSA_DEVICE unsigned members(int place, int word) const { return members_[word * kPlaces + place]; }
  /// Leaves the members of a block that is shared by kConfig.min_queries at least, those of each unit where they are enough; whether
  /// any are left.
  template <Config kConfig>
  FSA_DEVICE bool keep(int place) const {
    int queries[kUnits], all = 0;
#pragma unroll
    for (int unit = 0; unit < kUnits; ++unit) {
      queries[unit] = __popc(members(place, 2 * unit)) + __popc(members(place, 2 * unit + 1));
      if (queries[unit] < kConfig.min_unit_queries()) queries[unit] = 0;
      all += queries[unit];
    }
#pragma unroll
    for (int unit = 0; unit < kUnits; ++unit)
      if (all < kConfig.min_queries || queries[unit] == 0)
        members_[2 * unit * kPlaces + place] = members_[(2 * unit + 1) * kPlaces + place] = 0;
    return all >= kConfig.min_queries;
  }
  /// The units that have members at a place, a bit each.
  FSA_DEVICE unsigned units(int place) const {
    unsigned mask = 0;
#pragma unroll
    for (int unit = 0; unit < kUnits; ++unit)
      if ((members(place, 2 * unit) | members(place, 2 * unit + 1)) != 0) mask |= 1u << unit;
    return mask;
  }
  /// The last query of the tile among the members of a place that has some.
  FSA_DEVICE int last_member(int place) const {
    int last = 0;
#pragma unroll
    for (int word = 0; word < kWords; ++word)
      if (const unsigned bits = members(place, word)) last = word / 2 * kUnitTokens + word % 2 * 32 + 31 - __clz(bits);
    return last;
  }

 private:
  static constexpr int kFree = -1, kUnitTokens = unit_tokens(kShape.group);

  FSA_DEVICE static int first_place(int cell) { return __umulhi(static_cast<unsigned>(cell) * 2654435761u, kPlaces); }
  FSA_DEVICE static int next_place(int place) { return place + 1 == kPlaces ? 0 : place + 1; }
  FSA_DEVICE static int word_of(int token) { return token / kUnitTokens * 2 + token % kUnitTokens / 32; }
  FSA_DEVICE static int bit_of(int token) { return token % kUnitTokens % 32; }

  int* cells_;         // [places]
  unsigned* members_;  // [words, places]
};

/// Keys of a block that a query sees, the first ones, and the row of k that they begin at.
struct SeenKeys {
  int row, count;
};

/// Of the block in `cell`, by query `token`. Whatever cu_q and cu_k hold, the count is a block's at most; the row may be outside of k then,
/// which copies of boxes bear.
template <int kBlockSize>
FSA_DEVICE SeenKeys seen_keys(const Params& p, int cell, int token) {
  const int b = cuda::last_not_above(p.num_seqs, token, [&](int x) { return __ldg(p.cu_q + x); });
  if (b < 0) return {0, 0};
  const cuda::Sequence sequence = cuda::load_sequence(p.cu_q, p.cu_k, b);
  const int block = cell - cuda::first_cell<kBlockSize>(sequence.k_begin, b);
  return {sequence.k_begin + block * kBlockSize, min(max(sequence.position(token) + 1 - block * kBlockSize, 0), kBlockSize)};
}

/// Slots that a thread takes at a time: no more than leave all threads some.
template <Shape kShape, Config kConfig>
constexpr int kSlotsAtOnce = cuda::slots_at_once(kShape.topk, Config::slots(kShape) / kConfig.threads());

/// Calls visit(slot, token, blocks) for the slots of a tile of `tokens` queries, kSlotsAtOnce neighbours at a time, this thread's among
/// them; tokens ascend. All are counted from the tile's first. Four numbers are in flight.
template <Shape kShape, Config kConfig, class Visit>
FSA_DEVICE void for_each_slot(const int* blocks, int tokens, Visit visit) {
  constexpr int kCount = kSlotsAtOnce<kShape, kConfig>, kStride = kConfig.threads() * kCount, kAhead = 4 / kCount;
  const bool aligned = cuda::are_aligned<kCount>(blocks);
  const int end = tokens * kShape.topk;
#pragma unroll 1
  for (int first = static_cast<int>(threadIdx.x) * kCount; first < end; first += kAhead * kStride) {
    int chosen[kAhead][kCount];
#pragma unroll
    for (int u = 0; u < kAhead; ++u)
      if (const int slot = first + u * kStride; slot < end) cuda::load_slots(chosen[u], blocks + slot, aligned);
#pragma unroll
    for (int u = 0; u < kAhead; ++u)
      if (const int slot = first + u * kStride; slot < end) visit(slot, slot / kShape.topk, chosen[u]);
  }
}

/// Finds the steps of tile `number` of all heads' tiles.
template <Shape kShape, Config kConfig>
FSA_DEVICE void find_steps(const Params& p, int number) {
  constexpr int kThreads = kConfig.threads(), kSlots = Config::slots(kShape);
  constexpr int kTokens = TileShape::of(kShape).tokens(), kStepWords = TileShape::of(kShape).step_words();
  constexpr unsigned short kNowhere = Config::kMostPlaces;
  extern __shared__ int smem[];
  const BlockTable<kShape> table(smem);
  static_assert(table.kPlaces <= Config::kMostPlaces, "16 bits number places");
  int* const kept = table.end();  // places, with their turns above the 16th bit
  unsigned short* const place_of_slot = reinterpret_cast<unsigned short*>(kept + kSlots);
  __shared__ int count;
  const int head = number / p.tiles, tile = number % p.tiles, first_token = tile * kTokens;
  constexpr int kCount = kSlotsAtOnce<kShape, kConfig>;
  const int tokens = min(kTokens, p.total_q - first_token);
  const long long first_slot = (static_cast<long long>(head) * p.total_q + first_token) * kShape.topk;
  const int* const blocks = p.block_indices + first_slot;
  if (threadIdx.x == 0) count = 0;
  table.clear(threadIdx.x, kThreads);
  __syncthreads();

  cuda::CellFinder<kShape.block_size, Params> finder(p, first_token);
  for_each_slot<kShape, kConfig>(blocks, tokens, [&](int slot, int token, const int (&chosen)[kCount]) {
    finder.move_to(first_token + token);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int cell = finder.cell(chosen[i]);
      place_of_slot[slot + i] = cell >= 0 ? static_cast<unsigned short>(table.add(cell, token)) : kNowhere;
    }
  });
  __syncthreads();
  for (int place = threadIdx.x; place < table.kPlaces; place += kThreads)
    if (table.cell(place) >= 0 && table.template keep<kConfig>(place))
      kept[atomicAdd(&count, 1)] = place | TileShape::turn(table.units(place)) << 16;
  __syncthreads();

  // Each thread finds the places that it wrote itself.
  for_each_slot<kShape, kConfig>(blocks, tokens, [&](int slot, int token, const int (&chosen)[kCount]) {
    int rest[kCount];
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int place = place_of_slot[slot + i];
      rest[i] = place != kNowhere && table.has(place, token) ? -1 : chosen[i];
    }
    cuda::store_slots(p.rest_indices + first_slot + slot, rest);
  });
  int* const steps = p.shared_steps + static_cast<long long>(number) * kSlots * kStepWords;
  for (int i = threadIdx.x; i < count; i += kThreads) {
    const int place = kept[i] & 0xffff, turn = kept[i] >> 16, cell = table.cell(place);
    int rank = 0;
    for (int o = 0; o < count; ++o) {
      const int other = kept[o];
      rank += other >> 16 == turn ? table.cell(other & 0xffff) < cell : other >> 16 < turn;
    }
    int* const step = steps + rank * kStepWords;
    const SeenKeys seen = seen_keys<kShape.block_size>(p, cell, first_token + table.last_member(place));
    step[0] = cell;
    step[1] = seen.row;
    step[2] = seen.count;
#pragma unroll
    for (int word = 0; word < table.kWords; ++word) step[3 + word] = static_cast<int>(table.members(place, word));
  }
  if (threadIdx.x == 0) p.shared_count[number] = count;
  if (threadIdx.x == 0 && number == 0) *p.shared_next_tile = 0;
}

/// Grid: Hkv * X + parts. Finding steps leaves memory idle, and laying out is all memory: thread blocks of either kind stand in turns.
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  const int block = static_cast<int>(blockIdx.x), period = static_cast<int>(gridDim.x) / max(p.parts, 1), turn = block / period;
  if (block % period == 0 && turn < p.parts)
    lay_out_part<kShape, kConfig.threads()>(p, turn);
  else
    find_steps<kShape, kConfig>(p, block - min(ceil_div(block, period), p.parts));
}

}  // namespace fsa::shared_blocks
