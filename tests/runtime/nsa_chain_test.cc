// The kernels of the whole operator, of every shape that it takes: planned for every target, compiled for none.
#include <gtest/gtest.h>

#include "runtime/nsa_problem.h"
#include "runtime/operator.h"

namespace fsa {
namespace {

TEST(NsaChain, OfEveryHeadDimensionIsLegalOnEveryTarget) {
  const Operator& op = native_sparse_attention_operator();
  for (const std::string& name : Target::known()) {
    const Target target = Target::parse(name).value();
    for (int d = 16; d <= 256; d += 8)
      for (int dv = 16; dv <= 256; dv += 24)
        for (const int group : {1, 16})
          for (const int block : {16, 64, 128}) {
            const NativeSparseAttentionProblem problem{.head_dim = d, .head_dim_v = dv, .heads_q = 2 * group, .heads_kv = 2, .block_size = block,
                                                       .total_q = 4096, .total_k = 4096, .total_c = 256};
            const auto p = to_problem_json(problem);
            ASSERT_TRUE(p) << p.error().message();
            const auto steps = make_chain(op, *p, default_choice(op, *p, target), target);
            ASSERT_TRUE(steps) << name << " d" << d << " dv" << dv << " g" << group << " block" << block << ": " << steps.error().message();
          }
  }
}

}  // namespace
}  // namespace fsa
