// Owns the CPU kernel of gated_combine: the gated sum of the three branches' outputs.
#include "cpu/element.h"
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

/// One row of one branch, and its gate.
struct Branch {
  const char* o;
  float gate;
};

FSA_INLINE Branch branch(const Params& p, const float* o, const RowStrides& stride, int gate, int token, int head) {
  const long at = token * p.gates_stride.token + head * p.gates_stride.head + gate;
  const Element element = fsa_constants.shape.gates;
  return {reinterpret_cast<const char*>(o + token * stride.token + head * stride.head),
          load_element(element, static_cast<const char*>(p.gates) + at * bytes_of(element))};
}

FSA_INLINE F32x16 gated(const Branch& b, int column, int n) {
  return load_elements(Element::kF32, b.o + column * bytes_of(Element::kF32), n) * b.gate;
}

/// Columns [column, column + n) of a row, n = 8 or 16.
FSA_INLINE void combine_columns(const Branch (&branches)[3], int column, int n, char* out) {
  const Element element = fsa_constants.shape.element;
  store_elements(element, out + column * bytes_of(element),
                 gated(branches[0], column, n) + gated(branches[1], column, n) + gated(branches[2], column, n), n);
}

FSA_INLINE void combine_row(const Params& p, int token, int head) {
  const int columns = fsa_constants.shape.head_dim_v, whole = columns / kLanes * kLanes;
  const Branch branches[3] = {branch(p, p.o_cmp, p.cmp_stride, 0, token, head), branch(p, p.o_sel, p.sel_stride, 1, token, head),
                              branch(p, p.o_win, p.win_stride, 2, token, head)};
  const long offset = token * p.out_stride.token + head * p.out_stride.head;
  char* out = static_cast<char*>(p.out) + offset * bytes_of(fsa_constants.shape.element);
#pragma clang loop unroll(disable)
  for (int column = 0; column < whole; column += kLanes) combine_columns(branches, column, kLanes, out);
  if (whole < columns) combine_columns(branches, whole, kLanes / 2, out);
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
