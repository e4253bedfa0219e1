// Random problems against the oracle: a few in every run of the tests, more where FSA_RANDOM_PROBLEMS asks for them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "runtime/operator.h"
#include "tests/families/config_choice.h"
#include "tests/families/conformance.h"
#include "tests/families/nsa_run.h"
#include "tests/families/random_case.h"

namespace fsa::test {
namespace {

constexpr int kDraws = 10;  // problems of one shape

/// Half of the problems are of each operator.
int shapes_of_each() {
  const char* const wanted = std::getenv("FSA_RANDOM_PROBLEMS");
  return std::max(1, (wanted ? std::atoi(wanted) : 80) / (2 * kDraws));
}

class RandomProblem : public testing::TestWithParam<int> {
 protected:
  std::uint64_t shape() const { return 1000 + static_cast<std::uint64_t>(GetParam()); }
};

TEST_P(RandomProblem, OfSelectedAttentionMatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  const std::vector<std::string> variants = variant_names();
  for (int draw = 0; draw < kDraws && !HasFailure(); ++draw) {
    const SelectedCase c = random_selected_case(shape(), draw, backend_under_test());
    SCOPED_TRACE(c.name);
    Choice choice{.variant = variants[draw % variants.size()]};
    if (!reason_to_skip(c.problem, choice.variant, lab.target()).empty()) choice.variant = variants[0];
    if (draw == kDraws - 1) {  // its own configs, for others compile anew
      const auto picked = pick_configs(prepare(c)->inputs.problem, choice.variant, Pick::kRandom, shape(), lab.target());
      ASSERT_TRUE(picked) << picked.error().message();
      choice = *picked;
    }
    expect_right(lab, c, choice);
  }
}

TEST_P(RandomProblem, OfTheWholeOperatorMatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  const Operator& op = native_sparse_attention_operator();
  int judged = 0;
  for (int draw = 0; draw < kDraws && !HasFailure(); ++draw) {
    const NsaCase c = random_nsa_case(shape(), draw, backend_under_test());
    SCOPED_TRACE(c.name);
    NsaInputs inputs = make_inputs(c);
    ASSERT_TRUE(run_variant(lab, inputs, op.default_variant(inputs.problem, lab.target())));
    const auto verdict = judge(inputs);
    ASSERT_TRUE(verdict) << verdict.error().message();
    EXPECT_TRUE(verdict->right) << verdict->text << "\n" << inputs.problem.dump();
    judged += verdict->all_rows == 0 || verdict->rows > 0;
  }
  EXPECT_TRUE(HasFailure() || judged * 2 >= kDraws) << "the oracle could judge too few problems: " << judged;
}

INSTANTIATE_TEST_SUITE_P(Shapes, RandomProblem, testing::Range(0, shapes_of_each()));

}  // namespace
}  // namespace fsa::test
