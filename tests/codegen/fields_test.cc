#include "codegen/fields.h"

#include <gtest/gtest.h>

#include "codegen/tunable.h"

namespace fsa {
namespace {

enum class Colour { kRed, kBlue };

struct Sample {
  int rows = 64;
  long long bytes = 0;
  float scale = 1;
  Colour colour = Colour::kRed;
  bool operator==(const Sample&) const = default;
};

const FieldTable<Sample>& fields() {
  static const FieldTable<Sample> table{{"rows", &Sample::rows},
                                        {"bytes", &Sample::bytes},
                                        {"scale", &Sample::scale},
                                        {"colour", &Sample::colour, {{0, "red", "Colour::kRed"}, {1, "blue", "Colour::kBlue"}}}};
  return table;
}

TEST(Fields, JsonKeepsTheOrderOfTheTable) {
  EXPECT_EQ(to_json(fields(), {.rows = 8, .scale = 0.5f, .colour = Colour::kBlue}).dump(),
            R"({"rows":8,"bytes":0,"scale":0.5,"colour":"blue"})");
}

TEST(Fields, EveryValueSurvivesTheRoundTrip) {
  const Sample sample{.rows = -3, .bytes = (1LL << 53) - 1, .scale = 0.1f, .colour = Colour::kBlue};
  const auto back = from_json(fields(), Json::parse(to_json(fields(), sample).dump()), "sample");
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, sample);
}

TEST(Fields, OfABaseServeWhatDerivesFromIt) {
  struct Derived : Sample {
    int more = 7;
  };
  FieldTable<Derived> table(fields().begin(), fields().end());
  table.emplace_back("more", &Derived::more);
  Derived derived;
  derived.rows = 5;
  EXPECT_EQ(to_json(table, derived).dump(), R"({"rows":5,"bytes":0,"scale":1.0,"colour":"red","more":7})");
  const auto back = from_json(table, {{"colour", "blue"}, {"more", 8}}, "derived");
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->colour, Colour::kBlue);
  EXPECT_EQ(back->more, 8);
}

TEST(Fields, AMissingMemberKeepsItsDefault) {
  const auto sample = from_json(fields(), Json{{"colour", "blue"}}, "sample");
  ASSERT_TRUE(sample);
  EXPECT_EQ(*sample, (Sample{.colour = Colour::kBlue}));
}

TEST(Fields, AnUnknownMemberIsNamedWithTheKnownOnes) {
  const auto sample = from_json(fields(), Json{{"row", 3}}, "config of sample");
  ASSERT_FALSE(sample);
  EXPECT_EQ(sample.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(sample.error().given, "the config of sample has a field 'row'");
  EXPECT_EQ(sample.error().supported, "rows, bytes, scale, colour");
}

TEST(Fields, ValuesOfTheWrongTypeAreNamed) {
  for (const Json& json : {Json{{"rows", 1.5}}, Json{{"rows", "8"}}, Json{{"rows", nullptr}}, Json{{"scale", "big"}}, Json{{"colour", 1}},
                           Json{{"colour", "green"}}}) {
    const auto sample = from_json(fields(), json, "sample");
    ASSERT_FALSE(sample) << json.dump();
    EXPECT_NE(sample.error().given.find(json.begin().key()), std::string::npos);
    EXPECT_FALSE(sample.error().supported.empty());
  }
  EXPECT_FALSE(from_json(fields(), Json::array({1, 2}), "sample"));
}

TEST(Fields, InitializersAreThoseOfGeneratedSource) {
  EXPECT_EQ(to_initializers(fields(), {.rows = 32, .scale = 0.5f, .colour = Colour::kBlue}),
            ".rows = 32, .bytes = 0, .scale = 0.5, .colour = Colour::kBlue");
}

TEST(Fields, WordsAreTheValuesInDeclarationOrder) {
  EXPECT_EQ(to_words(fields(), {.rows = -1, .bytes = 7, .colour = Colour::kBlue}), (std::vector<std::uint32_t>{0xffffffffu, 7, 1, 1}));
}

TEST(Tunables, TheLastOneVariesFastestAndIllegalOnesAreLeftOut) {
  const std::vector<Tunable<Sample>> tunables{{fields()[0], {1, 2}}, {fields()[3], {0, 1}}};
  const auto all = enumerate<Sample>(tunables, {.bytes = 5}, [](const Sample& s) { return !(s.rows == 2 && s.colour == Colour::kRed); });
  EXPECT_EQ(all, (std::vector<Sample>{{1, 5, 1, Colour::kRed}, {1, 5, 1, Colour::kBlue}, {2, 5, 1, Colour::kBlue}}));
}

TEST(Tunables, NoTunablesGiveTheBaseAlone) {
  EXPECT_EQ(enumerate<Sample>({}, Sample{}, [](const Sample&) { return true; }).size(), 1u);
  EXPECT_TRUE(enumerate<Sample>({}, Sample{}, [](const Sample&) { return false; }).empty());
}

}  // namespace
}  // namespace fsa
