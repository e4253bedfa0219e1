// Owns the CPU kernel of selected_block_major: one key block at a time, against all the queries that select it.
#include "cpu/chunk.h"
#include "selected_block_major/cpu_config.h"
#include "selected_block_major/params.h"

namespace fsa::selected_block_major {

struct Constants {
  Shape shape;
  CpuConfig config;
};
extern "C" {
extern const Constants fsa_constants;
}

namespace {

using cpu::Sequence;

struct Kernel {
  static constexpr bool kStartsMove = false;
  FSA_INLINE static cpu::TileShape tile() { return tile_shape(fsa_constants.shape, fsa_constants.config); }
};

/// The lists block -> tokens of one sequence's part of a chunk, by a counting sort.
class ChunkLists {
 public:
  FSA_INLINE ChunkLists(const Params& p, int head, int* scratch, const CpuScratch& s)
      : p_(p), head_(head), offsets_(scratch + s.offsets), latest_(scratch + s.latest), tokens_(scratch + s.tokens) {}

  /// Lists the tokens [first, end) of `s`; returns the number of blocks that may have a list.
  FSA_NOINLINE int build(const Sequence& s, int first, int end) {
    const int blocks = s.position(end - 1) < 0 ? 0 : s.position(end - 1) / block_size() + 1;
    for (int j = 0; j <= blocks; ++j) offsets_[j] = 0;
    for (int j = 0; j < blocks; ++j) latest_[j] = -1;
    for_entries(s, first, end, 1, [&](int j, int) FSA_INLINE_LAMBDA { ++offsets_[j]; });
    int sum = 0;
    for (int j = 0; j < blocks; ++j) {
      sum += offsets_[j];
      offsets_[j] = sum;
    }
    offsets_[blocks] = sum;
    // Filled from behind, so that each offset ends at its list's start and the tokens ascend.
    for_entries(s, end - 1, first - 1, -1, [&](int j, int token) FSA_INLINE_LAMBDA { tokens_[--offsets_[j]] = token; });
    return blocks;
  }

  FSA_INLINE const int* tokens(int block) const { return tokens_ + offsets_[block]; }
  FSA_INLINE int count(int block) const { return offsets_[block + 1] - offsets_[block]; }
  /// The first block from `block` on that has a list; -1 when none has.
  FSA_INLINE int next(int block, int blocks) const {
    while (block < blocks && count(block) == 0) ++block;
    return block < blocks ? block : -1;
  }

 private:
  static int block_size() { return fsa_constants.shape.block_size; }

  /// Calls visit(block, token) for every block a token sees, once each, tokens from `first` to `last` (exclusive) by `step`.
  template <class Visit>
  FSA_INLINE void for_entries(const Sequence& s, int first, int last, int step, Visit visit) {
    const int topk = fsa_constants.shape.topk;
    for (int token = first; token != last; token += step) {
      const int mark = step > 0 ? token : -2 - token, position = s.position(token);
      const int* blocks = p_.block_indices + (static_cast<long>(head_) * p_.total_q + token) * topk;
#pragma clang loop unroll(disable) vectorize(disable)
      for (int slot = 0; slot < topk; ++slot) {
        const int j = blocks[slot];
        if (!cpu::sees_block(j, position, block_size()) || latest_[j] == mark) continue;
        latest_[j] = mark;
        visit(j, token);
      }
    }
  }

