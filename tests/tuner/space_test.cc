#include "tuner/space.h"

#include <gtest/gtest.h>

#include "codegen/make_family.h"
#include "tests/tuner/fictional_device.h"

namespace fsa::tuner {
namespace {

/// A CPU family with one tunable that holds `rows` vector registers.
struct RowsFamily {
  struct Problem {
    int size = 0;
  };
  using Shape = Problem;
  static constexpr std::string_view kName = "rows";
  static constexpr int kVersion = 1;
  static const FieldTable<Problem>& problem_fields() {
    static const FieldTable<Problem> fields{{"size", &Problem::size}};
    return fields;
  }
  static const FieldTable<Shape>& shape_fields() { return problem_fields(); }
  static Shape shape(const Problem& p) { return p; }
  static Result<void> check(const Problem&, const Target&) { return {}; }
  static Work work(const Problem&) { return {}; }
  static double tolerance(const Problem&) { return 1e-3; }
  struct Cpu {
    struct Config {
      int rows = 8;
    };
    static constexpr std::string_view kConfigType = "rows::Config";
    static constexpr std::array<std::string_view, 1> kEntries{"run"};
    static const FieldTable<Config>& config_fields() {
      static const FieldTable<Config> fields{{"rows", &Config::rows}};
      return fields;
    }
    static Config default_config(const Problem&, const Target&) { return {}; }
    static std::vector<Tunable<Config>> tunables(const Problem&, const Target&) { return {{{"rows", &Config::rows}, {4, 16, 24}}}; }
    static std::string invalid_reason(const Problem&, const Config&, const Target&) { return {}; }
    static Resources resources(const Problem&, const Config& c) { return {.registers = c.rows}; }
    static std::vector<TensorSpec> tensors(const Problem&, const Config&) { return {}; }
    static std::vector<Launch> launches(const Problem&, const Config&) { return {}; }
    struct Params {};
    static Params pack(const Problem&, const Config&, std::span<const TensorView>) { return {}; }
  };
};

TEST(Space, AStageHoldsTheDefaultAndWhatTheModelLeaves) {
  const Family family = make_family<RowsFamily>();
  const Stage stage = make_stage(*family.cpu, {{"size", 1}}, *Target::parse("x86-64-v3"));
  EXPECT_EQ(stage.name, "rows");
  EXPECT_EQ(stage.configs, (std::vector<Json>{{{"rows", 8}}, {{"rows", 4}}, {{"rows", 16}}}));
  EXPECT_EQ(stage.pruned_by_model, 1);
}

TEST(Space, CandidatesRoundTripThroughJson) {
  const Candidate candidate = planted_optimum();
  const Result<Candidate> back = candidate_from_json(to_json(candidate));
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, candidate);
  EXPECT_EQ(back->key(), candidate.key());
}

TEST(Space, JsonThatIsNoCandidateIsCorrupt) {
  for (const Json& json : {Json(), Json(3), Json{{"variant", "x"}}, Json{{"variant", 1}, {"configs", Json::object()}}}) {
    const Result<Candidate> result = candidate_from_json(json);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::kCorrupt);
  }
}

TEST(Space, CandidatesPrintAsNamedFields) { EXPECT_EQ(planted_optimum().to_string(), "block: main{rows=96, stages=5} reduce{rows=8}"); }

}  // namespace
}  // namespace fsa::tuner
