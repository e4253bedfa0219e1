#pragma once
// Owns what the warps of a thread block of Hopper's attention over ranges share: tiles of rows, steps, stages and barriers.
#include "cuda/hopper/mbarrier.cuh"
#include "cuda/hopper/range_plan.cuh"
#include "cuda/launch_order.cuh"
#include "cuda/range_rows.cuh"

namespace fsa::cuda::hopper {

/// Segments, and the steps that they are walked in.
struct SegmentCount {
  int segments, steps;
};

/// A step: what of its segment lies in kKeys rows of K and V. The others do not exist to it.
struct RangeStep {
  int first;        // row that it begins at
  unsigned packed;  // where the segment begins and ends in it, 8 bits each, and the field of V's scale

  template <class T>
  FSA_DEVICE static RangeStep of(int first, const KeyRange& segment, int field) {
    static_assert(T::kKeys < 256, "8 bits count the step's rows");
    const int begin = max(segment.begin - first, 0), end = min(segment.end - first, T::kKeys);
    return {first, static_cast<unsigned>(begin | end << 8 | field << 16)};
  }
  /// The row that a segment's first step begins at; the others follow.
  template <class T>
  FSA_DEVICE static int first_of(const KeyRange& segment) {
    return segment.begin / T::kStepAlign * T::kStepAlign;
  }
  FSA_DEVICE int begin() const { return static_cast<int>(packed & 255); }
  FSA_DEVICE int end() const { return static_cast<int>(packed >> 8 & 255); }
  FSA_DEVICE int field() const { return static_cast<int>(packed >> 16); }
  template <class T>
  FSA_DEVICE bool is_partial() const {
    return begin() > 0 || end() < T::kKeys;
  }
};

/// What is known of a tile of rows.
template <class T>
struct RangeTile {
  int number;           // of all tiles, or -1: there is no more
  int head, first_row;  // as TileList has them
  KeyRange segments[T::kRows];
  RowRange rows[T::kRows];
  WarpBounds bounds[T::kLookups];    // of 32 rows each
  SegmentCount counts[T::kLookups];  // of 32 rows each
  SegmentCount all;
};

/// A step as one unit sees it: the queries that are its members, a bit each. Read at once.
struct alignas(16) UnitStep {
  RangeStep step;
  uint2 members;
};

/// What each stage holds to each unit; nothing where ranges alone say it.
template <class T, bool = T::kMembers>
struct StepMembers {};
template <class T>
struct StepMembers<T, true> {
  UnitStep unit_steps[T::kStages][T::kConsumers];
};

/// What the warps of a thread block tell each other, in shared memory.
template <class T>
struct RangeTables : StepMembers<T> {
  // Barriers:
  unsigned long long q_full, q_empty, walk_full[2], walk_empty[2];
  unsigned long long k_full[T::kStages], k_empty[T::kStages], v_full[T::kStages], v_empty[T::kStages];
  RangeStep steps[T::kStages];  // what each stage holds
  RangeTile<T> tiles[2];        // the thread block's i-th in tiles[i % 2]: one is looked up while another is attended
};

FSA_DEVICE Mbarrier barrier(const unsigned long long& word) { return Mbarrier(smem_address(&word)); }

/// A block's shared memory.
template <class T>
struct RangeMemory {
  unsigned tiles;  // address of Q, then stages of K, then stages of V
  RangeTables<T>& tables;

  /// The same by addresses that ptxas keeps in uniform registers. Left to itself, it computes them anew wherever one is wanted: at each
  /// step 30 cycles for the thread block's place in its cluster, and as many for what depends on that.
  FSA_DEVICE RangeMemory uniform() const {
    const unsigned table_address = cuda::uniform(smem_address(&tables));
    return {cuda::uniform(tiles), *static_cast<RangeTables<T>*>(__cvta_shared_to_generic(table_address))};
  }
  FSA_DEVICE unsigned k(int stage) const { return tiles + T::kQBytes + stage * T::kKBytes; }
  FSA_DEVICE unsigned v(int stage) const { return tiles + T::kQBytes + T::kStages * T::kKBytes + stage * T::kVBytes; }

  /// By one thread, before the others come.
  FSA_DEVICE void init() const {
    barrier(tables.q_full).init(T::kFinders + 1);
    barrier(tables.q_empty).init(128 * T::kConsumers);
    for (int i = 0; i < 2; ++i) {
      barrier(tables.walk_full[i]).init(1);
      barrier(tables.walk_empty[i]).init(32);
    }
    for (int s = 0; s < T::kStages; ++s) {
      barrier(tables.k_full[s]).init(1);
      barrier(tables.v_full[s]).init(1);
      barrier(tables.k_empty[s]).init(4 * T::kConsumers);
      barrier(tables.v_empty[s]).init(4 * T::kConsumers);
    }
    publish_barriers();
  }
};

/// A place in a ring of stages, and the parity of the phase that a consumer waits for there.
template <int kStages>
struct RingPlace {
  int stage = 0, parity = 0;

  FSA_DEVICE void advance() {
    stage = stage + 1 == kStages ? 0 : stage + 1;
    parity ^= stage == 0;
  }
};

/// All tiles, by number: of a head the last rows first, as they have most to do where all see the first key. Heads are fastest, unless
/// tiles read K and V here and there and all heads' do not stay in L2: then one head's tiles follow the next one's, the last head's
/// first, whose partials were written last. A thread block begins with the tile of its own number, and takes the next one that nobody
/// has whenever it has room for it: not all multiprocessors are equally fast.
template <class T>
struct TileList {
  int heads, tiles;
  bool by_head;

  FSA_DEVICE explicit TileList(const RangeParams& p)
      : heads(p.heads_kv),
        tiles(ceil_div(p.total_q * T::kGroup, T::kConsumers * T::kUnitRows)),
        by_head(T::kMembers && static_cast<long long>(p.total_k) * p.heads_kv * ((T::kD + T::kDv) * 2) > kCached) {}
  FSA_DEVICE int head(int number) const { return by_head ? heads - 1 - number / tiles : number % heads; }
  FSA_DEVICE int first_row(int number) const {
    return (tiles - 1 - (by_head ? number % tiles : number / heads)) * T::kConsumers * T::kUnitRows;
  }
  FSA_DEVICE void describe(int number, RangeTile<T>& tile) const {
    tile.number = number;
    tile.head = number < 0 ? 0 : head(number);
    tile.first_row = number < 0 ? 0 : first_row(number);
  }
  /// By one thread: the number of the tile after `last`, or -1 where there is none. The counter was 0 before the first was taken. Where no
  /// kernel of the family's own sets it to 0, the last to ask does: every tile but a thread block's first is taken once, and every thread
  /// block asks once in vain.
  FSA_DEVICE int take(int* next_tile, int last) const {
    if (last < 0) return -1;
    const int taken = atomicAdd(next_tile, 1), number = static_cast<int>(gridDim.x) + taken;
    if constexpr (T::kRestoresCounter)
      if (taken == heads * tiles - 1) *next_tile = 0;
    return number < heads * tiles ? number : -1;
  }

 private:
  static constexpr long long kCached = 32 << 20;  // bytes, of 50 MB of L2
};

}  // namespace fsa::cuda::hopper
