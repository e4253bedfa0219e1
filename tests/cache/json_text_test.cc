#include "cache/json_text.h"

#include <gtest/gtest.h>

namespace fsa {
namespace {

TEST(JsonText, MembersKeepTheirOrder) { EXPECT_EQ(dump_json(*parse_json(R"({"b":1,"a":2})", "it")), R"({"b":1,"a":2})"); }

TEST(JsonText, CanonicalTextIgnoresTheOrderOfMembers) {
  EXPECT_EQ(canonical_json(*parse_json(R"({"b":{"y":1,"x":2},"a":2})", "it")),
            canonical_json(*parse_json(R"({"a":2,"b":{"x":2,"y":1}})", "it")));
}

TEST(JsonText, EqualityIgnoresTheOrderOfMembersAndSeesEveryValue) {
  const Json json = {{"a", 1}, {"b", {{"x", "1"}, {"y", {1, 2}}}}};
  EXPECT_TRUE(equal_json(json, Json{{"b", {{"y", {1, 2}}, {"x", "1"}}}, {"a", 1}}));
  EXPECT_FALSE(equal_json(json, Json{{"b", {{"y", {2, 1}}, {"x", "1"}}}, {"a", 1}}));
  EXPECT_FALSE(equal_json(json, Json{{"b", {{"y", {1, 2}}, {"x", 1}}}, {"a", 1}}));
  EXPECT_FALSE(equal_json(json, Json{{"a", 1}}));
  EXPECT_FALSE(equal_json(json, Json{{"a", 1}, {"c", {{"x", "1"}, {"y", {1, 2}}}}}));
}

TEST(JsonText, BadTextIsCorruptAndNamesItsSource) {
  for (const char* text : {"", "{", "{\"a\":}", "[1,]", "\"\xff\"", "{} {}"}) {
    const auto json = parse_json(text, "the_file");
    ASSERT_FALSE(json.ok()) << text;
    EXPECT_EQ(json.error().kind, ErrorKind::kCorrupt);
    EXPECT_NE(json.error().message().find("the_file"), std::string::npos);
  }
}

TEST(JsonText, ARepeatedKeyIsCorruptAtAnyDepth) {
  EXPECT_FALSE(parse_json(R"({"a":1,"a":2})", "it").ok());
  EXPECT_FALSE(parse_sorted_json(R"({"a":[{"b":1,"b":2}]})", "it").ok());
  EXPECT_TRUE(parse_json(R"({"a":{"b":1},"c":{"b":1}})", "it").ok());
}

TEST(JsonText, DeepNestingIsCorruptAndNotACrash) {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  EXPECT_FALSE(parse_json(deep, "it").ok());
  EXPECT_FALSE(parse_sorted_json(std::string(200'000, '['), "it").ok());
  EXPECT_TRUE(parse_json("[[[[[1]]]]]", "it").ok());
}

TEST(JsonText, InvalidUtf8IsReplacedWhenWritten) { EXPECT_EQ(dump_json(Json("a\xff")), "\"a\xEF\xBF\xBD\""); }

}  // namespace
}  // namespace fsa
