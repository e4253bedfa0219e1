// Owns the CPU kernel of gated_combine: the gated sum of the three branches' outputs.
#include "cpu/gates.h"
#include "gated_combine/cpu_config.h"
#include "gated_combine/params.h"

namespace fsa::gated_combine {

struct Constants {
  Shape shape;
  CpuConfig config;
};
extern "C" {
extern const Constants fsa_constants;
}

namespace {

using namespace cpu;

/// Columns [column, column + n) of a row, n = 8 or 16.
FSA_INLINE void combine_columns(const Params& p, const Gates& gates, int token, int head, int column, int n, char* out) {
  const Element element = fsa_constants.shape.element;
  const F32x16 sum =
      gates.sum(load_branch(p.o_cmp, p.cmp_stride, token, head, column, n), load_branch(p.o_sel, p.sel_stride, token, head, column, n),
                load_branch(p.o_win, p.win_stride, token, head, column, n));
  store_elements(element, out + column * bytes_of(element), sum, n);
}

FSA_INLINE void combine_row(const Params& p, int token, int head) {
  const int columns = fsa_constants.shape.head_dim_v, whole = columns / kLanes * kLanes;
  const Gates gates = Gates::load(fsa_constants.shape.gates, p.gates, p.gates_stride, token, head);
  const long offset = token * p.out_stride.token + head * p.out_stride.head;
  char* out = static_cast<char*>(p.out) + offset * bytes_of(fsa_constants.shape.element);
#pragma clang loop unroll(disable)
  for (int column = 0; column < whole; column += kLanes) combine_columns(p, gates, token, head, column, kLanes, out);
  if (whole < columns) combine_columns(p, gates, token, head, whole, kLanes / 2, out);
}

}  // namespace

/// Item: a run of tokens.
extern "C" void kernel_entry(const Params* params, long item, void*) {
  const Params& p = *params;
  const int tokens = fsa_constants.config.tokens, begin = static_cast<int>(item) * tokens;
  const int end = p.total_q - begin < tokens ? p.total_q : begin + tokens;
  for (int token = begin; token < end; ++token)
    for (int head = 0; head < p.heads_q; ++head) combine_row(p, token, head);
}

}  // namespace fsa::gated_combine
