#pragma once
// Owns the CUDA kernels that invert block_indices: a stable counting sort of (query, slot) pairs by (kv head, cell).
//
//   histogram      each thread block counts the cells of its segment of queries
//   scan_segments  a lane per cell turns the counts of its segments into offsets within the cell
//   scan_cells     offsets of the cells, and the work items: by kv head, chunk of queries, cell
//   fill           each thread block walks its segment again and writes every pair to its place
//
// Segments are in query order, and within one a query's place is the number of marked queries before it, so the lists ascend in
// query and are the same in every run. Atomics add and combine integers only.
#include "block_index/config.h"
#include "block_index/params.h"
#include "cuda/block_scan.cuh"
#include "cuda/cell_finder.cuh"
#include "cuda/launch_order.cuh"
#include "cuda/slots.cuh"

namespace fsa::block_index {

/// What follows the counts in the `segment_counts` scratch.
template <Config kConfig>
struct Scratch {
  int* cell_entries;  // [Hkv, C] entries of each cell
  int* tile_entries;  // [Hkv, tiles] entries of each tile of cells
  int* tile_items;    // [Hkv, chunks, tiles] work items of each tile of cells and chunk of segments
  int tiles, chunks;

  FSA_DEVICE explicit Scratch(const Params& p) {
    tiles = ceil_div(p.cells, kConfig.tile_cells());
    chunks = ceil_div(p.segments, p.chunk_segments);
    cell_entries = p.segment_counts + static_cast<long long>(p.heads_kv) * p.cells * p.segments;
    tile_entries = cell_entries + static_cast<long long>(p.heads_kv) * p.cells;
    tile_items = tile_entries + p.heads_kv * tiles;
  }
};

/// Row of [Hkv, S, C]: the counts of one segment, by cell.
FSA_DEVICE int* counts_of(const Params& p, int head, int segment) {
  return p.segment_counts + (static_cast<long long>(head) * p.segments + segment) * p.cells;
}

FSA_DEVICE int items_of(int entries, int item_tokens) { return (entries + item_tokens - 1) / item_tokens; }

/// The queries of a thread block: one segment of one kv head.
struct Segment {
  int head, number, begin, end;  // queries [begin, end)

  FSA_DEVICE explicit Segment(const Params& p) : head(blockIdx.x / p.segments), number(blockIdx.x % p.segments) {
    const long long first = static_cast<long long>(number) * p.segment_tokens;
    begin = static_cast<int>(min(first, static_cast<long long>(p.total_q)));
    end = static_cast<int>(min(first + p.segment_tokens, static_cast<long long>(p.total_q)));
  }
};

/// Calls visit(slot, token, cells) for the slots of the queries [begin, end) of a kv head, slots_at_once() neighbours at a time, this
/// thread's among them; a cell is -1 for no block. Tokens ascend.
template <Shape kShape, Config kConfig, class Visit>
FSA_DEVICE void for_each_slot(const Params& p, int head, int begin, int end, cuda::CellFinder<kShape.block_size, Params>& finder,
                              Visit visit) {
  constexpr int kCount = cuda::slots_at_once(kShape.topk), kStride = kConfig.threads() * kCount;
  const int* const blocks = p.block_indices + static_cast<long long>(head) * p.total_q * kShape.topk;
  const int first = begin * kShape.topk + static_cast<int>(threadIdx.x) * kCount, last = end * kShape.topk;
  const bool aligned = cuda::are_aligned<kCount>(blocks);
  const auto load = [&](int (&to)[kCount], int slot) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) to[i] = -1;
    if (slot < last) cuda::load_slots(to, blocks + slot, aligned);
  };
  int next[kCount];
  load(next, first);
#pragma unroll 1
  for (int slot = first; slot < last; slot += kStride) {
    const int token = slot / kShape.topk;
    int cells[kCount];
    finder.move_to(token);
#pragma unroll
    for (int i = 0; i < kCount; ++i) cells[i] = finder.cell(next[i]);
    load(next, slot + kStride);
    visit(slot, token, cells);
  }
}

