// Owns the CPU kernel of partial_reduce: merges each row's partial outputs by their log-sum-exp.
#include "cpu/exponential.h"
#include "cpu/gates.h"
#include "partial_reduce/cpu_config.h"
#include "partial_reduce/params.h"

namespace fsa::partial_reduce {

struct Constants {
  Shape shape;
  CpuConfig config;
};
extern "C" {
extern const Constants fsa_constants;
}

namespace {

using namespace cpu;

constexpr int kMaxSlots = 64;

/// The partials of one row that saw a key: where each lies and how much it weighs.
struct Partials {
  const float* rows[kMaxSlots];
  float scales[kMaxSlots];
  alignas(64) float weights[kMaxSlots];  // the partial's LSE at first, then its share of the row over its scale
  int count = 0;
  float lse = -kInfinity;
};

/// `entries` [T] holds the entry of each slot of the token, -1 for none.
FSA_INLINE void gather(const Params& p, const int* entries, int h, Partials& partials) {
  const Shape& shape = fsa_constants.shape;
#pragma clang loop unroll(disable)
  for (int slot = 0; slot < shape.topk; ++slot) {
    if (entries[slot] < 0) continue;
    const long row = static_cast<long>(entries[slot]) * shape.group + h;
    if (p.partial_lse[row] == -kInfinity) continue;
    partials.rows[partials.count] = static_cast<const float*>(p.partial_o) + row * shape.head_dim_v;
    partials.scales[partials.count] = p.entry_scale[entries[slot]];
    partials.weights[partials.count++] = p.partial_lse[row];
  }
}

/// LSE to shares of the row's sum; sets the row's own LSE.
FSA_INLINE void weigh(Partials& partials) {
  if (partials.count == 0) return;
  float top = -kInfinity, sum = 0;
  for (int i = 0; i < partials.count; ++i) top = partials.weights[i] > top ? partials.weights[i] : top;
  for (int i = partials.count; i < kMaxSlots; ++i) partials.weights[i] = -kInfinity;
#pragma clang loop unroll(disable)
  for (int i = 0; i < kMaxSlots; i += kLanes) {
    // The difference first: a large LSE would lose its low bits in the change of base.
    const F32x16 share = cpu::exp2((load<F32x16>(partials.weights + i) - top) * kLog2E);
    store(partials.weights + i, share);
    sum += reduce_add(share);
  }
  for (int i = 0; i < partials.count; ++i) partials.weights[i] /= sum * partials.scales[i];
  partials.lse = top + cpu::log2(sum) * kLn2;
}

/// An output row, and where gated, its gates.
struct Row {
  int token, head;
  Gates gates;
  char* o;
};

FSA_INLINE Row output_row(const Params& p, int token, int head) {
  const Shape& shape = fsa_constants.shape;
  Row row{.token = token, .head = head, .gates = {}, .o = static_cast<char*>(p.o)};
  row.o += (token * p.o_stride.token + head * p.o_stride.head) * bytes_of(shape.output);
  if (shape.gated) row.gates = Gates::load(shape.gates, p.gates, p.gates_stride, token, head);
  return row;
}

/// Columns [column, column + n) of the row, n = 8 or 16.
FSA_INLINE void merge_columns(const Params& p, const Partials& partials, const Row& row, int column, int n) {
  F32x16 sum = splat(0);
#pragma clang loop unroll(disable)
  for (int i = 0; i < partials.count; ++i)
    sum = __builtin_elementwise_fma(load_elements(Element::kF32, reinterpret_cast<const char*>(partials.rows[i] + column), n),
                                    splat(partials.weights[i]), sum);
  if (fsa_constants.shape.gated)
    sum = row.gates.sum(load_branch(static_cast<const float*>(p.o_cmp), p.cmp_stride, row.token, row.head, column, n), sum,
                        load_branch(static_cast<const float*>(p.o_win), p.win_stride, row.token, row.head, column, n));
  const Element element = fsa_constants.shape.output;
  store_elements(element, row.o + column * bytes_of(element), sum, n);
}

FSA_INLINE void merge_row(const Params& p, int head, int token, int h) {
  const Shape& shape = fsa_constants.shape;
  const int q_head = head * shape.group + h;
  Partials partials;
  gather(p, p.entry_position + (static_cast<long>(head) * p.total_q + token) * shape.topk, h, partials);
  weigh(partials);
  const Row row = output_row(p, token, q_head);
  const int whole = shape.head_dim_v / kLanes * kLanes;
#pragma clang loop unroll(disable)
  for (int column = 0; column < whole; column += kLanes) merge_columns(p, partials, row, column, kLanes);
  if (whole < shape.head_dim_v) merge_columns(p, partials, row, whole, kLanes / 2);
  p.lse[static_cast<long>(q_head) * p.total_q + token] = partials.lse;
}

}  // namespace

/// Item: a run of tokens of one kv head.
extern "C" void kernel_entry(const Params* params, long item, void*) {
  const Params& p = *params;
  const int tokens = fsa_constants.config.tokens;
  const int head = static_cast<int>(item % p.heads_kv), begin = static_cast<int>(item / p.heads_kv) * tokens;
  const int end = p.total_q - begin < tokens ? p.total_q : begin + tokens;
  for (int token = begin; token < end; ++token)
    for (int h = 0; h < fsa_constants.shape.group; ++h) merge_row(p, head, token, h);
}

}  // namespace fsa::partial_reduce
