// The C interface's plans: what they tell of themselves, and problems that are refused.
#include <cstring>

#include "codegen/base/json.h"
#include "tests/c_api/c_fixture.h"

namespace fsa::test {
namespace {

using CPlan = CForward;

TEST_F(CPlan, TellsEveryTensorInOrder) {
  const struct {
    const char* name;
    std::vector<std::int64_t> shape;
    DLDataType dtype;
    fsa_layout layout;
    int written;
  } expected[] = {
      {"q", q.shape, {kDLFloat, 32, 1}, FSA_LAYOUT_ROWS, 0}, {"k", k.shape, {kDLFloat, 32, 1}, FSA_LAYOUT_ROWS, 0},
      {"v", v.shape, {kDLFloat, 32, 1}, FSA_LAYOUT_ROWS, 0}, {"block_indices", blocks.shape, {kDLInt, 32, 1}, FSA_LAYOUT_PACKED, 0},
      {"cu_q", {3}, {kDLInt, 32, 1}, FSA_LAYOUT_PACKED, 0},  {"cu_k", {3}, {kDLInt, 32, 1}, FSA_LAYOUT_PACKED, 0},
      {"o", o.shape, {kDLFloat, 32, 1}, FSA_LAYOUT_ROWS, 1}, {"lse", lse.shape, {kDLFloat, 32, 1}, FSA_LAYOUT_PACKED, 1}};
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    fsa_tensor_info info{};
    info.size = sizeof info;
    ASSERT_EQ(fsa_plan_get_tensor(plan, i, &info), FSA_OK);
    EXPECT_STREQ(info.name, expected[i].name);
    EXPECT_EQ(std::vector<std::int64_t>(info.shape, info.shape + info.ndim), expected[i].shape);
    EXPECT_EQ(std::memcmp(&info.dtype, &expected[i].dtype, sizeof info.dtype), 0) << info.name;
    EXPECT_EQ(info.layout, expected[i].layout) << info.name;
    EXPECT_EQ(info.written, expected[i].written) << info.name;
  }
  fsa_tensor_info info{};
  info.size = sizeof info;
  expect_refusal(fsa_plan_get_tensor(plan, 8, &info), FSA_INVALID_ARGUMENT, {"tensor 8", "0 to 7"});
  expect_refusal(fsa_plan_get_tensor(plan, 0, nullptr), FSA_INVALID_ARGUMENT, {"fsa_tensor_info is a null pointer"});
}

TEST_F(CPlan, ReportsHowItCameToBe) {
  fsa_plan_info info{};
  info.size = sizeof info;
  ASSERT_EQ(fsa_plan_get_info(plan, &info), FSA_OK);
  EXPECT_STREQ(info.op, "selected_attention");
  EXPECT_EQ(info.num_tensors, 8u);
  EXPECT_EQ(info.device.device_type, kDLCPU);
  const Json report = Json::parse(info.report_json, nullptr, false);
  ASSERT_TRUE(report.is_object()) << info.report_json;
  EXPECT_EQ(report["variant"], info.variant);
  EXPECT_EQ(report["source"], "default");
  EXPECT_TRUE(report["configs"].is_object() && !report["configs"].empty());
  EXPECT_GT(report["compiled"].get<int>() + report["already_loaded"].get<int>(), 0);
  EXPECT_NE(std::strstr(info.report_text, info.variant), nullptr);
}

TEST_F(CPlan, AnUnknownOperatorListsThoseThereAre) {
  fsa_plan* none = nullptr;
  expect_refusal(fsa_plan_create(cpu_engine(), "selected_atention", "{}", &none), FSA_UNSUPPORTED,
                 {"selected_atention", "selected_attention"});
}

TEST_F(CPlan, ProblemsThatAreNoneAreRefused) {
  const std::pair<const char*, const char*> problems[] = {{"", ""},
                                                          {"[1, 2]", ""},
                                                          {"{\"head_dim\": ", ""},
                                                          {R"({"head_dimension": 64})", "head_dimension"},
                                                          {R"({"dtype": "f64"})", "f64"},
                                                          {R"({"heads_q": 3, "heads_kv": 2})", "heads_q is 3"},
                                                          {R"({"head_dim": "wide"})", "head_dim"}};
  for (const auto& [text, part] : problems) {
    auto* none = reinterpret_cast<fsa_plan*>(8);
    expect_refusal(fsa_plan_create(cpu_engine(), "selected_attention", text, &none), FSA_INVALID_ARGUMENT, {part});
    EXPECT_EQ(none, nullptr) << text;
  }
}

TEST_F(CPlan, NullPointersAreNamed) {
  fsa_plan* none = nullptr;
  expect_refusal(fsa_plan_create(nullptr, "selected_attention", "{}", &none), FSA_INVALID_ARGUMENT, {"engine is a null pointer"});
  expect_refusal(fsa_plan_create(cpu_engine(), nullptr, "{}", &none), FSA_INVALID_ARGUMENT, {"op is a null pointer"});
  expect_refusal(fsa_plan_create(cpu_engine(), "selected_attention", nullptr, &none), FSA_INVALID_ARGUMENT,
                 {"problem_json is a null pointer"});
  expect_refusal(fsa_plan_create(cpu_engine(), "selected_attention", "{}", nullptr), FSA_INVALID_ARGUMENT, {"plan is a null pointer"});
  expect_refusal(fsa_plan_get_info(nullptr, nullptr), FSA_INVALID_ARGUMENT, {"plan is a null pointer"});
  expect_refusal(fsa_plan_get_info(plan, nullptr), FSA_INVALID_ARGUMENT, {"fsa_plan_info is a null pointer"});
  EXPECT_EQ(fsa_plan_destroy(nullptr), FSA_OK);
}

}  // namespace
}  // namespace fsa::test
