#include "cache/tuning_entry.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/cache/tuning_samples.h"

namespace fsa {
namespace {

using namespace test;

TEST(TuningEntry, RoundTripsThroughJson) {
  const auto entry = TuningEntry::parse(sample_entry().to_json(), "it");
  ASSERT_TRUE(entry.ok()) << entry.error().message();
  EXPECT_EQ(entry->to_json(), sample_entry().to_json());
  EXPECT_EQ(entry->measurement.samples, 30);
  EXPECT_EQ(entry->provenance.device_name, "Fictional 9000");
}

TEST(TuningEntry, MeasurementsAndProvenanceMayBeMissing) {
  Json json = sample_entry().to_json();
  json.erase("measurement");
  json.erase("provenance");
  const auto entry = TuningEntry::parse(json, "it");
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry->measurement.seconds, 0);
  EXPECT_EQ(entry->provenance.date, "");
}

TEST(TuningEntry, EachRequiredMemberIsMissedByName) {
  for (const char* name : {"op", "families", "device", "toolchain", "problem", "choice"}) {
    Json json = sample_entry().to_json();
    json.erase(name);
    const auto entry = TuningEntry::parse(json, "entry 3");
    ASSERT_FALSE(entry.ok()) << name;
    EXPECT_EQ(entry.error().kind, ErrorKind::kCorrupt);
    EXPECT_NE(entry.error().given.find("entry 3: '" + std::string(name) + "' is missing"), std::string::npos) << entry.error().given;
  }
}

TEST(TuningEntry, MembersOfTheWrongTypeAreNamed) {
  const std::pair<const char*, Json> cases[] = {{"op", 3},
                                                {"families", Json::array()},
                                                {"device", "sm_90a"},
                                                {"toolchain", 13},
                                                {"problem", 1},
                                                {"choice", "block_major"},
                                                {"measurement", "fast"},
                                                {"provenance", 0},
                                                {"op", ""},
                                                {"choice", Json::object()},
                                                {"families", {{"block_index", "one"}}},
                                                {"measurement", {{"seconds", "fast"}}},
                                                {"measurement", {{"seconds", -1.0}}},
                                                {"provenance", {{"date", 2026}}}};
  for (const auto& [name, value] : cases) {
    Json json = sample_entry().to_json();
    json[name] = value;
    EXPECT_FALSE(TuningEntry::parse(json, "it").ok()) << name << " = " << value;
  }
  for (const Json& json : {Json(3), Json::array(), Json(nullptr)}) EXPECT_FALSE(TuningEntry::parse(json, "it").ok());
}

TEST(TuningEntry, KeysIgnoreTheOrderOfMembersAndSeeEveryPart) {
  TuningKey other = sample_key();
  Json reversed = Json::object();
  const Json problem = sample_problem();
  for (auto it = problem.end(); it != problem.begin();) {
    --it;
    reversed[it.key()] = it.value();
  }
  other.problem = reversed;
  EXPECT_EQ(other.canonical(), sample_key().canonical());
  for (const auto& change :
       std::vector<std::function<void(TuningKey&)>>{[](TuningKey& k) { k.op = "x"; }, [](TuningKey& k) { k.families["block_index"] = 9; },
                                                    [](TuningKey& k) { k.device["units"] = 1; }, [](TuningKey& k) { k.toolchain = "x"; },
                                                    [](TuningKey& k) { k.problem["topk"] = 8; }}) {
    TuningKey changed = sample_key();
    change(changed);
    EXPECT_NE(changed.canonical(), sample_key().canonical());
  }
}

TEST(TuningEntry, TimestampsAreUtcAndCompareAsText) {
  const std::string now = utc_timestamp();
  ASSERT_EQ(now.size(), 20u);
  EXPECT_EQ(now.back(), 'Z');
  EXPECT_GT(now, "2020-01-01T00:00:00Z");
}

}  // namespace
}  // namespace fsa
