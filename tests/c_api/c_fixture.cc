#include "tests/c_api/c_fixture.h"

#include <algorithm>
#include <numeric>

namespace fsa::test {
namespace {

constexpr std::int64_t kTokens = 64, kHeadsQ = 4, kHeadsKv = 2, kDim = 64, kTopk = 4;
constexpr float kUntouched = 7;

}  // namespace

void expect_refusal(fsa_status status, fsa_status expected, std::initializer_list<std::string_view> parts) {
  const std::string message = fsa_last_error_message();
  EXPECT_STREQ(fsa_status_name(status), fsa_status_name(expected)) << message;
  if (status == FSA_OK) return;
  for (const std::string_view part : parts) EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is not in: " << message;
}

fsa_engine* cpu_engine() {
  static fsa_engine* const engine = [] {
    fsa_engine_options options{};
    options.size = sizeof options;
    options.no_cache = 1;
    fsa_engine* made = nullptr;
    fsa_engine_create("cpu", &options, &made);
    return made;
  }();
  return engine;
}

std::string small_problem() {
  return R"({"dtype": "f32", "head_dim": 64, "head_dim_v": 64, "heads_q": 4, "heads_kv": 2, "block_size": 32, "topk": 4, "num_seqs": 2,
             "total_q": 64, "total_k": 64})";
}

OwnedTensor::OwnedTensor(std::vector<std::int64_t> dims, bool is_int) : shape(std::move(dims)) {
  const auto size = static_cast<std::size_t>(std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()));
  is_int ? ints.resize(size) : floats.resize(size);
  dl.data = is_int ? static_cast<void*>(ints.data()) : floats.data();
  dl.device = {kDLCPU, 0};
  dl.dtype = {static_cast<std::uint8_t>(is_int ? kDLInt : kDLFloat), 32, 1};
  dl.ndim = static_cast<std::int32_t>(shape.size());
  dl.shape = shape.data();
}

void OwnedTensor::set_strides(std::vector<std::int64_t> values) {
  strides = std::move(values);
  dl.strides = strides.data();
}

void OwnedWorkspace::fit(const fsa_plan* plan) {
  fsa_plan_info info{};
  info.size = sizeof info;
  ASSERT_EQ(fsa_plan_get_info(plan, &info), FSA_OK) << fsa_last_error_message();
  bytes = info.workspace_bytes;
  memory.resize(bytes + 256);
  data = memory.data() + (256 - reinterpret_cast<std::uintptr_t>(memory.data()) % 256);
}

CForward::CForward()
    : q({kTokens, kHeadsQ, kDim}, false),
      k({kTokens, kHeadsKv, kDim}, false),
      v({kTokens, kHeadsKv, kDim}, false),
      blocks({kHeadsKv, kTokens, kTopk}, true),
      cu_q({3}, true),
      cu_k({3}, true),
      o({kTokens, kHeadsQ, kDim}, false),
      lse({kHeadsQ, kTokens}, false),
      order{&q.dl, &k.dl, &v.dl, &blocks.dl, &cu_q.dl, &cu_k.dl, &o.dl, &lse.dl} {
  cu_q.ints = cu_k.ints = {0, 24, kTokens};
  cu_q.dl.data = cu_q.ints.data();
  cu_k.dl.data = cu_k.ints.data();
  for (std::size_t i = 0; i < v.floats.size(); ++i) v.floats[i] = static_cast<float>(i % 13);
  std::fill(o.floats.begin(), o.floats.end(), kUntouched);
}

CForward::~CForward() { fsa_plan_destroy(plan); }

void CForward::SetUp() {
  if (!cpu_engine()) GTEST_SKIP() << fsa_last_error_message();
  ASSERT_EQ(fsa_plan_create(cpu_engine(), "selected_attention", small_problem().c_str(), &plan), FSA_OK) << fsa_last_error_message();
  memory.fit(plan);
  workspace = memory.data;
  bytes = memory.bytes;
}

void CForward::expect_refused(std::initializer_list<std::string_view> parts) {
  expect_refusal(forward(), FSA_INVALID_ARGUMENT, parts);
  EXPECT_TRUE(std::all_of(o.floats.begin(), o.floats.end(), [](float x) { return x == kUntouched; })) << "an output was written";
}

}  // namespace fsa::test
