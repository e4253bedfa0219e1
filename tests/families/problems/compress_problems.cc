// The problems of compression and of the gated sum.
#include "templates/compress_kv/problem.h"
#include "templates/compressed_sequences/problem.h"
#include "templates/gated_combine/problem.h"
#include "tests/families/problems/problems.h"

namespace fsa::test {
namespace {

using compress_kv::Mode;

constexpr Element kB = Element::kBF16, kH = Element::kF16, kF = Element::kF32;

CompressKvProblem compression(Element element, Mode mode, int positional, int kernel_size, int stride, int d) {
  return {.element = element,
          .mode = mode,
          .positional = positional,
          .kernel_size = kernel_size,
          .stride = stride,
          .head_dim = d,
          .heads_kv = 4,
          .num_seqs = 1,
          .total_k = 65536,
          .total_c = (65536 - kernel_size) / stride + 1};
}

template <class Problem>
std::vector<Json> as_json(const FieldTable<Problem>& fields, const std::vector<Problem>& problems) {
  std::vector<Json> list;
  for (const Problem& p : problems) list.push_back(to_json(fields, p));
  return list;
}

}  // namespace

FamilyProblems compress_kv_problems(Backend backend) {
  std::vector<CompressKvProblem> compiled{compression(kB, Mode::kLinear, 1, 32, 16, 128), compression(kB, Mode::kWeighted, 0, 32, 16, 128),
                                          compression(kH, Mode::kMean, 0, 32, 16, 64), compression(kH, Mode::kLinear, 1, 16, 8, 72)};
  if (backend == Backend::kCuda)
    compiled.insert(compiled.end(), {compression(kB, Mode::kLinear, 0, 32, 16, 64), compression(kH, Mode::kLinear, 0, 32, 16, 192),
                                     compression(kB, Mode::kLinear, 1, 64, 16, 256), compression(kB, Mode::kLinear, 1, 5, 5, 16),
                                     compression(kB, Mode::kLinear, 0, 16, 16, 96), compression(kH, Mode::kLinear, 0, 7, 1, 240),
                                     compression(kB, Mode::kWeighted, 0, 13, 13, 72), compression(kB, Mode::kMean, 0, 256, 64, 256)});
  std::vector<CompressKvProblem> planned{
      compression(kB, Mode::kLinear, 1, 32, 16, 128),
      compression(kB, Mode::kMean, 0, 32, 16, 128),
      compression(kH, Mode::kLinear, 1, 256, 1, 256),
      compression(kH, Mode::kLinear, 0, 1, 1, 16),
      {.element = kB,
       .mode = Mode::kWeighted,
       .kernel_size = 12,
       .stride = 4,
       .head_dim = 200,
       .num_seqs = 3,
       .total_k = 100,
       .total_c = 25},
      {.mode = Mode::kLinear, .positional = 1, .head_dim = 104, .num_seqs = 0, .total_k = 0, .total_c = 0}};
  if (backend == Backend::kCpu) {
    for (Mode mode : {Mode::kMean, Mode::kWeighted, Mode::kLinear}) compiled.push_back(compression(kF, mode, 0, 32, 16, 128));
    compiled.push_back(compression(kB, Mode::kLinear, 1, 16, 16, 40));
    planned.push_back(compression(kF, Mode::kLinear, 1, 32, 16, 88));
  }
  return {.compiled = as_json(compress_kv::problem_fields(), compiled), .planned = as_json(compress_kv::problem_fields(), planned)};
}

FamilyProblems compressed_sequences_problems(Backend) {
  const std::vector<CompressedSequencesProblem> problems{{.kernel_size = 32, .stride = 16, .num_seqs = 1},
                                                         {.kernel_size = 1, .stride = 1, .num_seqs = 0},
                                                         {.kernel_size = 256, .stride = 32, .num_seqs = 5000}};
  const auto list = as_json(compressed_sequences::problem_fields(), problems);
  return {.compiled = list, .planned = list};
}

FamilyProblems gated_combine_problems(Backend) {
  const auto& fields = gated_combine::problem_fields();
  return {
      .compiled = as_json<GatedCombineProblem>(fields, {{.element = kB, .gates = kB, .head_dim_v = 128, .heads_q = 16, .total_q = 65536},
                                                        {.element = kH, .gates = kF, .head_dim_v = 64, .heads_q = 8, .total_q = 4096},
                                                        {.element = kF, .gates = kH, .head_dim_v = 72, .heads_q = 3, .total_q = 100}}),
      .planned = as_json<GatedCombineProblem>(fields, {{.element = kB, .gates = kB, .head_dim_v = 256, .heads_q = 64, .total_q = 1 << 20},
                                                       {.element = kF, .gates = kF, .head_dim_v = 16, .heads_q = 1, .total_q = 1},
                                                       {.element = kH, .gates = kB, .head_dim_v = 200, .heads_q = 7, .total_q = 0}})};
}

}  // namespace fsa::test
