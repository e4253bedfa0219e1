// The C interface's tuning: a winner that later plans find, progress, and both ways to stop.
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "codegen/base/json.h"
#include "tests/c_api/c_fixture.h"

namespace fsa::test {
namespace {

namespace fs = std::filesystem;

class CTune : public testing::Test {
 protected:
  void SetUp() override {
    if (!cpu_engine()) GTEST_SKIP() << fsa_last_error_message();
    folder = fs::temp_directory_path() / ("fsa_c_tune_" + std::to_string(::getpid()));
    const std::string name = folder.string();
    fsa_engine_options engine_options{};
    engine_options.size = sizeof engine_options;
    engine_options.cache_dir = name.c_str();
    ASSERT_EQ(fsa_engine_create("cpu", &engine_options, &engine), FSA_OK) << fsa_last_error_message();
    options.size = sizeof options;
    options.max_candidates = 3;
    options.max_seconds = 20;
  }
  void TearDown() override {
    fsa_engine_destroy(engine);
    fs::remove_all(folder);
  }
  fsa_status tune(char** result) { return fsa_tune(engine, "selected_attention", small_problem().c_str(), &options, result); }

  fs::path folder;
  fsa_engine* engine = nullptr;
  fsa_tune_options options{};
};

TEST_F(CTune, KeepsAWinnerThatLaterPlansTake) {
  int events = 0;
  options.progress_context = &events;
  options.progress = [](void* context, const fsa_progress* p) {
    *static_cast<int*>(context) +=
        p->size == sizeof *p && p->fraction >= 0 && p->fraction <= 1 && p->step && p->variant && p->family && p->note;
    return 0;
  };
  char* text = nullptr;
  ASSERT_EQ(tune(&text), FSA_OK) << fsa_last_error_message();
  const Json result = Json::parse(text, nullptr, false);
  fsa_string_free(text);
  ASSERT_TRUE(result.is_object());
  EXPECT_TRUE(result["kept"].get<bool>());
  EXPECT_GT(result["seconds"].get<double>(), 0);
  EXPECT_GT(events, 0);
  fsa_plan* plan = nullptr;
  ASSERT_EQ(fsa_plan_create(engine, "selected_attention", small_problem().c_str(), &plan), FSA_OK);
  fsa_plan_info info{};
  info.size = sizeof info;
  ASSERT_EQ(fsa_plan_get_info(plan, &info), FSA_OK);
  EXPECT_EQ(result["variant"], info.variant);
  EXPECT_NE(std::strstr(info.report_json, "\"source\":\"tuned\""), nullptr) << info.report_json;
  fsa_plan_destroy(plan);
}

TEST_F(CTune, AProgressCallbackStopsIt) {
  options.progress = [](void*, const fsa_progress*) { return 1; };
  options.max_candidates = 100;
  char* text = nullptr;
  const fsa_status status = tune(&text);
  if (status == FSA_OK) {
    EXPECT_NE(std::strstr(text, "\"partial\":true"), nullptr) << text;
  } else {
    expect_refusal(status, FSA_CANCELLED, {});
    EXPECT_EQ(text, nullptr);
  }
  fsa_string_free(text);
}

TEST_F(CTune, AFlagStopsIt) {
  const volatile std::int32_t stop = 1;
  options.stop = &stop;
  options.max_candidates = 100;
  char* text = nullptr;
  const fsa_status status = tune(&text);
  if (status == FSA_OK) {
    EXPECT_NE(std::strstr(text, "\"partial\":true"), nullptr) << text;
  } else {
    expect_refusal(status, FSA_CANCELLED, {});
  }
  fsa_string_free(text);
}

TEST_F(CTune, BadArgumentsAreRefused) {
  expect_refusal(fsa_tune(nullptr, "selected_attention", "{}", nullptr, nullptr), FSA_INVALID_ARGUMENT, {"engine is a null pointer"});
  expect_refusal(fsa_tune(engine, nullptr, "{}", nullptr, nullptr), FSA_INVALID_ARGUMENT, {"op is a null pointer"});
  expect_refusal(fsa_tune(engine, "selected_attention", nullptr, nullptr, nullptr), FSA_INVALID_ARGUMENT,
                 {"problem_json is a null pointer"});
  expect_refusal(fsa_tune(engine, "no_such", "{}", nullptr, nullptr), FSA_UNSUPPORTED, {"no_such"});
  options.max_seconds = -1;
  expect_refusal(tune(nullptr), FSA_INVALID_ARGUMENT, {"max_seconds is -1"});
  options.max_seconds = 0;
  options.size = 1;
  expect_refusal(tune(nullptr), FSA_INVALID_ARGUMENT, {"fsa_tune_options.size is 1"});
}

}  // namespace
}  // namespace fsa::test
