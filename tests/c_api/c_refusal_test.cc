// The C interface: requests that this library or machine cannot serve, each with what was given and what to do.
#include <filesystem>
#include <fstream>
#include <memory>

#include "tests/c_api/c_fixture.h"

namespace fsa::test {
namespace {

/// The refusal of an engine, or of the first plan of it, that these options lead to.
void expect_no_plan(const fsa_engine_options& options, fsa_status expected, std::initializer_list<std::string_view> parts) {
  fsa_engine* engine = nullptr;
  fsa_status status = fsa_engine_create("cpu", &options, &engine);
  fsa_plan* plan = nullptr;
  if (status == FSA_OK) status = fsa_plan_create(engine, "selected_attention", small_problem().c_str(), &plan);
  expect_refusal(status, expected, parts);
  EXPECT_EQ(plan, nullptr);
  EXPECT_EQ(fsa_plan_destroy(plan), FSA_OK);
  EXPECT_EQ(fsa_engine_destroy(engine), FSA_OK);
}

using CRefusal = CForward;

TEST_F(CRefusal, AnUnsupportedHeadDim) {
  std::string problem = small_problem();
  problem.replace(problem.find("64"), 2, "20");
  fsa_plan* none = nullptr;
  expect_refusal(fsa_plan_create(cpu_engine(), "selected_attention", problem.c_str(), &none), FSA_UNSUPPORTED, {"head_dim is 20", "16", "256"});
}

TEST_F(CRefusal, ACacheFolderThatCannotBeWrittenIsAWarningToPlansAndAnErrorToTuning) {
  // A path below a file: not even root can make a folder there.
  const std::string file = testing::TempDir() + "c_refusal_file", cache = file + "/cache";
  std::ofstream(file) << "x";
  std::string warnings;
  fsa_engine_options options{};
  options.size = sizeof options;
  options.cache_dir = cache.c_str();
  options.log_context = &warnings;
  options.log = [](void* context, fsa_log_level level, const char* line) {
    if (level == FSA_LOG_WARNING) static_cast<std::string*>(context)->append(line);
  };
  fsa_engine* engine = nullptr;
  fsa_plan* served = nullptr;
  ASSERT_EQ(fsa_engine_create("cpu", &options, &engine), FSA_OK) << fsa_last_error_message();
  EXPECT_EQ(fsa_plan_create(engine, "selected_attention", small_problem().c_str(), &served), FSA_OK) << fsa_last_error_message();
  EXPECT_NE(warnings.find(cache), std::string::npos) << warnings;
  expect_refusal(fsa_tune(engine, "selected_attention", small_problem().c_str(), nullptr, nullptr), FSA_UNAVAILABLE, {cache, "FSA_CACHE_DIR"});
  fsa_plan_destroy(served);
  fsa_engine_destroy(engine);
  std::filesystem::remove(file);
}

TEST_F(CRefusal, APackForAnotherArchitecture) {
  fsa_engine_options options{};
  options.size = sizeof options;
  options.no_cache = options.freeze = 1;
  options.pack = FSA_TEST_FOREIGN_PACK;
  expect_no_plan(options, FSA_NOT_FOUND, {"sm_80", "x86-64", "export"});
}

TEST_F(CRefusal, SequencesThatDecreaseOverrunOrStartLate) {
  const struct {
    std::vector<std::int32_t> cu;
    const char* part;
  } cases[] = {{{0, 65, 64}, "cu_q"}, {{0, 24, 65}, "cu_q ends at 65"}, {{1, 24, 64}, "cu_q"}, {{0, -3, 64}, "cu_q"}};
  for (const auto& [cu, part] : cases) {
    cu_q.ints = cu;
    cu_q.dl.data = cu_q.ints.data();
    expect_refused({part});
  }
}

/// The whole operator, whose branches always need a workspace; tensors as its plan lists them.
class CWorkspace : public testing::Test {
 protected:
  void SetUp() override {
    if (!cpu_engine()) GTEST_SKIP() << fsa_last_error_message();
    ASSERT_EQ(fsa_plan_create(cpu_engine(), "native_sparse_attention",
                              R"({"dtype": "f32", "gates_dtype": "f32", "head_dim": 32, "head_dim_v": 32, "heads_q": 4, "heads_kv": 2,
                                  "kernel_size": 16, "stride": 8, "block_size": 16, "topk": 4, "window": 24, "compression": "mean",
                                  "num_seqs": 1, "total_q": 64, "total_k": 64})",
                              &plan_),
              FSA_OK)
        << fsa_last_error_message();
    workspace_.fit(plan_);
    fsa_plan_info info{};
    info.size = sizeof info;
    ASSERT_EQ(fsa_plan_get_info(plan_, &info), FSA_OK);
    for (std::size_t i = 0; i < info.num_tensors; ++i) add_tensor(i);
  }
  ~CWorkspace() override { fsa_plan_destroy(plan_); }

  void add_tensor(std::size_t index) {
    fsa_tensor_info info{};
    info.size = sizeof info;
    ASSERT_EQ(fsa_plan_get_tensor(plan_, index, &info), FSA_OK);
    tensors_.push_back(std::make_unique<OwnedTensor>(std::vector(info.shape, info.shape + info.ndim), info.dtype.code == kDLInt));
    if (std::string_view(info.name).starts_with("cu_")) tensors_.back()->ints = {0, 64};
    tensors_.back()->dl.data = info.dtype.code == kDLInt ? static_cast<void*>(tensors_.back()->ints.data()) : tensors_.back()->floats.data();
    order_.push_back(&tensors_.back()->dl);
  }
  fsa_status forward(void* workspace, std::size_t bytes) const {
    return fsa_plan_forward(plan_, order_.data(), order_.size(), workspace, bytes, nullptr);
  }

  fsa_plan* plan_ = nullptr;
  std::vector<std::unique_ptr<OwnedTensor>> tensors_;
  std::vector<const DLTensor*> order_;
  OwnedWorkspace workspace_;
};

TEST_F(CWorkspace, TooSmallNullOrMisalignedIsRefused) {
  void* const data = workspace_.data;
  const std::size_t bytes = workspace_.bytes;
  ASSERT_GT(bytes, 0u);
  EXPECT_EQ(forward(data, bytes), FSA_OK) << fsa_last_error_message();
  expect_refusal(forward(data, bytes - 1), FSA_INVALID_ARGUMENT, {"workspace", std::to_string(bytes - 1), std::to_string(bytes)});
  expect_refusal(forward(nullptr, bytes), FSA_INVALID_ARGUMENT, {"workspace", "null"});
  expect_refusal(forward(static_cast<char*>(data) + 16, bytes), FSA_INVALID_ARGUMENT, {"workspace", "256-byte"});
}

}  // namespace
}  // namespace fsa::test
