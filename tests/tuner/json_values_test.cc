#include "tuner/json_values.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fsa::tuner {
namespace {

TEST(JsonValues, ErrorsRoundTrip) {
  const Error error = make_error(ErrorKind::kTimeout, {.given = "g", .supported = "s", .remedy = "r"});
  const Error back = error_from_json(to_json(error));
  EXPECT_EQ(back.kind, ErrorKind::kTimeout);
  EXPECT_EQ(back.message(), error.message());
}

TEST(JsonValues, ReportsRoundTrip) {
  const CompileReport report{
      .seconds = 0.25, .registers = 168, .spill_bytes = 4, .stack_bytes = 8, .static_smem_bytes = 16, .warnings = {"w"}};
  const Result<CompileReport> back = report_from_json(*parse_line(to_line(to_json(report))));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->seconds, 0.25);
  EXPECT_EQ(back->registers, 168);
  EXPECT_EQ(back->spill_bytes, 4);
  EXPECT_EQ(back->stack_bytes, 8);
  EXPECT_EQ(back->static_smem_bytes, 16);
  EXPECT_EQ(back->warnings, report.warnings);
}

TEST(JsonValues, SamplesRoundTripExactly) {
  const std::vector<double> seconds{0.1, 1.0 / 3, 1e-7};
  EXPECT_EQ(*samples_from_json(*parse_line(to_line(to_json(Samples(seconds))))), seconds);
}

TEST(JsonValues, AVerdictThatIsNotANumberIsNotRight) {
  const Result<Verdict> back = verdict_from_json(*parse_line(to_line(to_json(Verdict{.error = NAN, .tolerance = 1}))));
  ASSERT_TRUE(back);
  EXPECT_FALSE(back->right());
}

TEST(JsonValues, BytesThatAreNotUtf8DoNotStopALine) { EXPECT_TRUE(parse_line(to_line({{"log", "bad \xff\xfe byte"}}))); }

TEST(JsonValues, GarbageIsCorrupt) {
  EXPECT_EQ(parse_line("{\"a\":").error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(samples_from_json(Json::parse("[]")).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(samples_from_json(Json::parse("[1,\"x\"]")).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(report_from_json(Json()).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(verdict_from_json(Json()).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace fsa::tuner