/// Which of a step's queries chose each cell of a pass: a bit per query, in shared memory. The order in which bits are set leaves
/// no trace, and a query that lists a block twice counts once.
template <Shape kShape, Config kConfig>
class Marks {
 public:
  static constexpr int kWords = Config::step_words(kShape);
  static_assert(kWords <= 4, "a byte counts what is marked in the words before one");

  FSA_DEVICE Marks(int* words, int cells) : words_(words), cells_(cells) {}
  /// By all threads; a barrier follows.
  FSA_DEVICE void clear() const {
    for (int i = threadIdx.x; i < kWords * cells_; i += kConfig.threads()) words_[i] = 0;
  }
  FSA_DEVICE void add(int cell, int query) const { atomicOr(words_ + query / 32 * cells_ + cell, 1 << query % 32); }
  /// Marked queries of a cell.
  FSA_DEVICE int count(int cell) const {
    int sum = 0;
#pragma unroll
    for (int w = 0; w < kWords; ++w) sum += __popc(word(cell, w));
    return sum;
  }
  /// Those of earlier words, a byte for each word.
  FSA_DEVICE unsigned counts_before(int cell) const {
    unsigned counts = 0, sum = 0;
#pragma unroll
    for (int w = 0; w < kWords; ++w) {
      counts |= sum << 8 * w;
      sum += __popc(word(cell, w));
    }
    return counts;
  }
  /// Those of a word before `query`.
  FSA_DEVICE int before_in_word(int cell, int query) const { return __popc(word(cell, query / 32) & ((1u << query % 32) - 1)); }

 private:
  FSA_DEVICE int word(int cell, int w) const { return words_[w * cells_ + cell]; }

  int* words_;  // [kWords, cells]: neighbouring cells in neighbouring banks
  int cells_;
};

/// Calls visit(i, cell) for those of a thread's cells that are among the pass's, whose first one counts as 0.
template <int kCount, class Visit>
FSA_DEVICE void for_cells_of_pass(const int (&chosen)[kCount], int first_cell, int cells, Visit visit) {
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    if (chosen[i] >= first_cell && chosen[i] - first_cell < cells) visit(i, chosen[i] - first_cell);
}

/// Grid: Hkv * S.
template <Shape kShape, Config kConfig>
FSA_DEVICE void histogram(const Params& p) {
  cuda::let_next_launch_start();
  extern __shared__ int smem[];  // marks, then entries of each cell
  if (blockIdx.x == 0) {  // scan_segments adds to the sums of the tiles
    const Scratch<kConfig> scratch(p);
    const int sums = p.heads_kv * scratch.tiles * (1 + scratch.chunks);
    for (int i = threadIdx.x; i < sums; i += kConfig.threads()) scratch.tile_entries[i] = 0;
  }
  const Segment segment(p);
  int* const counts = counts_of(p, segment.head, segment.number);
  for (int first_cell = 0; first_cell < p.cells; first_cell += Config::kPassCells) {
    const int cells = min(Config::kPassCells, p.cells - first_cell);
    const Marks<kShape, kConfig> marks(smem, cells);
    int* const entries = smem + marks.kWords * cells;
    cuda::CellFinder<kShape.block_size, Params> finder(p, segment.begin);
    for (int i = threadIdx.x; i < cells; i += kConfig.threads()) entries[i] = 0;
    for (int begin = segment.begin; begin < segment.end; begin += Config::step_tokens(kShape)) {
      marks.clear();
      __syncthreads();
      for_each_slot<kShape, kConfig>(p, segment.head, begin, min(begin + Config::step_tokens(kShape), segment.end), finder,
                                     [&](int, int token, const int (&chosen)[cuda::slots_at_once(kShape.topk)]) {
                                       for_cells_of_pass(chosen, first_cell, cells, [&](int, int cell) { marks.add(cell, token - begin); });
                                     });
      __syncthreads();
      for (int i = threadIdx.x; i < cells; i += kConfig.threads()) entries[i] += marks.count(i);
      __syncthreads();
    }
    for (int i = threadIdx.x; i < cells; i += kConfig.threads()) counts[first_cell + i] = entries[i];
    __syncthreads();
  }
}

