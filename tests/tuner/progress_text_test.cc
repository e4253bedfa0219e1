#include "tuner/progress_text.h"

#include <gtest/gtest.h>

namespace fsa::tuner {
namespace {

Progress halfway() {
  return {.step = Step::kMeasure,
          .variant = "block",
          .family = "main",
          .done = 50,
          .total = 100,
          .elapsed_seconds = 42,
          .best_seconds = 1.234e-3,
          .default_seconds = 2e-3,
          .note = ""};
}

TEST(ProgressText, DurationsHaveFittingUnits) {
  EXPECT_EQ(duration_text(8.5e-4), "850 us");
  EXPECT_EQ(duration_text(1.234e-3), "1.23 ms");
  EXPECT_EQ(duration_text(5), "5.0 s");
  EXPECT_EQ(duration_text(42.2), "42 s");
  EXPECT_EQ(duration_text(59.7), "1 min 0 s");
  EXPECT_EQ(duration_text(200), "3 min 20 s");
  EXPECT_EQ(duration_text(4000), "1 h 6 min");
}

TEST(ProgressText, TheBarShowsShareBestAndTimeLeft) {
  EXPECT_EQ(progress_bar(halfway(), 120), "[##########..........]  50 % measure block/main, best 1.23 ms, default 2 ms, 42 s left");
}

TEST(ProgressText, TheBarNeverExceedsTheWidth) {
  for (int width = 1; width < 100; ++width) EXPECT_LE(progress_bar(halfway(), width).size(), static_cast<std::size_t>(width));
}

TEST(ProgressText, UnknownTimesAreLeftOut) {
  EXPECT_EQ(progress_line({.step = Step::kCompile, .variant = "", .family = "", .note = ""}), "tune: 0 % compile");
}

TEST(ProgressText, ATerminalRedrawsInPlace) {
  ProgressText text(true, 80);
  const std::string out = text.update(halfway());
  EXPECT_EQ(out.substr(0, 4), "\r\x1b[K");
  EXPECT_EQ(out.find('\n'), std::string::npos);
}

TEST(ProgressText, ATerminalPrintsNotesAboveTheBar) {
  ProgressText text(true, 80);
  Progress p = halfway();
  p.note = "failed: x";
  const std::string out = text.update(p);
  EXPECT_EQ(out.find("\r\x1b[Ktune: failed: x\n["), 0u) << out;
}

TEST(ProgressText, PlainLinesComeOncePerTenth) {
  ProgressText text(false, 0);
  Progress p = halfway();
  std::string out;
  for (p.done = 0; p.done <= 100; ++p.done) out += text.update(p);
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 11);
  EXPECT_EQ(out.find('\x1b'), std::string::npos);
}

TEST(ProgressText, TheEndLeavesTheSentenceAndNoBar) {
  Progress p = halfway();
  p.step = Step::kFinished;
  p.note = "chosen: x";
  EXPECT_EQ(ProgressText(true, 80).update(p), "\r\x1b[Ktune: chosen: x\n");
  EXPECT_EQ(ProgressText(false, 80).update(p), "tune: chosen: x\n");
}

}  // namespace
}  // namespace fsa::tuner
