#pragma once
// Owns the CUDA kernels that invert block_indices: a stable counting sort of (query, slot) pairs by (kv head, cell).
//
//   histogram      each warp counts the cells of its segment of queries
//   scan_segments  a warp per cell turns the counts of its segments into offsets within the cell
//   scan_cells     offsets of the cells, and the work items: by kv head, chunk of queries, cell
//   fill           each warp walks its segment again and writes every pair to its place
//
// Segments are in query order and a warp hands out places in slot order, so the lists ascend in query and are the same in
// every run. Atomics add integers only.
#include "block_index/config.h"
#include "block_index/params.h"
#include "cuda/block_scan.cuh"
#include "cuda/sequences.cuh"

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

/// Row of [Hkv, C, S]: the counts of one cell, by segment.
FSA_DEVICE int* counts_of(const Params& p, int head, int cell) {
  return p.segment_counts + (static_cast<long long>(head) * p.cells + cell) * p.segments;
}

FSA_DEVICE int items_of(int entries, int item_tokens) { return (entries + item_tokens - 1) / item_tokens; }

/// Follows ascending query tokens through the sequences and gives the cell of a block. Any content of cu_q and cu_k is
/// safe: a block whose cell is out of range is dropped.
template <int kBlockSize>
class CellFinder {
 public:
  FSA_DEVICE CellFinder(const Params& p, int token) : p_(p) {
    b_ = max(0, cuda::last_not_above(p.num_seqs, token, [&](int b) { return __ldg(p.cu_q + b); }));
    load();
  }

  FSA_DEVICE int cell(int token, int block) {
    while (token >= sequence_.q_end && b_ + 1 < p_.num_seqs) {
      ++b_;
      load();
    }
    if (token < sequence_.q_begin || token >= sequence_.q_end || block < 0) return -1;
    const int position = sequence_.position(token);
    if (position < 0 || block > position / kBlockSize) return -1;
    const int cell = first_cell_ + block;
    return cell >= 0 && cell < p_.cells ? cell : -1;
  }

 private:
  FSA_DEVICE void load() {
    if (b_ >= p_.num_seqs) return;  // no sequence at all: the empty one holds no token
    sequence_ = cuda::load_sequence(p_.cu_q, p_.cu_k, b_);
    first_cell_ = cuda::first_cell<kBlockSize>(sequence_.k_begin, b_);
  }

  const Params& p_;
  cuda::Sequence sequence_{};
  int b_ = 0, first_cell_ = 0;
};

/// Where the warps of a thread block work: `warps` neighbouring segments of one kv head.
struct SegmentGroup {
  int head, first_segment, segment, begin, end;  // [begin, end) in slots of the head

  FSA_DEVICE SegmentGroup(const Params& p, int warps, int warp, int topk) {
    const int groups = ceil_div(p.segments, warps);
    head = blockIdx.x / groups;
    first_segment = (blockIdx.x % groups) * warps;
    segment = first_segment + warp;
    const long long first = static_cast<long long>(segment) * p.segment_tokens;
    begin = static_cast<int>(min(first, static_cast<long long>(p.total_q))) * topk;
    end = static_cast<int>(min(first + p.segment_tokens, static_cast<long long>(p.total_q))) * topk;
  }
};

/// Calls visit(slot, token, cell) with all lanes of the warp, 32 slots at a time in order; cell is -1 for no block and
/// slot -1 past the end.
template <Shape kShape, class Visit>
FSA_DEVICE void for_each_slot(const Params& p, const SegmentGroup& group, int lane, Visit visit) {
  const int* blocks = p.block_indices + static_cast<long long>(group.head) * p.total_q * kShape.topk;
  const auto load = [&](int slot) { return slot < group.end ? __ldg(blocks + slot) : -1; };
  CellFinder<kShape.block_size> finder(p, group.begin / kShape.topk);
  // Three rounds of loads in flight, by rotation: unrolling would compile the visit three times.
  int block = load(group.begin + lane), next = load(group.begin + 32 + lane), after = load(group.begin + 64 + lane);
#pragma unroll 1
  for (int first = group.begin; first < group.end; first += 32) {
    const int slot = first + lane, ahead = load(slot + 96);
    const int token = slot / kShape.topk;
    const bool inside = slot < group.end;
    visit(inside ? slot : -1, token, inside ? finder.cell(token, block) : -1);
    block = next, next = after, after = ahead;
  }
}

