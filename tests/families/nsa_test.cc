// The whole operator, every variant: against the oracle on random problems, and against the golden files.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "runtime/operator.h"
#include "templates/reference/compare.h"
#include "templates/reference/numeric.h"
#include "tests/families/conformance.h"
#include "tests/families/nsa_run.h"
#include "tests/support/golden.h"

namespace fsa::test {
namespace {

std::vector<std::string> nsa_variants() {
  std::vector<std::string> names;
  for (const auto& v : native_sparse_attention_operator().variants(backend_under_test())) names.push_back(v.name);
  return names;
}

using CaseAndVariant = std::tuple<NsaCase, std::string>;
class NativeSparseAttention : public testing::TestWithParam<CaseAndVariant> {};

TEST_P(NativeSparseAttention, OutAloneMatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  const auto& [description, variant] = GetParam();
  NsaInputs inputs = make_inputs(description);
  if (const std::string reason = reason_to_skip(inputs.problem, variant, lab.target()); !reason.empty()) GTEST_SKIP() << reason;
  ASSERT_TRUE(run_variant(lab, inputs, variant));
  const auto verdict = judge(inputs);
  ASSERT_TRUE(verdict) << verdict.error().message();
  EXPECT_TRUE(verdict->right) << verdict->text;
  EXPECT_GE(verdict->rows * 10, verdict->all_rows * 9) << "the oracle could judge too few rows";
}

TEST_P(NativeSparseAttention, EveryBranchMatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  auto [description, variant] = GetParam();
  description.problem.branch_outputs = 1;
  NsaInputs inputs = make_inputs(description);
  if (const std::string reason = reason_to_skip(inputs.problem, variant, lab.target()); !reason.empty()) GTEST_SKIP() << reason;
  ASSERT_TRUE(run_variant(lab, inputs, variant));
  const auto verdict = judge(inputs);
  ASSERT_TRUE(verdict) << verdict.error().message();
  EXPECT_TRUE(verdict->right) << verdict->text;
  EXPECT_EQ(verdict->rows, verdict->all_rows);
}

TEST(NativeSparseAttentionOracle, AWrongOutputIsSeen) {
  FSA_LAB_OR_SKIP(lab);
  NsaCase description = nsa_cases().front();
  description.problem.branch_outputs = 1;
  NsaInputs inputs = make_inputs(description);
  const std::string variant = native_sparse_attention_operator().default_variant(inputs.problem, lab.target());
  ASSERT_TRUE(run_variant(lab, inputs, variant));
  const auto views = views_of(inputs.tensors);
  const auto oracle = native_sparse_attention_operator().make_oracle(inputs.problem, views);
  ASSERT_TRUE(oracle && (*oracle)->compare(views)->right);
  for (std::size_t i = 0; i < inputs.specs.size(); ++i) {
    if (inputs.specs[i].access == Access::kRead) continue;
    // A value in the last row of the tensor, which every branch sees keys for.
    auto* const last = static_cast<unsigned char*>(inputs.tensors[i].data()) + inputs.tensors[i].bytes() - 1;
    const unsigned char before = *last;
    *last = static_cast<unsigned char>(before ^ 0x41);
    EXPECT_FALSE((*oracle)->compare(views)->right) << inputs.specs[i].name;
    *last = before;
  }
}

std::string case_name(const testing::TestParamInfo<CaseAndVariant>& info) {
  return std::get<0>(info.param).name + "_" + std::get<1>(info.param);
}

INSTANTIATE_TEST_SUITE_P(Whole, NativeSparseAttention, testing::Combine(testing::ValuesIn(nsa_cases()), testing::ValuesIn(nsa_variants())), case_name);

/// The problem of a golden file; `compressing`: from w_k, w_v and pe in place of ck and cv.
NsaInputs golden_inputs(const Golden& golden, bool compressing) {
  const TensorView q = golden.tensor("q"), k = golden.tensor("k"), v = golden.tensor("v");
  const NsaProblem p{.element = Element::kBF16,
                     .gates = Element::kBF16,
                     .head_dim = static_cast<int>(q.shape[2]),
                     .head_dim_v = static_cast<int>(v.shape[2]),
                     .group = static_cast<int>(q.shape[1] / k.shape[1]),
                     .kernel_size = golden.number("kernel_size"),
                     .stride = golden.number("stride"),
                     .block_size = golden.number("block_size"),
                     .topk = golden.number("topk"),
                     .init_blocks = golden.number("init_blocks"),
                     .local_blocks = golden.number("local_blocks"),
                     .window = golden.number("window"),
                     .compression = compressing ? Compression::kLinear : Compression::kNone,
                     .positional = compressing ? 1 : 0,
                     .branch_outputs = 1,
                     .heads_kv = static_cast<int>(k.shape[1]),
                     .num_seqs = static_cast<int>(golden.tensor("cu_q").shape[0]) - 1,
                     .total_q = q.shape[0],
                     .total_k = k.shape[0],
                     .total_c = compressing ? k.shape[0] / golden.number("stride") : golden.tensor("ck").shape[0],
                     .scale = golden.scale()};
  NsaInputs inputs{.problem = to_json(nsa_problem_fields(), p), .specs = {}, .tensors = {}};
  inputs.specs = native_sparse_attention_operator().external_specs(inputs.problem);
  for (const TensorSpec& spec : inputs.specs)
    inputs.tensors.push_back(spec.access == Access::kRead ? HostTensor::copy_of(golden.tensor(spec.name)) : HostTensor(spec.dtype, spec.shape));
  return inputs;
}

using FileAndVariant = std::tuple<std::string, std::string>;
class GoldenNsa : public testing::TestWithParam<FileAndVariant> {};

void expect_golden(Lab& lab, const Golden& golden, bool compressing, const std::string& variant) {
  NsaInputs inputs = golden_inputs(golden, compressing);
  if (const std::string reason = reason_to_skip(inputs.problem, variant, lab.target()); !reason.empty()) GTEST_SKIP() << reason;
  ASSERT_TRUE(run_variant(lab, inputs, variant));
  for (std::size_t i = 0; i < inputs.specs.size(); ++i) {
    const std::string& name = inputs.specs[i].name;
    if (inputs.specs[i].access == Access::kRead) continue;
    const TensorView got = inputs.tensors[i].view(), want = golden.tensor(name);
    ASSERT_EQ(got.num_elements(), want.num_elements()) << name;
    if (name == "block_indices") {
      EXPECT_EQ(std::memcmp(got.data, want.data, inputs.tensors[i].bytes()), 0) << "selections differ";
      continue;
    }
    double error = 0, norm = 0, lse = 0;
    for (std::int64_t e = 0; e < got.num_elements(); ++e) {
      const double x = reference::load_element(got, e), y = reference::load_element(want, e);
      if (std::isinf(x) && x == y) continue;
      error += (x - y) * (x - y);
      norm += y * y;
      lse = std::max(lse, std::abs(x - y) / std::max(1.0, std::abs(y)));
    }
    if (name.starts_with("lse"))
      EXPECT_LE(lse, compressing && name == "lse_cmp" ? 2e-3 : reference::kLseTolerance) << name;
    else
      EXPECT_LE(std::sqrt(error / norm), reference::kOutputTolerance) << name;
  }
}

TEST_P(GoldenNsa, EveryOutputIsWithinTheTolerances) {
  FSA_LAB_OR_SKIP(lab);
  const auto golden = Golden::load(std::get<0>(GetParam()));
  ASSERT_TRUE(golden) << golden.error().message();
  expect_golden(lab, *golden, false, std::get<1>(GetParam()));
}

TEST_P(GoldenNsa, ItsOwnCompressionLeadsToTheSameOutputs) {
  FSA_LAB_OR_SKIP(lab);
  const auto golden = Golden::load(std::get<0>(GetParam()));
  ASSERT_TRUE(golden) << golden.error().message();
  if (!golden->has("w_k")) GTEST_SKIP() << "the file brings compressed keys alone";
  expect_golden(lab, *golden, true, std::get<1>(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Golden, GoldenNsa, testing::Combine(testing::ValuesIn(golden_names()), testing::ValuesIn(nsa_variants())),
                         [](const auto& each) { return std::get<0>(each.param) + "_" + std::get<1>(each.param); });

}  // namespace

/// Parameters print as their names, not as bytes.
void PrintTo(const NsaCase& c, std::ostream* out) { *out << c.name; }

}  // namespace fsa::test
