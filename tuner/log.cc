#include "tuner/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "codegen/base/digest.h"
#include "tuner/json_values.h"

namespace fsa::tuner {

namespace {

constexpr int kFormat = 1;

double unix_seconds() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::string read_all(int fd) {
  std::string text;
  char buffer[65536];
  for (off_t offset = 0;;) {
    const ssize_t n = pread(fd, buffer, sizeof buffer, offset);
    if (n <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(n));
    offset += n;
  }
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

Result<TuningLog> TuningLog::open(const std::string& path, const Json& identity) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  TuningLog log(fd, path, DigestBuilder().field("tuning log").field(identity.dump()).finish().hex());
  if (fd < 0) return log.write_error();
  const std::string text = read_all(fd);
  log.read_history(text);
  // A run that was killed in the middle of a line must not swallow the first of ours.
  if (!text.empty() && text.back() != '\n' && !write_all(fd, "\n")) return log.write_error();
  FSA_RETURN_IF_ERROR(log.append("session", {{"identity", identity}}));
  return log;
}

TuningLog::TuningLog(TuningLog&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      key_(std::move(other.key_)),
      history_(std::move(other.history_)),
      damaged_lines_(other.damaged_lines_) {}

TuningLog& TuningLog::operator=(TuningLog&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  std::swap(key_, other.key_);
  std::swap(history_, other.history_);
  std::swap(damaged_lines_, other.damaged_lines_);
  return *this;
}

TuningLog::~TuningLog() {
  if (fd_ >= 0) close(fd_);
}

Error TuningLog::write_error() const {
  return make_error(ErrorKind::kIo, {.given = fmt::format("the tuning log '{}' cannot be written: {}", path_, std::strerror(errno)),
                                     .remedy = "choose another file or free some space"});
}

Result<void> TuningLog::append(std::string_view event, const Json& fields) {
  Json line = {{"format", kFormat}, {"key", key_}, {"event", event}, {"time", unix_seconds()}};
  line.update(fields);
  if (!write_all(fd_, to_line(line) + "\n")) return write_error();
  return {};
}

void TuningLog::read_history(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    Json json = Json::parse(line, nullptr, false);
    const bool ours_to_read = json.is_object() && json.contains("event") && json.contains("key") && json.value("format", Json()) == kFormat;
    if (!ours_to_read)
      ++damaged_lines_;
    else if (json["key"] == key_)
      history_.push_back(std::move(json));
  }
}

}  // namespace fsa::tuner
