// compress_kv against the oracle, with default, smallest, largest and random configs, and on the golden files.
#include <gtest/gtest.h>

#include <limits>

#include "templates/families.h"
#include "templates/reference/compare.h"
#include "tests/families/compress_case.h"
#include "tests/families/config_choice.h"
#include "tests/families/conformance.h"
#include "tests/families/strided_copy.h"
#include "tests/support/golden.h"
#include "tests/support/kernel_chain.h"

namespace fsa::test {
namespace {

const Kernel& kernel() { return *find_family("compress_kv")->kernel(backend_under_test()); }

bool has_kernel(const CompressKvProblem& p) { return p.element != Element::kF32 || backend_under_test() == Backend::kCpu; }

Result<KernelChain> build(Lab& lab, const CompressKvProblem& p, const Json& config) {
  const Json json = to_json(compress_kv::problem_fields(), p);
  FSA_RETURN_IF_ERROR(kernel().check(json, lab.target()));
  FSA_ASSIGN_OR_RETURN(Json complete, kernel().complete_config(json, config, lab.target()));
  return KernelChain::build(lab, {{&kernel(), json, std::move(complete)}});
}

std::vector<Binding> bindings(const reference::CompressOperands& o, const TensorView& x, const TensorView& cu_c) {
  std::vector<Binding> list{{"x", x}, {"cu_k", o.cu_k}, {"cu_c", cu_c}};
  if (o.w.rank != 0) list.push_back({"w", o.w});
  if (o.pe.rank != 0) list.push_back({"pe", o.pe});
  return list;
}

/// Runs twice over memory poisoned differently: rows right, the rest of y untouched, both runs equal.
void expect_compressed(Lab& lab, const CompressInputs& inputs, const Json& config, Layout layout, std::span<const double> expected) {
  const CompressKvProblem& p = inputs.problem;
  const auto chain = build(lab, p, config);
  ASSERT_TRUE(chain) << chain.error().message();
  SCOPED_TRACE(chain->steps()[0].config.dump());
  const auto o = inputs.operands();
  const StridedCopy x(o.x, layout, true);
  const TensorView packed = TensorView::contiguous(nullptr, reference::dtype_of(p.element), {p.total_c, p.heads_kv, p.head_dim});
  const StridedCopy first(packed, layout, false), second(packed, layout, false);
  ASSERT_TRUE(x.view().data && first.view().data && second.view().data) << "no address space for the test's tensors";
  auto ran = chain->run(bindings(o, x.view(), inputs.cu_c_view()), {{"y", first.view()}}, 0xff);
  ASSERT_TRUE(ran) << ran.error().message();
  const auto difference = reference::compare_output(first.view(), expected);
  EXPECT_TRUE(difference.within(kernel().tolerance(chain->steps()[0].problem))) << difference.describe();
  EXPECT_TRUE(first.gaps_hold(0xff)) << "a kernel wrote between the rows of y";
  EXPECT_TRUE(layout == Layout::kFar || first.rows_hold(0xff, inputs.cu_c.back(), p.total_c)) << "a kernel wrote past the last row";

  ran = chain->run(bindings(o, x.view(), inputs.cu_c_view()), {{"y", second.view()}}, 0x5a);
  ASSERT_TRUE(ran) << ran.error().message();
  EXPECT_TRUE(first.same_rows(second, 0, inputs.cu_c.back())) << "two runs differ";
}

void expect_case(Lab& lab, const CompressCase& description, const Json& config) {
  const CompressInputs inputs = description.make();
  const auto expected = reference::compress(inputs.operands());
  ASSERT_TRUE(expected) << expected.error().message();
  expect_compressed(lab, inputs, config, description.layout, *expected);
}

class CompressKv : public testing::TestWithParam<CompressCase> {};

TEST_P(CompressKv, MatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  if (!has_kernel(GetParam().problem)) GTEST_SKIP() << "float32 has kernels on the CPU alone";
  expect_case(lab, GetParam(), Json::object());
}

const auto case_name = [](const auto& each) { return each.param.name; };
INSTANTIATE_TEST_SUITE_P(Shapes, CompressKv, testing::ValuesIn(compress_shape_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Sequences, CompressKv, testing::ValuesIn(compress_sequence_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Values, CompressKv, testing::ValuesIn(compress_value_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Layouts, CompressKv, testing::ValuesIn(compress_layout_cases()), case_name);

class CompressKvConfig : public testing::TestWithParam<CompressCase> {};

TEST_P(CompressKvConfig, OfAnySizeMatchesTheOracle) {
  FSA_LAB_OR_SKIP(lab);
  if (!has_kernel(GetParam().problem)) GTEST_SKIP() << "float32 has kernels on the CPU alone";
  const CompressInputs inputs = GetParam().make();
  const auto expected = reference::compress(inputs.operands());
  ASSERT_TRUE(expected) << expected.error().message();
  const Json json = to_json(compress_kv::problem_fields(), inputs.problem);
  reference::Random random(11, 0);
  for (Pick pick : {Pick::kSmallest, Pick::kLargest, Pick::kRandom, Pick::kRandom, Pick::kRandom, Pick::kRandom}) {
    const auto config = pick_config(kernel(), json, pick, random, lab.target());
    ASSERT_TRUE(config) << config.error().message();
    expect_compressed(lab, inputs, *config, Layout::kPacked, *expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Configs, CompressKvConfig, testing::ValuesIn(compress_config_cases()), case_name);

/// Prefix sums that are wrong: the answer means nothing, but no kernel may leave its tensors.
struct WrongBounds {
  std::string name;
  std::vector<std::int32_t> cu_k, cu_c;
};
void PrintTo(const WrongBounds& bounds, std::ostream* out) { *out << bounds.name; }

class CompressKvWrongBounds : public testing::TestWithParam<WrongBounds> {};

TEST_P(CompressKvWrongBounds, FaultNothing) {
  FSA_LAB_OR_SKIP(lab);
  for (CompressCase c : compress_config_cases()) {
    if (!has_kernel(c.problem)) continue;
    c.lens = {100, 100, 200};
    CompressInputs inputs = c.make();
    const auto chain = build(lab, inputs.problem, Json::object());
    ASSERT_TRUE(chain) << chain.error().message();
    inputs.cu_k = GetParam().cu_k, inputs.cu_c = GetParam().cu_c;
    const auto o = inputs.operands();
    const auto ran = chain->run(bindings(o, o.x, inputs.cu_c_view()), {});
    EXPECT_TRUE(ran) << c.name << ": " << ran.error().message();
  }
}

constexpr int kMax = std::numeric_limits<int>::max(), kMin = std::numeric_limits<int>::min();
INSTANTIATE_TEST_SUITE_P(Bounds, CompressKvWrongBounds,
                         testing::Values(WrongBounds{"decreasing", {0, 300, 100, 400}, {0, 20, 10, 40}},
                                         WrongBounds{"past_the_end", {0, 100, 200, 100000}, {0, 10, 20, 100000}},
                                         WrongBounds{"negative", {-5000, -100, 200, 400}, {-500, -10, 10, 40}},
                                         WrongBounds{"extreme", {kMin, kMax, 0, kMax}, {0, kMax, kMin, kMax}},
                                         WrongBounds{"extreme_first", {kMax, kMax, kMin, kMin}, {kMin, kMin, kMin, kMax}}),
                         case_name);

class CompressKvGolden : public testing::TestWithParam<std::string> {};

/// `x` compressed with `w` and, for keys, pe: what the file calls `exact`.
void expect_golden(Lab& lab, const Golden& golden, const char* x, const char* w, const char* exact, bool positional) {
  const TensorView from = golden.tensor(x);
  const CompressKvProblem p{.element = Element::kBF16,
                            .mode = compress_kv::Mode::kLinear,
                            .positional = positional,
                            .kernel_size = golden.number("kernel_size"),
                            .stride = golden.number("stride"),
                            .head_dim = static_cast<int>(from.shape[2]),
                            .heads_kv = static_cast<int>(from.shape[1]),
                            .num_seqs = static_cast<int>(golden.tensor("cu_k").shape[0]) - 1,
                            .total_k = from.shape[0],
                            .total_c = golden.tensor(exact).shape[0]};
  const auto chain = build(lab, p, Json::object());
  ASSERT_TRUE(chain) << chain.error().message();
  const StridedCopy y(TensorView::contiguous(nullptr, DType::kBF16, {p.total_c, p.heads_kv, p.head_dim}), Layout::kPacked, false);
  std::vector<Binding> inputs{{"x", from}, {"w", golden.tensor(w)}, {"cu_k", golden.tensor("cu_k")}, {"cu_c", golden.tensor("cu_c")}};
  if (positional) inputs.push_back({"pe", golden.tensor("pe")});
  const auto ran = chain->run(inputs, {{"y", y.view()}});
  ASSERT_TRUE(ran) << ran.error().message();
  const auto difference = reference::compare_output(y.view(), golden.values(exact));
  EXPECT_TRUE(difference.within()) << exact << ": " << difference.describe();
}

TEST_P(CompressKvGolden, FileIsReproduced) {
  FSA_LAB_OR_SKIP(lab);
  const auto golden = Golden::load(GetParam());
  ASSERT_TRUE(golden) << golden.error().message();
  ASSERT_TRUE(golden->has("ck_exact") && golden->has("cv_exact"));
  expect_golden(lab, *golden, "k", "w_k", "ck_exact", true);
  expect_golden(lab, *golden, "v", "w_v", "cv_exact", false);
}

INSTANTIATE_TEST_SUITE_P(Golden, CompressKvGolden, testing::Values("g4_d64_compress", "g3_d96_dv64_compress"),
                         [](const auto& each) { return each.param; });

}  // namespace
}  // namespace fsa::test
