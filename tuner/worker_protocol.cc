#include "tuner/worker_protocol.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fmt/format.h>

#include "tuner/json_values.h"

namespace fsa::tuner {

namespace {

Error channel_error(std::string_view doing) {
  return make_error(ErrorKind::kIo, {.given = fmt::format("{} the worker's channel failed: {}", doing, std::strerror(errno))});
}

Result<void> write_line(int fd, const Json& json) {
  const std::string line = to_line(json) + "\n";
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t n = write(fd, line.data() + done, line.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return channel_error("writing to");
    done += static_cast<std::size_t>(n);
  }
  return {};
}

bool is_request(const Json& json) {
  return json.is_object() && json.contains("id") && json["id"].is_number_unsigned() && json.contains("method") &&
         json["method"].is_string();
}

Result<void> answer(std::string_view line, int out_fd, const WorkerHandler& handler) {
  FSA_ASSIGN_OR_RETURN(const Json request, parse_line(line));
  if (!is_request(request)) return malformed("a request", request, R"({"id": n, "method": name, "params": {...}})");
  const Json& id = request["id"];
  const auto beat = [&](std::size_t index) { (void)write_line(out_fd, {{"id", id}, {"beat", index}}); };
  const Result<Json> result = handler(request["method"].get<std::string>(), request.value("params", Json::object()), beat);
  return write_line(out_fd, result ? Json{{"id", id}, {"ok", *result}} : Json{{"id", id}, {"err", to_json(result.error())}});
}

}  // namespace

std::optional<std::string> LineBuffer::next() {
  const std::size_t end = text_.find('\n', searched_);
  searched_ = text_.size();
  if (end == std::string::npos) return std::nullopt;
  std::string line = text_.substr(0, end);
  text_.erase(0, end + 1);
  searched_ = 0;
  return line;
}

Result<void> worker_serve(int in_fd, int out_fd, const WorkerHandler& handler) {
  LineBuffer buffer;
  char bytes[65536];
  for (;;) {
    while (const auto line = buffer.next()) FSA_RETURN_IF_ERROR(answer(*line, out_fd, handler));
    const ssize_t n = read(in_fd, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != ECONNRESET) return channel_error("reading from");
    if (n <= 0) return {};
    buffer.append({bytes, static_cast<std::size_t>(n)});
  }
}

Result<void> worker_main(const WorkerHandler& handler) {
  // Should the parent have died before this line, the first read finds the end of the channel.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  fcntl(kWorkerFd, F_SETFD, FD_CLOEXEC);  // a compiler that the worker starts must not hold the channel open
  return worker_serve(kWorkerFd, kWorkerFd, handler);
}

std::string request_line(std::uint64_t id, std::string_view method, const Json& params) {
  return to_line({{"id", id}, {"method", method}, {"params", params}}) + "\n";
}

Result<WorkerMessage> parse_message(std::string_view line) {
  FSA_ASSIGN_OR_RETURN(const Json json, parse_line(line));
  if (!json.is_object() || !json.contains("id") || !json["id"].is_number_unsigned())
    return malformed("a worker's message", json, R"({"id": n, "ok": ...} or {"id": n, "err": ...})");
  WorkerMessage message{.id = json["id"].get<std::uint64_t>()};
  if (json.contains("beat") && json["beat"].is_number_unsigned())
    message.beat = json["beat"].get<std::size_t>();
  else if (json.contains("ok"))
    message.reply = json["ok"];
  else if (json.contains("err"))
    message.reply = error_from_json(json["err"]);
  else
    return malformed("a worker's message", json, "a beat, ok or err");
  return message;
}

}  // namespace fsa::tuner