/// Grid: Hkv * ceil(C / 32). A lane per cell; the warps take a run of segments each.
template <Shape kShape, Config kConfig>
FSA_DEVICE void scan_segments(const Params& p) {
  constexpr int kBatch = 8;
  __shared__ int sums[kConfig.warps][32];
  cuda::let_next_launch_start();
  cuda::await_launch_ahead();
  const Scratch<kConfig> scratch(p);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, groups = ceil_div(p.cells, 32);
  if (groups == 0) return;
  const int head = blockIdx.x / groups, cell = blockIdx.x % groups * 32 + lane, tile = cell / kConfig.tile_cells();
  const bool exists = cell < p.cells;
  const int each = ceil_div(p.segments, kConfig.warps), begin = min(warp * each, p.segments), end = min(begin + each, p.segments);
  const auto count = [&](int segment) -> int& { return counts_of(p, head, segment)[cell]; };
  const auto load = [&](int (&counts)[kBatch], int first) {
#pragma unroll
    for (int i = 0; i < kBatch; ++i) counts[i] = exists && first + i < end ? count(first + i) : 0;
  };
  int mine = 0, counts[kBatch];
#pragma unroll 1
  for (int first = begin; first < end; first += kBatch) {
    load(counts, first);
#pragma unroll
    for (int i = 0; i < kBatch; ++i) mine += counts[i];
  }
  sums[warp][lane] = mine;
  __syncthreads();
  int before = 0, total = 0;
#pragma unroll
  for (int w = 0; w < kConfig.warps; ++w) {
    before += w < warp ? sums[w][lane] : 0;
    total += sums[w][lane];
  }
#pragma unroll 1
  for (int first = begin; first < end; first += kBatch) {
    load(counts, first);
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (exists && first + i < end) count(first + i) = before;
      before += counts[i];
    }
  }
  __syncthreads();
  // A chunk ends where the next one's first segment starts.
  for (int chunk = warp; chunk < scratch.chunks; chunk += kConfig.warps) {
    const int next = (chunk + 1) * p.chunk_segments;
    int items = 0;
    if (exists) items = items_of((next < p.segments ? count(next) : total) - count(chunk * p.chunk_segments), p.item_tokens);
    items = __reduce_add_sync(~0u, items);
    if (lane == 0 && items > 0) atomicAdd(scratch.tile_items + (head * scratch.chunks + chunk) * scratch.tiles + tile, items);
  }
  if (warp != 0) return;
  if (exists) scratch.cell_entries[head * p.cells + cell] = total;
  total = __reduce_add_sync(~0u, exists ? total : 0);
  if (lane == 0 && total > 0) atomicAdd(scratch.tile_entries + head * scratch.tiles + tile, total);
}

/// Sum of x over the thread block; `sums` is shared scratch of one word per warp.
template <int kWarps>
FSA_DEVICE int block_sum(int x, int* sums) {
  x = __reduce_add_sync(~0u, x);
  __syncthreads();
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = x;
  __syncthreads();
  int total = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) total += sums[w];
  return total;
}

template <int kWarps>
FSA_DEVICE int sum_of(const int* values, int n, int* sums) {
  int sum = 0;
  for (int i = threadIdx.x; i < n; i += 32 * kWarps) sum += values[i];
  return block_sum<kWarps>(sum, sums);
}

/// A run of entries of one cell, cut into even work items.
struct Run {
  int head, cell, first, entries, items, item_offset;

  FSA_DEVICE void emit(int4* work_items, int item, int item_tokens) const {
    // Whole tiles of 16 rows for any group: an item's length is a multiple of 16 but for the last one's.
    const int length = min(item_tokens, round_up((entries + items - 1) / items, 16));
    const int begin = item * length;
    work_items[item_offset + item] = make_int4(head, cell, first + begin, min(length, entries - begin));
  }
};

