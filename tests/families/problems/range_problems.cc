// The problems of compressed attention and of the sliding window.
#include <cmath>

#include "templates/compressed_attention/family.h"
#include "templates/sliding_window/family.h"
#include "tests/families/problems/problems.h"

namespace fsa::test {
namespace {

/// What both families' problems have in common.
struct Common {
  Element element, output;
  int head_dim, head_dim_v, group;
  int heads_kv = 4, num_seqs = 1;
  std::int64_t total_q = 65536, total_k = 65536;
  int scaled = 0;
};

constexpr Element kB = Element::kBF16, kH = Element::kF16, kF = Element::kF32;

std::vector<Common> compiled(Backend backend) {
  if (backend == Backend::kCpu)
    return {{kB, kB, 128, 128, 4}, {kB, kF, 64, 64, 1},   {kH, kF, 128, 128, 4},
            {kH, kH, 72, 40, 3},   {kF, kF, 128, 128, 4}, {kF, kF, 64, 64, 1}};
  return {{kB, kF, 128, 128, 4}, {kB, kB, 128, 128, 1},  {kH, kF, 128, 128, 16}, {kH, kH, 64, 64, 8},   {kB, kF, 64, 64, 4},
          {kH, kH, 256, 256, 4}, {kB, kF, 256, 256, 16}, {kB, kB, 192, 128, 2},  {kB, kF, 192, 192, 1}, {kH, kH, 72, 40, 3},
          {kB, kB, 16, 16, 1},   {kB, kF, 96, 96, 5},    {kB, kB, 16, 256, 7},   {kB, kF, 128, 256, 2},   {kB, kF, 256, 16, 3},
          {kB, kH, 128, 128, 4, 4, 1, 65536, 65536, 1}, {kH, kH, 72, 40, 3, 4, 1, 65536, 65536, 1}};
}

std::vector<Common> planned(Backend backend) {
  std::vector<Common> list{{kB, kF, 128, 128, 4},
                           {kB, kB, 16, 16, 1, 1, 1, 10, 10},
                           {kB, kF, 256, 256, 16, 2, 3, 999, 3000},
                           {kH, kH, 72, 200, 7, 1, 1, 500, 500},
                           {kB, kF, 128, 128, 4, 8, 100, 100, 100000},
                           {kB, kB, 128, 128, 1, 1, 0, 0, 0}};
  if (backend == Backend::kCpu)
    list.push_back({kF, kF, 64, 64, 1, 1, 1, 100, 100});
  else
    list.push_back({kB, kH, 128, 128, 4, 4, 1, 65536, 65536, 1});
  return list;
}

template <class Problem>
Json as_json(const Common& c) {
  Problem p{};
  p.element = c.element, p.output = c.output;
  p.head_dim = c.head_dim, p.head_dim_v = c.head_dim_v, p.group = c.group;
  p.heads_kv = c.heads_kv, p.num_seqs = c.num_seqs, p.total_q = c.total_q, p.total_k = c.total_k;
  p.scaled = c.scaled;
  p.scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  if constexpr (std::is_same_v<Problem, CompressedAttentionProblem>) {
    p.total_c = c.total_k / p.stride;
    return to_json(CompressedAttentionFamily::problem_fields(), p);
  } else {
    return to_json(SlidingWindowFamily::problem_fields(), p);
  }
}

template <class Problem>
FamilyProblems range_problems(Backend backend) {
  FamilyProblems problems;
  for (const Common& c : compiled(backend)) problems.compiled.push_back(as_json<Problem>(c));
  for (const Common& c : planned(backend)) problems.planned.push_back(as_json<Problem>(c));
  return problems;
}

}  // namespace

FamilyProblems compressed_attention_problems(Backend backend) { return range_problems<CompressedAttentionProblem>(backend); }
FamilyProblems sliding_window_problems(Backend backend) { return range_problems<SlidingWindowProblem>(backend); }

}  // namespace fsa::test
