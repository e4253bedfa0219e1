#include "cache/tuning_table.h"

#include <gtest/gtest.h>

#include "tests/cache/tuning_samples.h"

namespace fsa {
namespace {

using namespace test;

TuningQuery query(int total = 65536) { return {.key = sample_key(total)}; }

TEST(TuningTable, TheSameKeyIsAnExactMatch) {
  const TuningTable table({sample_entry(32768), sample_entry(65536)});
  const auto match = table.find(query());
  ASSERT_TRUE(match.has_value());
  EXPECT_TRUE(match->exact);
  EXPECT_EQ(match->distance, 0);
  EXPECT_EQ(match->sentence, "tuned for this problem");
}

TEST(TuningTable, ElseTheNearestIsTakenAndSaidSo) {
  const TuningTable table({sample_entry(4096), sample_entry(32768), sample_entry(1 << 20)});
  const auto match = table.find(query());
  ASSERT_TRUE(match.has_value());
  EXPECT_FALSE(match->exact);
  EXPECT_EQ(match->sentence, "nearest, from total_q=32768, total_k=32768");
}

TEST(TuningTable, OnlyTheFeaturesThatDifferAreNamed) {
  TuningEntry entry = sample_entry();
  entry.key.problem["total_q"] = 32768;
  EXPECT_EQ(TuningTable({entry}).find(query())->sentence, "nearest, from total_q=32768");
}

TEST(TuningTable, AllCandidatesComeBestFirst) {
  const TuningTable table({sample_entry(4096), sample_entry(65536), sample_entry(32768)});
  const auto matches = table.find_all(query());
  ASSERT_EQ(matches.size(), 3u);
  EXPECT_TRUE(matches[0].exact);
  EXPECT_DOUBLE_EQ(matches[1].distance, 2);
  EXPECT_DOUBLE_EQ(matches[2].distance, 8);
}

TEST(TuningTable, FarProblemsDoNotMatch) {
  const TuningTable table({sample_entry(2048)});
  EXPECT_FALSE(table.find(query()).has_value());
  TuningQuery far = query();
  far.max_distance = 10;
  EXPECT_TRUE(table.find(far).has_value());
}

TEST(TuningTable, DeviceOperatorAndFamilyVersionsMustMatch) {
  for (int part = 0; part < 4; ++part) {
    TuningEntry entry = sample_entry();
    if (part == 0) entry.key.device["units"] = 78;
    if (part == 1) entry.key.op = "sliding_window";
    if (part == 2) entry.key.families["selected_block_major"] = 1;
    if (part == 3) entry.key.families.erase("selected_query_major");
    EXPECT_FALSE(TuningTable({entry}).find(query()).has_value()) << part;
  }
}

TEST(TuningTable, TheOrderOfDeviceMembersDoesNotMatter) {
  TuningEntry entry = sample_entry();
  entry.key.device = Json{{"bandwidth_class", "4800"}, {"l2_mib", 50}, {"units", 132}, {"arch", "sm_90a"}};
  EXPECT_TRUE(TuningTable({entry}).find(query())->exact);
}

TEST(TuningTable, AnotherToolchainServesButCountsAnOctaveAndIsNamed) {
  TuningEntry old = sample_entry();
  old.key.toolchain = "nvrtc 12.8";
  const auto match = TuningTable({old}).find(query());
  ASSERT_TRUE(match.has_value());
  EXPECT_FALSE(match->exact);
  EXPECT_DOUBLE_EQ(match->distance, 1);
  EXPECT_EQ(match->sentence, "tuned for this problem, with nvrtc 12.8");
}

TEST(TuningTable, AQueryWithoutAToolchainTakesAny) {
  TuningQuery q = query();
  q.key.toolchain.clear();
  EXPECT_TRUE(TuningTable({sample_entry()}).find(q)->exact);
}

TEST(TuningTable, ADeploymentMayTakeEntriesOfAnotherDeviceOfItsArch) {
  TuningQuery q = query();
  q.key.device["units"] = 114;
  const TuningTable table({sample_entry()});
  EXPECT_FALSE(table.find(q).has_value());
  q.any_device_of_arch = true;
  const auto match = table.find(q);
  ASSERT_TRUE(match.has_value());
  EXPECT_FALSE(match->exact);
  EXPECT_EQ(match->sentence, "tuned for this problem, on Fictional 9000");
  q.key.device["arch"] = "sm_80";
  EXPECT_FALSE(table.find(q).has_value());
}

TEST(TuningTable, EquallyNearEntriesAreDecidedByDateThenPlace) {
  const TuningTable table({sample_entry(65536, "2026-01-01T00:00:00Z", 16), sample_entry(65536, "2026-02-01T00:00:00Z", 32),
                           sample_entry(65536, "2026-02-01T00:00:00Z", 64)});
  EXPECT_EQ(rows_of(*table.find(query())->entry), 32);
}

TEST(TuningTable, AnEmptyTableFindsNothing) { EXPECT_FALSE(TuningTable().find(query()).has_value()); }

}  // namespace
}  // namespace fsa
