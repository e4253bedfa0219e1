#include "tuner/evaluator.h"

#include <gtest/gtest.h>

namespace fsa::tuner {
namespace {

TEST(SampleInterleaved, EachRoundVisitsAllAndStartsOneLater) {
  std::vector<std::size_t> order, announced;
  const MeasureOptions options{.rounds = 3, .on_run = [&](std::size_t i) { announced.push_back(i); }};
  const auto samples = sample_interleaved(3, options,
                                          [&](std::size_t i) -> Result<double> {
                                            order.push_back(i);
                                            return 1.0;
                                          },
                                          {});
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 1, 2, 1, 2, 0, 2, 0, 1}));
  EXPECT_EQ(announced, order);
  for (const Samples& s : samples) EXPECT_EQ(s->size(), 3u);
}

TEST(SampleInterleaved, ASlowCandidateIsSampledOnceUnlessItIsTheFirst) {
  const auto samples =
      sample_interleaved(3, {.rounds = 4, .limit_seconds = 2}, [](std::size_t i) -> Result<double> { return i == 1 ? 1.0 : 3.0; }, {});
  EXPECT_EQ(samples[0]->size(), 4u);
  EXPECT_EQ(samples[1]->size(), 4u);
  EXPECT_EQ(samples[2]->size(), 1u);
}

TEST(SampleInterleaved, AFaultEndsTheCallAndBlamesItsCandidateOnly) {
  const auto fault = [](std::size_t i) -> Result<double> {
    if (i == 1) return make_error(ErrorKind::kDevice, {.given = "illegal address"});
    return 1.0;
  };
  const auto samples = sample_interleaved(3, {.rounds = 2}, fault, {});
  EXPECT_EQ(samples[0].error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(samples[1].error().kind, ErrorKind::kDevice);
  EXPECT_EQ(samples[2].error().kind, ErrorKind::kUnavailable);
}

TEST(SampleInterleaved, AStopRequestLeavesCancelled) {
  std::stop_source stop;
  const auto samples = sample_interleaved(
      2, {.rounds = 2},
      [&](std::size_t i) -> Result<double> {
        if (i == 1) stop.request_stop();
        return 1.0;
      },
      stop.get_token());
  EXPECT_EQ(samples[0].error().kind, ErrorKind::kCancelled);
}

}  // namespace
}  // namespace fsa::tuner