/// Grid: Hkv * chunks * tiles, at least 1; a thread per cell.
template <Shape kShape, Config kConfig>
FSA_DEVICE void scan_cells(const Params& p) {
  __shared__ int sums[kConfig.warps];
  cuda::let_next_launch_start();
  cuda::await_launch_ahead();
  const Scratch<kConfig> scratch(p);
  if (p.cells == 0) {
    if (threadIdx.x == 0) *p.cell_offset = *p.work_count = 0;
    return;
  }
  const int tile = blockIdx.x % scratch.tiles, head = blockIdx.x / scratch.tiles / scratch.chunks,
            chunk = blockIdx.x / scratch.tiles % scratch.chunks;
  const int cell = tile * kConfig.tile_cells() + threadIdx.x, row = head * p.cells + cell;
  const int segment_begin = chunk * p.chunk_segments, segment_end = segment_begin + p.chunk_segments;

  int entries = 0, run_begin = 0, run_end = 0;
  if (cell < p.cells) {
    entries = scratch.cell_entries[row];
    run_begin = counts_of(p, head, segment_begin)[cell];
    run_end = segment_end < p.segments ? counts_of(p, head, segment_end)[cell] : entries;
  }
  const int items = items_of(run_end - run_begin, p.item_tokens);
  const int offset =
      sum_of<kConfig.warps>(scratch.tile_entries, head * scratch.tiles + tile, sums) + cuda::block_sum_before<kConfig.warps>(entries, sums);
  const int item_offset = sum_of<kConfig.warps>(scratch.tile_items, blockIdx.x, sums) + cuda::block_sum_before<kConfig.warps>(items, sums);

  if (chunk == 0 && cell < p.cells) p.cell_offset[row] = offset;
  if (chunk == 0 && row == p.heads_kv * p.cells - 1 && cell < p.cells) p.cell_offset[row + 1] = offset + entries;
  if (blockIdx.x == gridDim.x - 1 && threadIdx.x == kConfig.threads() - 1) *p.work_count = item_offset + items;

  // A warp cuts its cells' runs one after the other: most have few items, those of attention sinks hundreds.
  const Run mine{head, cell, offset + run_begin, run_end - run_begin, items, item_offset};
  const int lane = threadIdx.x % 32;
  for (unsigned busy = __ballot_sync(~0u, items > 0); busy; busy &= busy - 1) {
    const int from = __ffs(busy) - 1;
    const Run run{head,
                  __shfl_sync(~0u, cell, from),
                  __shfl_sync(~0u, mine.first, from),
                  __shfl_sync(~0u, mine.entries, from),
                  __shfl_sync(~0u, items, from),
                  __shfl_sync(~0u, item_offset, from)};
    for (int item = lane; item < run.items; item += 32) run.emit(reinterpret_cast<int4*>(p.work_items), item, p.item_tokens);
  }
}

/// What fill knows of a pass's cells.
template <Shape kShape, Config kConfig>
class Places {
 public:
  FSA_DEVICE Places(const Marks<kShape, kConfig>& marks, int* scratch, int cells)
      : marks_(marks), first_(scratch), sorted_(scratch + cells), before_(scratch + 2 * cells), cells_(cells) {}

  FSA_DEVICE void start(const int* cell_offset, const int* counts) const {
    for_own_cells([&](int i) { first_[i] = cell_offset[i] + counts[i]; });
  }
  /// Once a step is marked: where its entries go that are sorted by the cells' threads; returns their number.
  FSA_DEVICE int sort(int* sums) const {
    int mine = 0;
    for_own_cells([&](int i) { mine += marks_.count(i); });
    int before = cuda::block_sum_before<kConfig.warps>(mine, sums);
    for_own_cells([&](int i) {
      sorted_[i] = before;
      before_[i] = marks_.counts_before(i);
      before += marks_.count(i);
    });
    return cuda::block_total<kConfig.warps>(sums);
  }
  /// On to the next step.
  FSA_DEVICE void advance() const {
    for_own_cells([&](int i) { first_[i] += marks_.count(i); });
  }
  /// Marked queries of the cell before `query`.
  FSA_DEVICE int rank(int cell, int query) const { return marks_.before_in_word(cell, query) + (before_[cell] >> query / 32 * 8 & 255); }
  FSA_DEVICE int entry(int cell, int rank) const { return first_[cell] + rank; }
  FSA_DEVICE int sorted(int cell, int rank) const { return sorted_[cell] + rank; }
  /// The entry of the sorted one `i`, which is of `cell`.
  FSA_DEVICE int entry_of_sorted(int cell, int i) const { return first_[cell] + i - sorted_[cell]; }