/// Grid: Hkv * ceil(S / warps).
template <Shape kShape, Config kConfig>
FSA_DEVICE void histogram(const Params& p) {
  extern __shared__ int counters[];  // [warps, counter_pitch]
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (blockIdx.x == 0) {  // scan_segments adds to the sums of the tiles
    const Scratch<kConfig> scratch(p);
    const int sums = p.heads_kv * scratch.tiles * (1 + scratch.chunks);
    for (int i = threadIdx.x; i < sums; i += kConfig.threads()) scratch.tile_entries[i] = 0;
  }
  const SegmentGroup group(p, kConfig.warps, warp, kShape.topk);
  const int pass_cells = min(p.cells, kConfig.pass_cells());
  const int pitch = kConfig.counter_pitch(pass_cells);
  for (int first_cell = 0; first_cell < p.cells; first_cell += pass_cells) {
    int* mine = counters + warp * pitch;
    for (int i = lane; i < pass_cells; i += 32) mine[i] = 0;
    __syncwarp();
    for_each_slot<kShape>(p, group, lane, [&](int, int, int cell) {
      const unsigned local = cell - first_cell;
      if (cell >= 0 && local < static_cast<unsigned>(pass_cells)) atomicAdd(mine + local, 1);
    });
    __syncthreads();
    const int cells = min(pass_cells, p.cells - first_cell);
    for (int i = threadIdx.x; i < cells * kConfig.warps; i += kConfig.threads()) {
      const int cell = i / kConfig.warps, w = i % kConfig.warps;
      if (group.first_segment + w < p.segments)
        counts_of(p, group.head, first_cell + cell)[group.first_segment + w] = counters[w * pitch + cell];
    }
    __syncthreads();
  }
}

/// Grid: ceil(Hkv * C / warps).
template <Shape kShape, Config kConfig>
FSA_DEVICE void scan_segments(const Params& p) {
  const int lane = threadIdx.x % 32;
  const int row = blockIdx.x * kConfig.warps + threadIdx.x / 32;  // (head, cell)
  if (row >= p.heads_kv * p.cells) return;
  const Scratch<kConfig> scratch(p);
  const int head = row / p.cells, cell = row % p.cells, tile = cell / kConfig.tile_cells();
  int* counts = counts_of(p, head, cell);
  int total = 0, chunk_begin = 0, chunk = 0;
  const auto close_chunk = [&](int end) {
    if (end > chunk_begin)
      atomicAdd(scratch.tile_items + (head * scratch.chunks + chunk) * scratch.tiles + tile, items_of(end - chunk_begin, p.item_tokens));
    chunk_begin = end;
    ++chunk;
  };
  for (int first = 0; first < p.segments; first += 32) {
    const int segment = first + lane;
    const int count = segment < p.segments ? counts[segment] : 0;
    int sum = count;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
      const int left = __shfl_up_sync(~0u, sum, step);
      if (lane >= step) sum += left;
    }
    const int before = total + sum - count;
    if (segment < p.segments) counts[segment] = before;
    // A chunk ends where the next one's first segment starts.
    for (int next = (chunk + 1) * p.chunk_segments; next < first + 32 && next < p.segments; next += p.chunk_segments) {
      const int end = __shfl_sync(~0u, before, next - first);
      if (lane == 0)
        close_chunk(end);
      else {
        chunk_begin = end;
        ++chunk;
      }
    }
    total += __shfl_sync(~0u, sum, 31);
  }
  if (lane != 0) return;
  close_chunk(total);
  scratch.cell_entries[row] = total;
  if (total > 0) atomicAdd(scratch.tile_entries + head * scratch.tiles + tile, total);
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
    const int* counts = counts_of(p, head, cell);
    entries = scratch.cell_entries[row];
    run_begin = counts[segment_begin];
    run_end = segment_end < p.segments ? counts[segment_end] : entries;
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

/// Grid: Hkv * ceil(S / warps).
template <Shape kShape, Config kConfig>
FSA_DEVICE void fill(const Params& p) {
  extern __shared__ int counters[];  // [warps, counter_pitch]: next entry of each cell for the warp's segment
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const SegmentGroup group(p, kConfig.warps, warp, kShape.topk);
  const int pass_cells = min(p.cells, kConfig.pass_cells());
  const int pitch = kConfig.counter_pitch(pass_cells);
  int* positions = p.entry_position + static_cast<long long>(group.head) * p.total_q * kShape.topk;
  const unsigned lanes_before = (1u << lane) - 1;
  for (int first_cell = 0; first_cell == 0 || first_cell < p.cells; first_cell += pass_cells) {
    const int cells = min(pass_cells, p.cells - first_cell);
    __syncthreads();
    for (int i = threadIdx.x; i < cells * kConfig.warps; i += kConfig.threads()) {
      const int cell = i / kConfig.warps, w = i % kConfig.warps;
      if (group.first_segment + w < p.segments)
        counters[w * pitch + cell] =
            p.cell_offset[group.head * p.cells + first_cell + cell] + counts_of(p, group.head, first_cell + cell)[group.first_segment + w];
    }
    __syncthreads();
    int* mine = counters + warp * pitch;
    for_each_slot<kShape>(p, group, lane, [&](int slot, int token, int cell) {
      const int local = cell - first_cell;
      const bool here = cell >= first_cell && local < cells;
      const unsigned peers = __match_any_sync(~0u, here ? local : -1);
      int entry = 0;
      if (here && !(peers & lanes_before)) {
        entry = mine[local];
        mine[local] = entry + __popc(peers);
      }
      entry = __shfl_sync(~0u, entry, __ffs(peers) - 1) + __popc(peers & lanes_before);
      __syncwarp();
      if (here) {
        p.entry_token[entry] = token;
        positions[slot] = entry;
      } else if (slot >= 0 && cell < 0 && first_cell == 0) {
        positions[slot] = -1;
      }
    });
    if (pass_cells == 0) break;
  }
}

}  // namespace fsa::block_index
