#pragma once
// Owns the CUDA kernel that finds the blocks which many queries of a tile share.
#include "cuda/cell_finder.cuh"
#include "shared_blocks/config.h"
#include "shared_blocks/params.h"

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
  /// Query `token` of the tile chose `cell`.
  FSA_DEVICE void add(int cell, int token) const {
    int place = first_place(cell);
    for (int found = kFree; found != cell; place = next_place(place)) {
      found = atomicCAS(cells_ + place, kFree, cell);
      if (found == kFree || found == cell) {
        atomicOr(members_ + word_of(token) * kPlaces + place, 1u << bit_of(token));
        return;
      }
    }
  }
  /// Whether the members that are left of `cell`, which was added, hold `token`.
  FSA_DEVICE bool has(int cell, int token) const {
    int place = first_place(cell);
    while (cells_[place] != cell) place = next_place(place);
    return members(place, word_of(token)) >> bit_of(token) & 1;
  }
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

/// Calls visit(slot, token, block, cell) for this thread's slots of a tile of `tokens` queries, tokens ascending; all counted from the
/// tile's first. Several loads are in flight.
template <Shape kShape, Config kConfig, class Visit>
FSA_DEVICE void for_each_slot(const Params& p, const int* blocks, int first_token, int tokens, Visit visit) {
  constexpr int kStride = kConfig.threads(), kAhead = 4;
  cuda::CellFinder<kShape.block_size, Params> finder(p, first_token);
#pragma unroll 1
  for (int first = threadIdx.x; first < tokens * kShape.topk; first += kAhead * kStride) {
    int block[kAhead];
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int slot = first + u * kStride;
      block[u] = slot < tokens * kShape.topk ? __ldg(blocks + slot) : -1;
    }
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int slot = first + u * kStride, token = slot / kShape.topk;
      if (token >= tokens) continue;
      finder.move_to(first_token + token);
      visit(slot, token, block[u], finder.cell(block[u]));
    }
  }
}

/// Grid: Hkv * X.
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  constexpr int kThreads = kConfig.threads(), kSlots = Config::slots(kShape);
  constexpr int kTokens = TileShape::of(kShape).tokens(), kStepWords = TileShape::of(kShape).step_words();
  extern __shared__ int smem[];  // the table, then the places of blocks that are kept
  const BlockTable<kShape> table(smem);
  int* const kept = table.end();
  __shared__ int count;
  const int head = blockIdx.x / p.tiles, tile = blockIdx.x % p.tiles, first_token = tile * kTokens;
  const int tokens = min(kTokens, p.total_q - first_token);
  const long long first_slot = (static_cast<long long>(head) * p.total_q + first_token) * kShape.topk;
  const int* const blocks = p.block_indices + first_slot;
  if (threadIdx.x == 0) count = 0;
  table.clear(threadIdx.x, kThreads);
  __syncthreads();

  for_each_slot<kShape, kConfig>(p, blocks, first_token, tokens, [&](int, int token, int, int cell) {
    if (cell >= 0) table.add(cell, token);
  });
  __syncthreads();
  for (int place = threadIdx.x; place < table.kPlaces; place += kThreads)
    if (table.cell(place) >= 0 && table.template keep<kConfig>(place)) kept[atomicAdd(&count, 1)] = place;
  __syncthreads();

  for_each_slot<kShape, kConfig>(p, blocks, first_token, tokens, [&](int slot, int token, int block, int cell) {
    p.rest_indices[first_slot + slot] = cell >= 0 && table.has(cell, token) ? -1 : block;
  });
  int* const steps = p.shared_steps + static_cast<long long>(blockIdx.x) * kSlots * kStepWords;
  for (int i = threadIdx.x; i < count; i += kThreads) {
    const int place = kept[i], cell = table.cell(place);
    int rank = 0;
    for (int other = 0; other < count; ++other) rank += table.cell(kept[other]) < cell;
    int* const step = steps + rank * kStepWords;
    const SeenKeys seen = seen_keys<kShape.block_size>(p, cell, first_token + table.last_member(place));
    step[0] = cell;
    step[1] = seen.row;
    step[2] = seen.count;
#pragma unroll
    for (int word = 0; word < table.kWords; ++word) step[3 + word] = static_cast<int>(table.members(place, word));
  }
  if (threadIdx.x == 0) p.shared_count[blockIdx.x] = count;
  if (threadIdx.x == 0 && blockIdx.x == 0) *p.shared_next_tile = 0;
}

}  // namespace fsa::shared_blocks