  const Params& p_;
  int head_;
  int* offsets_;
  int* latest_;
  int* tokens_;
};

/// A chunk of queries of one kv head. Late chunks have most to do (early tokens see few blocks) and so come first.
FSA_INLINE void run_in_place(const Params& p, long item, float* scratch) {
  const CpuConfig& config = fsa_constants.config;
  const CpuScratch s = cpu_scratch(fsa_constants.shape, config, most_blocks(p.total_k, fsa_constants.shape.block_size));
  const int chunks = cpu::ceil_div(p.total_q, config.chunk);
  const int head = static_cast<int>(item % p.heads_kv), begin = (chunks - 1 - static_cast<int>(item / p.heads_kv)) * config.chunk;
  const int end = p.total_q - begin < config.chunk ? p.total_q : begin + config.chunk;
  cpu::Chunk<Kernel> chunk(cpu::operands(p), p.scale, scratch, scratch + s.states, head, begin, end);
  ChunkLists lists(p, head, reinterpret_cast<int*>(scratch), s);
  chunk.init();
  cpu::for_sequences(p.cu_q, p.cu_k, p.num_seqs, p.total_q, p.total_k, begin, end, [&](const Sequence& sequence, int first, int last) FSA_INLINE_LAMBDA {
    const int blocks = lists.build(sequence, first, last);
    for (int j = lists.next(0, blocks), next; j >= 0; j = next) {
      next = lists.next(j + 1, blocks);
      chunk.attend(sequence, j, next, lists.tokens(j), lists.count(j));
    }
  });
  chunk.store_outputs(fsa_constants.shape.output);
}

/// The sequence that cell `cell` belongs to: the last one that starts at or before it.
FSA_INLINE int sequence_of_cell(const Params& p, int cell) {
  int low = 0, high = p.num_seqs - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (cpu::clamp(p.cu_k[middle], 0, p.total_k) / fsa_constants.shape.block_size + middle <= cell) low = middle;
    else high = middle - 1;
  }
  return low;
}

/// One of block_index's work items: a run of a cell's entries, each row stored on its own.
FSA_INLINE void run_partials(const Params& p, long item, float* scratch) {
  if (item >= *p.work_count) return;
  const int* work = p.work_items + 4 * item;
  const int head = work[0], cell = work[1], first = work[2], count = work[3];
  const cpu::TileShape t = Kernel::tile();
  const int b = sequence_of_cell(p, cell), group = t.shape.group;
  const Sequence s = cpu::sequence(p.cu_q, p.cu_k, b, p.total_q, p.total_k);
  const int block = cell - (s.k_begin / t.shape.block_size + b);
  // Ascending tokens of one sequence, unless the prefix sums are broken: then there is nothing right to compute.
  const int first_token = p.entry_token[first], last_token = p.entry_token[first + count - 1];
  if (last_token >= s.q_end || !cpu::sees_block(block, s.position(first_token), t.shape.block_size)) return;
  float* states = scratch + cpu_scratch(t.shape, fsa_constants.config, 0).states;
  // The chunk machinery, with a state for each row of a tile instead of each row of a run of tokens.
  cpu::BlockRun<Kernel> run(cpu::operands(p), p.scale, scratch, head);
  run.open(s, block, last_token);
  const long rows = static_cast<long>(count) * group;
  for (long row = 0; row < rows; row += cpu::kTileRows) {
    const int tile = rows - row < cpu::kTileRows ? static_cast<int>(rows - row) : cpu::kTileRows;
    cpu::TileRows members;
    for (int r = 0; r < tile; ++r) {
      float* state = states + r * cpu::state_floats(t);
      run.engine().init_state(state);
      run.add(members, p.entry_token[first + (row + r) / group], static_cast<int>((row + r) % group), state);
    }
    run.engine().attend(members);
    for (int r = 0; r < tile; ++r) {
      const long out = static_cast<long>(first) * group + row + r;
      run.engine().finish(members.state[r], Element::kF32, static_cast<char*>(p.partial_o) + out * t.shape.head_dim_v * 4, p.partial_lse + out);
    }
  }
  for (int entry = first; entry < first + count; ++entry) p.entry_scale[entry] = 1.0f;
}

}  // namespace

extern "C" void kernel_entry(const Params* params, long item, void* scratch) {
  if (fsa_constants.config.merge == Merge::kInPlace)
    run_in_place(*params, item, static_cast<float*>(scratch));
  else
    run_partials(*params, item, static_cast<float*>(scratch));
}

}  // namespace fsa::selected_block_major
