// The problems of the families that selected attention is made of.
#include <cmath>

#include "templates/selected_problem.h"
#include "tests/families/problems/problems.h"

namespace fsa::test {
namespace {

/// The same with outputs in f32.
SelectedProblem with_f32_output(SelectedProblem p) {
  p.output = Element::kF32;
  return p;
}

std::vector<SelectedProblem> compiled(Backend backend) {
  const auto problem = [](Element element, int d, int dv, int group, int block_size, int topk) {
    return SelectedProblem{.element = element,
                           .output = element,
                           .head_dim = d,
                           .head_dim_v = dv,
                           .group = group,
                           .block_size = block_size,
                           .topk = topk,
                           .heads_kv = 4,
                           .num_seqs = 1,
                           .total_q = 65536,
                           .total_k = 65536,
                           .scale = 1 / std::sqrt(static_cast<float>(d))};
  };
  constexpr Element kB = Element::kBF16, kH = Element::kF16, kF = Element::kF32;
  if (backend == Backend::kCpu)
    return {problem(kB, 128, 128, 4, 64, 16), problem(kB, 64, 64, 1, 64, 16),   problem(kH, 128, 128, 4, 64, 16),
            problem(kH, 72, 40, 3, 32, 4),    problem(kF, 128, 128, 4, 64, 16), problem(kF, 64, 64, 1, 64, 16),
            with_f32_output(problem(kB, 64, 64, 4, 64, 16))};
  return {problem(kB, 128, 128, 4, 64, 16), problem(kB, 128, 128, 1, 64, 16), problem(kB, 128, 128, 16, 64, 16),
          problem(kB, 128, 128, 4, 128, 8), problem(kH, 64, 64, 8, 64, 16),   problem(kH, 256, 256, 4, 64, 16),
          problem(kB, 256, 256, 1, 128, 8), problem(kB, 192, 128, 2, 64, 16), problem(kH, 72, 40, 3, 32, 4),
          problem(kB, 16, 16, 1, 16, 1),    problem(kB, 96, 96, 5, 16, 64),   problem(kB, 16, 256, 7, 48, 3),
          with_f32_output(problem(kB, 128, 128, 4, 64, 16)), with_f32_output(problem(kH, 256, 72, 2, 64, 4))};
}

std::vector<SelectedProblem> planned(Backend backend) {
  std::vector<SelectedProblem> problems{
      {.head_dim = 128, .head_dim_v = 128, .group = 4, .topk = 16, .heads_kv = 4, .total_q = 65536, .total_k = 65536, .scale = 0.1f},
      {.head_dim = 16, .head_dim_v = 16, .group = 1, .block_size = 16, .topk = 1, .total_q = 10, .total_k = 10, .scale = 0.1f},
      {.head_dim = 256,
       .head_dim_v = 256,
       .group = 16,
       .block_size = 128,
       .topk = 64,
       .heads_kv = 2,
       .num_seqs = 3,
       .total_q = 999,
       .total_k = 3000,
       .scale = 0.1f},
      {.element = Element::kF16,
       .output = Element::kF32,
       .head_dim = 72,
       .head_dim_v = 200,
       .group = 7,
       .block_size = 112,
       .topk = 3,
       .total_q = 500,
       .total_k = 500,
       .scale = 0.1f},
      {.num_seqs = 0, .total_q = 0, .total_k = 0, .scale = 0.1f}};
  if (backend == Backend::kCpu)
    problems.push_back({.element = Element::kF32, .output = Element::kF32, .head_dim = 64, .head_dim_v = 64, .total_q = 100, .total_k = 100, .scale = 0.1f});
  for (SelectedProblem& p : problems) {
    p.item_tokens = 128;
    p.partial = backend == Backend::kCpu ? 2 : 0;
  }
  return problems;
}

std::vector<Json> as_json(const std::vector<SelectedProblem>& problems) {
  std::vector<Json> list;
  for (const SelectedProblem& p : problems) list.push_back(to_json(selected_problem_fields(), p));
  return list;
}

}  // namespace

FamilyProblems selected_problems(Backend backend) { return {.compiled = as_json(compiled(backend)), .planned = as_json(planned(backend))}; }

FamilyProblems partial_reduce_problems(Backend backend) {
  FamilyProblems problems = selected_problems(backend);
  const auto gated = [](Json problem, const char* gates) {
    problem["gated"] = 1;
    problem["gates"] = gates;
    return problem;
  };
  problems.compiled.insert(problems.compiled.end(), {gated(problems.compiled[0], "bf16"), gated(problems.compiled[3], "f32"),
                                                     gated(problems.compiled.back(), "f16")});
  problems.planned.insert(problems.planned.end(), {gated(problems.planned[0], "bf16"), gated(problems.planned[3], "f32")});
  if (backend == Backend::kCuda)
    for (const std::size_t i : {0, 4}) {  // head_dim_v 128 and 64
      Json packed = problems.compiled[i];
      packed["partial"] = "i12";
      problems.compiled.push_back(packed);
      problems.planned.push_back(gated(packed, "bf16"));
      Json scaled = gated(packed, "bf16");
      scaled["scaled"] = 1;
      problems.compiled.push_back(scaled);
      problems.planned.push_back(scaled);
    }
  return problems;
}

FamilyProblems shared_reduce_problems(Backend backend) {
  // One warpgroup kernel for all: models' shapes, the most registers, odd groups and dims, the smallest blocks.
  const std::vector<Json> all = selected_problems(backend).compiled;
  Json gated = all[0];
  gated["partial"] = "i12";
  gated["gated"] = gated["scaled"] = 1;
  gated["gates"] = "bf16";
  Json wide = all[5];
  wide["block_size"] = 32;
  FamilyProblems problems{.compiled = {gated, all[3], all[4], wide, all[8], all[10]}, .planned = {gated, all[0], all[8], all[11]}};
  Json empty = all[0];
  empty["num_seqs"] = empty["total_q"] = empty["total_k"] = 0;
  problems.planned.push_back(empty);
  return problems;
}

}  // namespace fsa::test