 private:
  template <class Visit>
  FSA_DEVICE void for_own_cells(Visit visit) const {
#pragma unroll 1
    for (int i = threadIdx.x; i < cells_; i += kConfig.threads()) visit(i);
  }

  Marks<kShape, kConfig> marks_;
  int *first_, *sorted_;  // by cell: its first entry of this step, and where that is among the sorted ones
  int* before_;           // see Marks::counts_before
  int cells_;
};

/// Grid: Hkv * S. Entries are sorted by cell before they are stored: scattered words would be a request to L2 each.
template <Shape kShape, Config kConfig>
FSA_DEVICE void fill(const Params& p) {
  extern __shared__ int smem[];  // marks, three words per cell, then sorted entries: cell and query
  __shared__ int sums[kConfig.warps];
  constexpr bool kSorts = Config::sorts(kShape);
  constexpr int kCount = cuda::slots_at_once(kShape.topk);
  const Segment segment(p);
  int* const positions = p.entry_position + static_cast<long long>(segment.head) * p.total_q * kShape.topk;
  for (int first_cell = 0; first_cell == 0 || first_cell < p.cells; first_cell += Config::kPassCells) {
    const int cells = min(Config::kPassCells, p.cells - first_cell);
    const Marks<kShape, kConfig> marks(smem, cells);
    const Places<kShape, kConfig> places(marks, smem + marks.kWords * cells, cells);
    unsigned* const entries = reinterpret_cast<unsigned*>(smem) + (marks.kWords + 3) * cells;
    cuda::CellFinder<kShape.block_size, Params> marking(p, segment.begin), placing = marking;
    for (int begin = segment.begin; begin < segment.end; begin += Config::step_tokens(kShape)) {
      const int end = min(begin + Config::step_tokens(kShape), segment.end);
      marks.clear();
      __syncthreads();
      for_each_slot<kShape, kConfig>(p, segment.head, begin, end, marking, [&](int, int token, const int (&chosen)[kCount]) {
        for_cells_of_pass(chosen, first_cell, cells, [&](int, int cell) { marks.add(cell, token - begin); });
      });
      if (begin == segment.begin) {
        // Marking needs the slots alone: the scans before run meanwhile.
        cuda::await_launch_ahead();
        places.start(p.cell_offset + segment.head * p.cells + first_cell, counts_of(p, segment.head, segment.number) + first_cell);
      }
      __syncthreads();
      const int count = places.sort(sums);
      __syncthreads();
      for_each_slot<kShape, kConfig>(p, segment.head, begin, end, placing, [&](int slot, int token, const int (&chosen)[kCount]) {
        const int query = token - begin;
        int mine[kCount];
#pragma unroll
        for (int& x : mine) x = -1;
        for_cells_of_pass(chosen, first_cell, cells, [&](int i, int cell) {
          const int rank = places.rank(cell, query);
          mine[i] = places.entry(cell, rank);
          if constexpr (kSorts)
            entries[places.sorted(cell, rank)] = cell << 16 | query;
          else
            p.entry_token[mine[i]] = token;
        });
        if (p.cells <= Config::kPassCells) return cuda::store_slots(positions + slot, mine);
        // One of several passes: it stores what it knows, the first one also what has no cell.
#pragma unroll
        for (int i = 0; i < kCount; ++i)
          if (mine[i] >= 0 || (chosen[i] < 0 && first_cell == 0)) positions[slot + i] = mine[i];
      });
      __syncthreads();
      for (int i = threadIdx.x; kSorts && i < count; i += kConfig.threads())
        p.entry_token[places.entry_of_sorted(entries[i] >> 16, i)] = begin + static_cast<int>(entries[i] & 0xffff);
      __syncthreads();
      if (end == segment.end) break;
      places.advance();
      __syncthreads();
    }
  }
}

}  // namespace fsa::block_index
