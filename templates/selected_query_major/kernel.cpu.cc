// Owns the CPU kernel of selected_query_major: a few neighbouring queries at a time, over the union of their key blocks.
#include "cpu/chunk.h"
#include "selected_query_major/cpu_config.h"
#include "selected_query_major/params.h"

namespace fsa::selected_query_major {

struct Constants {
  Shape shape;
  CpuConfig config;
};
extern "C" {
extern const Constants fsa_constants;
}

namespace {

using cpu::Sequence;
using Set = unsigned long long;

struct Kernel {
  static constexpr bool kStartsMove = false;
  FSA_INLINE static cpu::TileShape tile() { return tile_shape(fsa_constants.shape, fsa_constants.config); }
};

/// members[j] = the tokens of [first, end) that see block j, as bits counted from `first`. Returns the number of blocks.
FSA_INLINE int collect(const Params& p, const Sequence& s, int head, int first, int end, Set* members) {
  const int block_size = fsa_constants.shape.block_size, topk = fsa_constants.shape.topk, last = s.position(end - 1);
  const int blocks = last < 0 ? 0 : last / block_size + 1;
  for (int j = 0; j < blocks; ++j) members[j] = 0;
  for (int token = first; token < end; ++token) {
    const int* selected = p.block_indices + (static_cast<long>(head) * p.total_q + token) * topk;
#pragma clang loop unroll(disable) vectorize(disable)
    for (int slot = 0; slot < topk; ++slot)
      if (cpu::sees_block(selected[slot], s.position(token), block_size)) members[selected[slot]] |= Set{1} << (token - first);
  }
  return blocks;
}

/// The first block from `block` on that some token sees; -1 when there is none.
FSA_INLINE int next_block(const Set* members, int block, int blocks) {
  while (block < blocks && !members[block]) ++block;
  return block < blocks ? block : -1;
}

/// Writes the tokens of a set, ascending; returns how many.
FSA_INLINE int expand(Set set, int first, int* tokens) {
  int count = 0;
#pragma clang loop unroll(disable)
  for (; set; set &= set - 1) tokens[count++] = first + __builtin_ctzll(set);
  return count;
}

}  // namespace

/// Item: a run of tokens of one kv head, late ones first (early tokens see few blocks, so the long items start first).
extern "C" void kernel_entry(const Params* params, long item, void* memory) {
  const Params& p = *params;
  const CpuConfig& config = fsa_constants.config;
  float* scratch = static_cast<float*>(memory);
  const CpuScratch layout = cpu_scratch(fsa_constants.shape, config, most_blocks(p.total_k, fsa_constants.shape.block_size));
  const int runs = cpu::ceil_div(p.total_q, config.tokens);
  const int head = static_cast<int>(item % p.heads_kv), begin = (runs - 1 - static_cast<int>(item / p.heads_kv)) * config.tokens;
  const int end = p.total_q - begin < config.tokens ? p.total_q : begin + config.tokens;
  cpu::Chunk<Kernel> chunk(cpu::operands(p), p.scale, scratch, scratch + layout.states, head, begin, end);
  Set* members = reinterpret_cast<Set*>(scratch + layout.members);
  chunk.init();
  cpu::for_sequences(p.cu_q, p.cu_k, p.num_seqs, p.total_q, p.total_k, begin, end, [&](const Sequence& s, int first, int last) FSA_INLINE_LAMBDA {
    const int blocks = collect(p, s, head, first, last, members);
    int tokens[kMaxTokens];
    for (int j = next_block(members, 0, blocks), next; j >= 0; j = next) {
      next = next_block(members, j + 1, blocks);
      chunk.attend(s, j, next, tokens, expand(members[j], first, tokens));
    }
  });
  chunk.store_outputs(fsa_constants.shape.element);
}

}  // namespace fsa::selected_query_major
