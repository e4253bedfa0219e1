#include "tuner/worker_protocol.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "tuner/evaluator_handler.h"

namespace fsa::tuner {
namespace {

/// Serves `input` with `handler` over pipes and returns what was written.
std::string serve(std::string_view input, const WorkerHandler& handler, Result<void>* outcome = nullptr) {
  std::array<int, 2> in{}, out{};
  EXPECT_EQ(pipe(in.data()) + pipe(out.data()), 0);
  EXPECT_EQ(write(in[1], input.data(), input.size()), static_cast<ssize_t>(input.size()));
  close(in[1]);
  const Result<void> served = worker_serve(in[0], out[1], handler);
  if (outcome) *outcome = served;
  close(out[1]);
  std::string text(65536, '\0');
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(read(out[0], text.data(), text.size()), 0)));
  close(in[0]);
  close(out[0]);
  return text;
}

Result<Json> echo(std::string_view method, const Json& params, const Beat& beat) {
  if (method == "fail") return make_error(ErrorKind::kCompile, {.given = "no"});
  beat(2);
  return params;
}

TEST(WorkerProtocol, RequestsAreAnsweredInOrder) {
  const std::string text = serve(request_line(1, "a", {{"x", 1}}) + request_line(2, "fail", Json::object()), echo);
  EXPECT_EQ(text,
            "{\"id\":1,\"beat\":2}\n{\"id\":1,\"ok\":{\"x\":1}}\n"
            "{\"id\":2,\"err\":{\"kind\":\"compile\",\"given\":\"no\",\"supported\":\"\",\"remedy\":\"\"}}\n");
}

TEST(WorkerProtocol, GarbageEndsTheService) {
  Result<void> outcome;
  EXPECT_EQ(serve("garbage\n", echo, &outcome), "");
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::kCorrupt);
}

TEST(WorkerProtocol, MessagesParse) {
  EXPECT_EQ(parse_message(R"({"id":7,"beat":3})")->beat, 3u);
  EXPECT_EQ((*parse_message(R"({"id":7,"ok":{"a":1}})")->reply)["a"], 1);
  EXPECT_EQ(parse_message(R"({"id":7,"err":{"kind":"timeout","given":"g"}})")->reply.error().kind, ErrorKind::kTimeout);
  for (const char* bad : {"", "3", "{}", R"({"id":-1,"ok":1})", R"({"id":7})", "{\"id\":7,"}) EXPECT_FALSE(parse_message(bad)) << bad;
}

TEST(WorkerProtocol, LinesAreCutFromArbitraryPieces) {
  LineBuffer buffer;
  std::vector<std::string> lines;
  for (char c : std::string("one\n\ntwo\nthr")) {
    buffer.append({&c, 1});
    while (auto line = buffer.next()) lines.push_back(*line);
  }
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "", "two"}));
  EXPECT_EQ(buffer.size(), 3u);
}

TEST(EvaluatorHandler, WantsInitFirstAndKnowsItsMethods) {
  const WorkerHandler handler = evaluator_handler(
      [](const Json&) -> Result<std::unique_ptr<Evaluator>> { return make_error(ErrorKind::kUnavailable, {.given = "no device"}); });
  const Beat beat = [](std::size_t) {};
  EXPECT_EQ(handler("compile", Json::object(), beat).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(handler("init", Json::object(), beat).error().given, "no device");
  EXPECT_EQ(handler("init", Json(3), beat).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace fsa::tuner
