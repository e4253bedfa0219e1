// The C interface's library and engine part: what comes back, and what is refused.
#include <stdlib.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>

#include "fsa/engine.h"
#include "tests/c_api/c_fixture.h"

namespace fsa::test {
namespace {

fsa_engine_options options() {
  fsa_engine_options o{};
  o.size = sizeof o;
  return o;
}

TEST(CLibrary, VersionIsThatOfTheCppInterface) { EXPECT_EQ(std::string_view(fsa_version()), library_version()); }

TEST(CLibrary, OperatorsAreThoseOfTheCppInterface) {
  const auto names = operator_names();
  ASSERT_FALSE(names.empty());
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(names[i], fsa_operator_name(i));
  EXPECT_EQ(fsa_operator_name(names.size()), nullptr);
}

TEST(CLibrary, EveryErrorKindHasItsStatus) {
  EXPECT_STREQ(fsa_status_name(FSA_OK), "ok");
  EXPECT_STREQ(fsa_status_name(FSA_INVALID_ARGUMENT), to_string(ErrorKind::kInvalidArgument).data());
  EXPECT_STREQ(fsa_status_name(FSA_UNSUPPORTED), to_string(ErrorKind::kUnsupported).data());
  EXPECT_STREQ(fsa_status_name(FSA_NOT_FOUND), to_string(ErrorKind::kNotFound).data());
  EXPECT_STREQ(fsa_status_name(FSA_UNAVAILABLE), to_string(ErrorKind::kUnavailable).data());
  EXPECT_STREQ(fsa_status_name(FSA_COMPILE), to_string(ErrorKind::kCompile).data());
  EXPECT_STREQ(fsa_status_name(FSA_DEVICE), to_string(ErrorKind::kDevice).data());
  EXPECT_STREQ(fsa_status_name(FSA_IO), to_string(ErrorKind::kIo).data());
  EXPECT_STREQ(fsa_status_name(FSA_CORRUPT), to_string(ErrorKind::kCorrupt).data());
  EXPECT_STREQ(fsa_status_name(FSA_TIMEOUT), to_string(ErrorKind::kTimeout).data());
  EXPECT_STREQ(fsa_status_name(FSA_CANCELLED), to_string(ErrorKind::kCancelled).data());
  EXPECT_STREQ(fsa_status_name(FSA_INTERNAL), to_string(ErrorKind::kInternal).data());
  EXPECT_STREQ(fsa_status_name(static_cast<fsa_status>(12)), "unknown");
}

TEST(CLibrary, AMessageBelongsToItsThreadAndOutlivesSuccess) {
  expect_refusal(fsa_engine_get_info(nullptr, nullptr), FSA_INVALID_ARGUMENT, {"engine is a null pointer"});
  std::string elsewhere = "not read";
  std::thread([&] { elsewhere = fsa_last_error_message(); }).join();
  EXPECT_EQ(elsewhere, "");
  EXPECT_EQ(fsa_engine_destroy(nullptr), FSA_OK);
  EXPECT_NE(std::strstr(fsa_last_error_message(), "engine is a null pointer"), nullptr);
}

TEST(CEngine, TellsDeviceAndTarget) {
  if (!cpu_engine()) GTEST_SKIP() << fsa_last_error_message();
  fsa_engine_info info{};
  info.size = sizeof info;
  ASSERT_EQ(fsa_engine_get_info(cpu_engine(), &info), FSA_OK);
  EXPECT_STREQ(info.device, "cpu");
  EXPECT_EQ(std::string_view(info.target).substr(0, 6), "x86-64");
  EXPECT_NE(info.device_name[0], '\0');
}

TEST(CEngine, AnOlderCallersStructIsFilledNoFurtherThanItGoes) {
  if (!cpu_engine()) GTEST_SKIP() << fsa_last_error_message();
  fsa_engine_info info{};
  info.size = offsetof(fsa_engine_info, target);
  info.target = "untouched";
  ASSERT_EQ(fsa_engine_get_info(cpu_engine(), &info), FSA_OK);
  EXPECT_STREQ(info.device, "cpu");
  EXPECT_STREQ(info.target, "untouched");
  EXPECT_EQ(info.size, offsetof(fsa_engine_info, target));
}

TEST(CEngine, NullPointersAreNamed) {
  fsa_engine* engine = nullptr;
  expect_refusal(fsa_engine_create(nullptr, nullptr, &engine), FSA_INVALID_ARGUMENT, {"device is a null pointer"});
  expect_refusal(fsa_engine_create("cpu", nullptr, nullptr), FSA_INVALID_ARGUMENT, {"engine is a null pointer"});
  expect_refusal(fsa_engine_get_info(cpu_engine(), nullptr), FSA_INVALID_ARGUMENT, {"fsa_engine_info is a null pointer"});
}

TEST(CEngine, AnUnknownDeviceListsThoseThereAreAndLeavesNoHandle) {
  auto* engine = reinterpret_cast<fsa_engine*>(8);
  expect_refusal(fsa_engine_create("tpu", nullptr, &engine), FSA_INVALID_ARGUMENT, {"'tpu'", "cpu, cuda"});
  EXPECT_EQ(engine, nullptr);
}

TEST(CEngine, ADeviceThatIsNotThereIsUnavailable) {
  fsa_engine* engine = nullptr;
  expect_refusal(fsa_engine_create("cuda:63", nullptr, &engine), FSA_UNAVAILABLE, {});
}

TEST(CEngine, OptionsWithoutASizeOrWithMembersOfTheFutureAreRefused) {
  fsa_engine* engine = nullptr;
  fsa_engine_options none{};
  expect_refusal(fsa_engine_create("cpu", &none, &engine), FSA_INVALID_ARGUMENT, {"fsa_engine_options.size is 0", "sizeof"});
  struct {
    fsa_engine_options known;
    std::uint64_t future;
  } newer{options(), 1};
  newer.known.size = sizeof newer;
  expect_refusal(fsa_engine_create("cpu", &newer.known, &engine), FSA_UNSUPPORTED, {"does not know"});
  newer.future = 0;
  newer.known.no_cache = 1;
  EXPECT_EQ(fsa_engine_create("cpu", &newer.known, &engine), FSA_OK) << fsa_last_error_message();
  EXPECT_EQ(fsa_engine_destroy(engine), FSA_OK);
}

TEST(CEngine, OptionsReachTheEngine) {
  fsa_engine* engine = nullptr;
  fsa_engine_options bad_pack = options();
  bad_pack.pack = "/no/such/pack";
  expect_refusal(fsa_engine_create("cpu", &bad_pack, &engine), FSA_NOT_FOUND, {"/no/such/pack"});
  fsa_engine_options bad_threads = options();
  bad_threads.num_threads = -1;
  expect_refusal(fsa_engine_create("cpu", &bad_threads, &engine), FSA_INVALID_ARGUMENT, {"-1"});
}

TEST(CEngine, TheEnvironmentCountsOnlyWhereItIsAskedFor) {
  ::setenv("FSA_NUM_THREADS", "many", 1);
  fsa_engine_options asks = options();
  asks.from_environment = 1;
  fsa_engine* engine = nullptr;
  expect_refusal(fsa_engine_create("cpu", &asks, &engine), FSA_INVALID_ARGUMENT, {"FSA_NUM_THREADS", "many"});
  EXPECT_EQ(fsa_engine_create("cpu", nullptr, &engine), FSA_OK) << fsa_last_error_message();
  ::unsetenv("FSA_NUM_THREADS");
  EXPECT_EQ(fsa_engine_destroy(engine), FSA_OK);
}

TEST(CEngine, AFrozenEngineRefusesToCompileAndALoggingOneSaysThatItDoes) {
  fsa_engine* engine = nullptr;
  fsa_engine_options frozen = options();
  frozen.no_cache = frozen.freeze = 1;
  ASSERT_EQ(fsa_engine_create("cpu", &frozen, &engine), FSA_OK) << fsa_last_error_message();
  auto* plan = reinterpret_cast<fsa_plan*>(8);
  expect_refusal(fsa_plan_create(engine, "selected_attention", small_problem().c_str(), &plan), FSA_UNAVAILABLE, {"selected_"});
  EXPECT_EQ(plan, nullptr);
  fsa_engine_destroy(engine);

  std::atomic<int> lines{0};
  fsa_engine_options logging = options();
  logging.no_cache = 1;
  logging.log_context = &lines;
  logging.log = [](void* context, fsa_log_level level, const char* line) {
    static_cast<std::atomic<int>*>(context)->fetch_add(level >= FSA_LOG_DEBUG && level <= FSA_LOG_WARNING && line[0] != '\0');
  };
  ASSERT_EQ(fsa_engine_create("cpu", &logging, &engine), FSA_OK) << fsa_last_error_message();
  ASSERT_EQ(fsa_plan_create(engine, "selected_attention", small_problem().c_str(), &plan), FSA_OK) << fsa_last_error_message();
  EXPECT_GT(lines, 0);
  fsa_plan_destroy(plan);
  fsa_engine_destroy(engine);
}

TEST(CEngine, MemoryThatIsNoHandleIsRefused) {
  alignas(64) static unsigned char nothing[4096] = {};
  auto* engine = reinterpret_cast<fsa_engine*>(nothing);
  auto* plan = reinterpret_cast<fsa_plan*>(nothing);
  fsa_plan* made = nullptr;
  expect_refusal(fsa_engine_destroy(engine), FSA_INVALID_ARGUMENT, {"engine is no live handle"});
  expect_refusal(fsa_plan_destroy(plan), FSA_INVALID_ARGUMENT, {"plan is no live handle"});
  expect_refusal(fsa_plan_create(engine, "selected_attention", "{}", &made), FSA_INVALID_ARGUMENT, {"engine is no live handle"});
  expect_refusal(fsa_plan_forward(plan, nullptr, 0, nullptr, 0, nullptr), FSA_INVALID_ARGUMENT, {"plan is no live handle"});
}

TEST(CEngine, AnEngineIsNoPlan) {
  if (!cpu_engine()) GTEST_SKIP() << fsa_last_error_message();
  expect_refusal(fsa_plan_validate(reinterpret_cast<fsa_plan*>(cpu_engine()), nullptr, 0), FSA_INVALID_ARGUMENT,
                 {"plan is no live handle"});
}

}  // namespace
}  // namespace fsa::test
