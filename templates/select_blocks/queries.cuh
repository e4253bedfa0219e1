#pragma once
// Owns what a thread block of select_blocks works on: its queries, and the blocks and keys that their choice depends on. T::kTokens
// queries and T::kKeys compressed keys make a step; T::kShapeOf is the Shape.
#include "cuda/sequences.cuh"
#include "select_blocks/params.h"

namespace fsa::select_blocks {

/// The queries of a thread block: consecutive tokens of one sequence, of one kv head.
struct Queries {
  int head;
  int first_token, tokens;  // packed; 1 and up
  int position;             // of the first one
  int first_key;            // row of ck of the sequence's first compressed key
  int len_c;                // compressed keys of the sequence
};

FSA_DEVICE int clamp(int x, int low, int high) { return max(low, min(x, high)); }

/// The tile of queries of this thread block. Sequence b owns the tiles from cu_q[b] / tokens + b on, so that no two
/// sequences share one; false where there is no query in it. Broken prefix sums are clamped into the tensors.
template <class T>
FSA_DEVICE bool load_queries(const Params& p, Queries& queries) {
  const int tiles = p.total_q / T::kTokens + p.num_seqs;
  const int tile = tiles - 1 - static_cast<int>(blockIdx.x) / p.heads_kv;  // late queries see most: the longest first
  const int b = cuda::warp_last_not_above(p.num_seqs, tile, threadIdx.x % 32, [&](int x) { return __ldg(p.cu_q + x) / T::kTokens + x; });
  if (b < 0) return false;
  const int q_begin = clamp(__ldg(p.cu_q + b), 0, p.total_q), q_end = clamp(__ldg(p.cu_q + b + 1), q_begin, p.total_q);
  const int k_begin = clamp(__ldg(p.cu_k + b), 0, p.total_k), k_end = clamp(__ldg(p.cu_k + b + 1), k_begin, p.total_k);
  const int c_begin = clamp(__ldg(p.cu_c + b), 0, p.total_c), c_end = clamp(__ldg(p.cu_c + b + 1), c_begin, p.total_c);
  const int local = tile - (__ldg(p.cu_q + b) / T::kTokens + b);
  if (local < 0 || local >= ceil_div(q_end - q_begin, T::kTokens)) return false;
  queries.head = static_cast<int>(blockIdx.x) % p.heads_kv;
  queries.first_token = q_begin + local * T::kTokens;
  queries.tokens = min(T::kTokens, q_end - queries.first_token);
  queries.position = (queries.first_token - q_end) + (k_end - k_begin);
  queries.first_key = c_begin;
  queries.len_c = c_end - c_begin;
  return true;
}

/// The work of a thread block: blocks and keys that some query's choice depends on.
struct Extent {
  int blocks;        // blocks [0, blocks) are candidates
  int keys;          // compressed keys [0, keys) are seen and matter
  int steps, dense;  // steps of T::kKeys that finish those blocks; the first `dense` of them have keys
};

template <class T>
FSA_DEVICE Extent extent_of(const Queries& queries) {
  const int last = queries.position + queries.tokens - 1;
  Extent e;
  e.blocks = T::kShapeOf.choice_end(T::kShapeOf.own_block(last));
  e.keys = min(T::kShapeOf.visible_keys(last, queries.len_c), e.blocks * T::kPerBlock);
  e.steps = ceil_div(e.blocks * T::kPerBlock, T::kKeys);
  e.dense = ceil_div(e.keys, T::kKeys);
  return e;
}

/// Where the blocks of the query `token` of the thread block go.
template <class T>
FSA_DEVICE int* blocks_of(const Params& p, const Queries& queries, int token) {
  return p.block_indices + (static_cast<long long>(queries.head) * p.total_q + queries.first_token + token) * T::kTopk;
}

/// Writes a query's blocks, ascending: all of them where they fit, else the forced ones and the T::kChoices in `chosen`, which are
/// kStride apart in any order. The work of kWorkers threads, of which this is number `worker`.
template <class T, int kWorkers, int kStride>
FSA_DEVICE void store_blocks(int* out, int own, const int* chosen, int worker) {
  if (own < T::kTopk) {
    for (int i = worker; i < T::kTopk; i += kWorkers) out[i] = i <= own ? i : -1;
    return;
  }
  constexpr bool kCompete = T::kShapeOf.forced_compete();
  constexpr int kFirst = kCompete ? 0 : T::kShapeOf.init_blocks, kLocal = kCompete ? 0 : T::kShapeOf.local_blocks;
  for (int i = worker; i < kFirst; i += kWorkers) out[i] = i;
  for (int i = worker; i < kLocal; i += kWorkers) out[kFirst + T::kChoices + i] = own + 1 - kLocal + i;
  for (int i = worker; i < T::kChoices; i += kWorkers) {
    const int block = chosen[i * kStride];
    int rank = 0;
    for (int j = 0; j < T::kChoices; ++j) rank += chosen[j * kStride] < block;
    out[kFirst + rank] = block;
  }
}

}  // namespace fsa::select_blocks
