// The problems of select_blocks.
#include <algorithm>
#include <cmath>

#include "templates/select_blocks/problem.h"
#include "tests/families/problems/problems.h"

namespace fsa::test {
namespace {

using select_blocks::Problem;

/// `tokens` of one sequence each way.
Problem problem(Element element, int d, int group, int kernel_size, int stride, int block_size, int topk, std::int64_t tokens = 65536) {
  return {.element = element,
          .head_dim = d,
          .group = group,
          .kernel_size = kernel_size,
          .stride = stride,
          .block_size = block_size,
          .topk = topk,
          .heads_kv = 4,
          .total_q = tokens,
          .total_k = tokens,
          .total_c = std::max<std::int64_t>(0, (tokens - kernel_size) / stride + 1),
          .scale = 1 / std::sqrt(static_cast<float>(d))};
}

constexpr Element kB = Element::kBF16, kH = Element::kF16, kF = Element::kF32;

std::vector<Problem> compiled(Backend backend) {
  std::vector<Problem> list{problem(kB, 128, 4, 32, 16, 64, 16), problem(kB, 128, 1, 32, 16, 64, 16), problem(kB, 128, 16, 32, 16, 64, 16),
                            problem(kH, 64, 8, 32, 16, 64, 16)};
  if (backend == Backend::kCpu) {
    list.push_back(problem(kF, 128, 4, 32, 16, 64, 16));
    list.push_back(problem(kF, 72, 3, 48, 16, 48, 3));
    return list;
  }
  list.insert(list.end(), {problem(kB, 256, 4, 32, 16, 64, 16), problem(kH, 256, 16, 64, 16, 128, 64), problem(kB, 192, 2, 32, 32, 64, 16),
                           problem(kB, 128, 100, 32, 16, 64, 16), problem(kH, 72, 3, 48, 16, 48, 3), problem(kB, 16, 1, 1, 1, 16, 1),
                           problem(kB, 96, 5, 256, 1, 16, 64), problem(kB, 16, 7, 16, 16, 16, 8)});
  Problem compete = problem(kB, 128, 4, 32, 16, 64, 8);
  compete.init_blocks = 4;
  compete.local_blocks = 12;
  Problem forced = problem(kB, 64, 2, 128, 8, 16, 4);
  forced.local_blocks = 3;
  list.insert(list.end(), {compete, forced});
  return list;
}

std::vector<Problem> planned(Backend backend) {
  std::vector<Problem> list{problem(kB, 128, 4, 32, 16, 64, 16),         problem(kB, 16, 1, 1, 1, 16, 1, 10),
                            problem(kH, 256, 64, 256, 1, 128, 64, 3000), problem(kH, 72, 7, 112, 16, 112, 3, 500),
                            problem(kB, 64, 300, 32, 16, 64, 16, 100),   problem(kB, 128, 4, 32, 16, 64, 16, 0)};
  list[2].num_seqs = 3;
  list.back().num_seqs = 0;
  if (backend == Backend::kCpu) list.push_back(problem(kF, 64, 1, 32, 16, 64, 16, 100));
  return list;
}

std::vector<Json> as_json(const std::vector<Problem>& problems) {
  std::vector<Json> list;
  for (const Problem& p : problems) list.push_back(to_json(select_blocks::problem_fields(), p));
  return list;
}

}  // namespace

FamilyProblems select_blocks_problems(Backend backend) {
  return {.compiled = as_json(compiled(backend)), .planned = as_json(planned(backend))};
}

}  // namespace fsa::test
