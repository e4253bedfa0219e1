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
  /// Query `token` of the tile chose `cells`, where they are not negative; gives their places. What is found at the first places is asked
  /// for at once: each answer takes a trip to shared memory.
  template <int kCount>
  FSA_DEVICE void add(const int (&cells)[kCount], int token, int (&places)[kCount]) const {
    int found[kCount];
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      places[i] = first_place(cells[i]);
      found[i] = cells[i] < 0 ? kFree : atomicCAS(cells_ + places[i], kFree, cells[i]);
    }
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      while (found[i] != kFree && found[i] != cells[i]) {
        places[i] = next_place(places[i]);
        found[i] = atomicCAS(cells_ + places[i], kFree, cells[i]);
      }
      if (cells[i] >= 0) atomicOr(members_ + word_of(token) * kPlaces + places[i], 1u << bit_of(token));
    }
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

/// This thread's slots among those of a tile, kSlotsAtOnce neighbours at a time. Few are asked for at once, when this is made, and held; of
/// more, four are in flight whenever they are gone through.
template <Shape kShape, Config kConfig>
class TileSlots {
 public:
  static constexpr int kCount = kSlotsAtOnce<kShape, kConfig>;

  /// Of the tile whose `tokens` queries' blocks begin at `blocks`.
  FSA_DEVICE TileSlots(const int* blocks, int tokens)
      : blocks_(blocks), end_(tokens * kShape.topk), aligned_(cuda::are_aligned<kCount>(blocks)) {
    if constexpr (kHolds) load(first_slot());
  }

  /// Calls visit(slot, token, blocks); tokens ascend. All are counted from the tile's first.
  template <class Visit>
  FSA_DEVICE void for_each(Visit visit) {
    if constexpr (kHolds) {
      pass(first_slot(), visit);
    } else {
#pragma unroll 1
      for (int first = first_slot(); first < end_; first += kAhead * kStride) {
        load(first);
        pass(first, visit);
      }
    }
  }

 private:
  static constexpr int kStride = kConfig.threads() * kCount, kRounds = ceil_div(Config::slots(kShape), kStride);
  static constexpr bool kHolds = kRounds * kCount <= 16;
  static constexpr int kAhead = kHolds ? kRounds : 4 / kCount;

  FSA_DEVICE static int first_slot() { return static_cast<int>(threadIdx.x) * kCount; }
  FSA_DEVICE void load(int first) {
#pragma unroll
    for (int u = 0; u < kAhead; ++u)
      if (const int slot = first + u * kStride; slot < end_) cuda::load_slots(chosen_[u], blocks_ + slot, aligned_);
  }
  template <class Visit>
  FSA_DEVICE void pass(int first, Visit visit) const {
#pragma unroll
    for (int u = 0; u < kAhead; ++u)
      if (const int slot = first + u * kStride; slot < end_) visit(slot, slot / kShape.topk, chosen_[u]);
  }

  const int* blocks_;
  int end_;
  bool aligned_;
  int chosen_[kAhead][kCount];
};

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
  constexpr int kCount = TileSlots<kShape, kConfig>::kCount;
  const int tokens = min(kTokens, p.total_q - first_token);
  const long long first_slot = (static_cast<long long>(head) * p.total_q + first_token) * kShape.topk;
  // Numbers of blocks and the first query's sequence are on their way while the table is cleared.
  TileSlots<kShape, kConfig> slots(p.block_indices + first_slot, tokens);
  cuda::CellFinder<kShape.block_size, Params> finder(p, first_token);
  if (threadIdx.x == 0) count = 0;
  table.clear(threadIdx.x, kThreads);
  __syncthreads();

  slots.for_each([&](int slot, int token, const int (&chosen)[kCount]) {
    finder.move_to(first_token + token);
    int cells[kCount], places[kCount];
#pragma unroll
    for (int i = 0; i < kCount; ++i) cells[i] = finder.cell(chosen[i]);
    table.add(cells, token, places);
#pragma unroll
    for (int i = 0; i < kCount; ++i) place_of_slot[slot + i] = cells[i] >= 0 ? static_cast<unsigned short>(places[i]) : kNowhere;
  });
  __syncthreads();
  for (int place = threadIdx.x; place < table.kPlaces; place += kThreads)
    if (table.cell(place) >= 0 && table.template keep<kConfig>(place))
      kept[atomicAdd(&count, 1)] = place | TileShape::turn(table.units(place)) << 16;
  __syncthreads();

  // Each thread finds the places that it wrote itself.
  slots.for_each([&](int slot, int token, const int (&chosen)[kCount]) {
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
  const int block = static_cast<int>(blockIdx.x), turn = block / p.period;
  const bool first = turn * p.period == block;
  if (first && turn < p.parts)
    lay_out_part<kShape, kConfig.threads()>(p, turn);
  else
    find_steps<kShape, kConfig>(p, block - min(first ? turn : turn + 1, p.parts));
}

}  // namespace fsa::shared_blocks
