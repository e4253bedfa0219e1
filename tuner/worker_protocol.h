#pragma once
// Owns the protocol between a tuning run and its worker processes: one JSON object per line on a descriptor of its own.
//
//   request  {"id":7,"method":"measure","params":{...}}
//   beat     {"id":7,"beat":3}            the worker now loads or runs candidate 3 of the request: it is alive
//   reply    {"id":7,"ok":{...}}  or  {"id":7,"err":{"kind","given","supported","remedy"}}
//
//   init     {session}                                      -> {}         first, to every worker; opaque to this folder
//   compile  {"candidate":{...}}                            -> {CompileReport}
//   measure  {"candidates":[...],"rounds":n,"limit_seconds":s} -> {"samples":[[seconds...] | {"error":{...}}, ...]}
//   verify   {"candidate":{...}}                            -> {"error":e,"tolerance":t}
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "codegen/base/json.h"
#include "fsa/base/result.h"

namespace fsa::tuner {

/// The descriptor of requests and replies in a worker. Its stdout and stderr are free: whatever lands there is noise, the
/// last lines of which the parent quotes when the worker dies.
inline constexpr int kWorkerFd = 3;

using Beat = std::function<void(std::size_t index)>;
/// Answers one request. May call `beat`; a worker that is silent for too long is killed.
using WorkerHandler = std::function<Result<Json>(std::string_view method, const Json& params, const Beat& beat)>;

/// Answers requests from `in_fd` on `out_fd` until it reaches its end. kIo when a descriptor fails, kCorrupt on a request
/// that cannot be read.
Result<void> worker_serve(int in_fd, int out_fd, const WorkerHandler& handler);

/// worker_serve on kWorkerFd, in a process that dies with its parent: what the program of a worker calls.
Result<void> worker_main(const WorkerHandler& handler);

/// One line with its line end.
std::string request_line(std::uint64_t id, std::string_view method, const Json& params);

/// A line from a worker: a beat, or the reply.
struct WorkerMessage {
  std::uint64_t id = 0;
  std::optional<std::size_t> beat = {};
  Result<Json> reply = Json();
};
/// kCorrupt when the line is none of the above.
Result<WorkerMessage> parse_message(std::string_view line);

/// Bytes in, lines out.
class LineBuffer {
 public:
  void append(std::string_view bytes) { text_ += bytes; }
  std::optional<std::string> next();
  /// Bytes that wait for their line end.
  std::size_t size() const { return text_.size(); }

 private:
  std::string text_;
  std::size_t searched_ = 0;
};

}  // namespace fsa::tuner
