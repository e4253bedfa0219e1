// Owns the CPU kernels of block_index: a counting sort of block_indices by cell, in three launches.
#include "block_index/cpu_config.h"
#include "block_index/params.h"
#include "cpu/sequence.h"

namespace fsa::block_index {

struct Constants {
  Shape shape;
  CpuConfig config;
};
extern "C" {
extern const Constants fsa_constants;
}

namespace {

using cpu::Sequence;

/// One segment of one kv head.
struct Segment {
  int head, index, begin, end;
};

FSA_INLINE Segment segment(const Params& p, long item) {
  Segment s;
  s.head = static_cast<int>(item / p.segments);
  s.index = static_cast<int>(item % p.segments);
  s.begin = s.index * p.segment_tokens;
  s.end = p.total_q - s.begin < p.segment_tokens ? p.total_q : s.begin + p.segment_tokens;
  return s;
}

/// Counts of `segment` over the cells: element c is at [c * segments].
FSA_INLINE int* segment_counts(const Params& p, const Segment& s) { return p.segment_counts + static_cast<long>(s.head) * p.cells * p.segments + s.index; }

/// Calls visit(token, slot, cell) for every slot of the segment: cell -1 where the slot holds no block that the token sees.
/// A block that a token lists twice counts once: only the first slot gets the cell.
template <class Visit>
FSA_INLINE void for_slots(const Params& p, const Segment& segment, int* latest, Visit visit) {
  const int topk = fsa_constants.shape.topk, block_size = fsa_constants.shape.block_size;
  for (int c = 0; c < p.cells; ++c) latest[c] = -1;
  int next = segment.begin;
  const auto skip_to = [&](int token) FSA_INLINE_LAMBDA {
    for (; next < token; ++next)
      for (int slot = 0; slot < topk; ++slot) visit(next, slot, -1);
  };
  cpu::for_sequences(p.cu_q, p.cu_k, p.num_seqs, p.total_q, p.total_k, segment.begin, segment.end, [&](const Sequence& s, int first, int end) FSA_INLINE_LAMBDA {
    skip_to(first);
    const int first_cell = s.k_begin / block_size + s.index;
    for (; next < end; ++next) {
      const int* blocks = p.block_indices + (static_cast<long>(segment.head) * p.total_q + next) * topk;
      for (int slot = 0; slot < topk; ++slot) {
        int cell = cpu::sees_block(blocks[slot], s.position(next), block_size) ? first_cell + blocks[slot] : p.cells;
        if (cell >= p.cells || latest[cell] == next) cell = -1;
        if (cell >= 0) latest[cell] = next;
        visit(next, slot, cell);
      }
    }
  });
  skip_to(segment.end);
}

}  // namespace

/// Item: a segment of a kv head. Counts its entries by cell.
extern "C" void kernel_entry_count(const Params* params, long item, void* scratch) {
  const Params& p = *params;
  const Segment s = segment(p, item);
  int* counts = segment_counts(p, s);
  for (int c = 0; c < p.cells; ++c) counts[static_cast<long>(c) * p.segments] = 0;
  for_slots(p, s, static_cast<int*>(scratch), [&](int, int, int cell) FSA_INLINE_LAMBDA {
    if (cell >= 0) ++counts[static_cast<long>(cell) * p.segments];
  });
}

/// One item: prefix sums over (head, cell, segment), the cells' offsets, and the work items in that order.
extern "C" void kernel_entry_scan(const Params* params, long, void*) {
  const Params& p = *params;
  const long cells = static_cast<long>(p.heads_kv) * p.cells;
  int sum = 0, items = 0;
  for (long cell = 0; cell < cells; ++cell) {
    p.cell_offset[cell] = sum;
    int* counts = p.segment_counts + cell * p.segments;
    for (int s = 0; s < p.segments; ++s) {
      const int count = counts[s];
      counts[s] = sum;
      sum += count;
    }
    for (int first = p.cell_offset[cell]; first < sum; first += p.item_tokens, ++items) {
      int* work = p.work_items + 4l * items;
      work[0] = static_cast<int>(cell / p.cells);
      work[1] = static_cast<int>(cell % p.cells);
      work[2] = first;
      work[3] = sum - first < p.item_tokens ? sum - first : p.item_tokens;
    }
  }
  p.cell_offset[cells] = sum;
  *p.work_count = items;
}

/// Item: a segment of a kv head. Writes its entries behind those of the segments before it: tokens of a cell ascend.
extern "C" void kernel_entry_fill(const Params* params, long item, void* scratch) {
  const Params& p = *params;
  const Segment s = segment(p, item);
  int* next = segment_counts(p, s);
  for_slots(p, s, static_cast<int*>(scratch), [&](int token, int slot, int cell) FSA_INLINE_LAMBDA {
    int entry = -1;
    if (cell >= 0) {
      entry = next[static_cast<long>(cell) * p.segments]++;
      p.entry_token[entry] = token;
    }
    p.entry_position[(static_cast<long>(s.head) * p.total_q + token) * fsa_constants.shape.topk + slot] = entry;
  });
}

}  // namespace fsa::block_index
