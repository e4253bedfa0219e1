#include "tuner/worker_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include <fmt/format.h>

namespace fsa::tuner {

namespace {

constexpr std::size_t kNoiseBytes = 4096;          // kept of a worker's output
constexpr std::size_t kNoiseLines = 5;             // quoted in an error
constexpr std::size_t kLongestLine = 64ull << 20;  // a longer one is no message
constexpr double kLeaveSeconds = 1;                // for a worker whose channel was closed
constexpr double kDieSeconds = 2;                  // for a killed one; a process stuck in a driver call may never die

/// Descriptors that are closed when the scope ends, unless taken.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int take() { return std::exchange(fd_, -1); }
  /// Moves it out of the range that the child's own descriptors are placed in.
  void lift() {
    const int lifted = fcntl(fd_, F_DUPFD_CLOEXEC, 10);
    close(fd_);
    fd_ = lifted;
  }

 private:
  int fd_;
};

/// What posix_spawn is to do in the child: its descriptors, group and signals.
class SpawnPlan {
 public:
  SpawnPlan(int channel, int noise) {
    posix_spawn_file_actions_init(&files_);
    posix_spawn_file_actions_addopen(&files_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files_, noise, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files_, noise, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&files_, channel, kWorkerFd);
    posix_spawnattr_init(&attributes_);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes_, 0);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    for (int s : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) sigaddset(&signals, s);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&files_);
    posix_spawnattr_destroy(&attributes_);
  }
  /// 0, or an errno.
  int spawn(std::span<const std::string> argv, pid_t& pid) const {
    std::vector<char*> pointers;
    for (const std::string& arg : argv) pointers.push_back(const_cast<char*>(arg.c_str()));
    pointers.push_back(nullptr);
    return posix_spawnp(&pid, pointers[0], &files_, &attributes_, pointers.data(), environ);
  }

 private:
  posix_spawn_file_actions_t files_;
  posix_spawnattr_t attributes_;
};

Error cannot_spawn(std::span<const std::string> argv, int code) {
  return make_error(ErrorKind::kUnavailable,
                    {.given = fmt::format("the worker '{}' cannot be started: {}", argv.empty() ? "" : argv[0], std::strerror(code))});
}

void set_nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

}  // namespace

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::spawn(std::span<const std::string> argv) {
  if (argv.empty()) return cannot_spawn(argv, EINVAL);
  int channel[2], noise[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0) return cannot_spawn(argv, errno);
  Fd ours(channel[0]), theirs(channel[1]);
  if (pipe2(noise, O_CLOEXEC) != 0) return cannot_spawn(argv, errno);
  Fd noise_out(noise[0]), noise_in(noise[1]);
  theirs.lift();
  noise_in.lift();
  if (theirs.get() < 0 || noise_in.get() < 0) return cannot_spawn(argv, EMFILE);
  set_nonblocking(ours.get());
  set_nonblocking(noise_out.get());
  pid_t pid = 0;
  if (const int code = SpawnPlan(theirs.get(), noise_in.get()).spawn(argv, pid)) return cannot_spawn(argv, code);
  return std::unique_ptr<WorkerProcess>(new WorkerProcess(pid, ours.take(), noise_out.take()));
}

WorkerProcess::~WorkerProcess() {
  close(channel_);
  if (!reap(kLeaveSeconds)) {
    kill(-pid_, SIGKILL);
    reap(kDieSeconds);
  }
  if (noise_ >= 0) close(noise_);
}

void WorkerProcess::pump() {
  if (!lost_) write_unsent();
  if (!lost_) read_channel();
  read_noise();
}

void WorkerProcess::write_unsent() {
  while (!unsent_.empty()) {
    const ssize_t n = ::send(channel_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n < 0) {
      lost_ = true;
      return;
    }
    unsent_.erase(0, static_cast<std::size_t>(n));
  }
}

void WorkerProcess::read_channel() {
  char bytes[65536];
  for (;;) {
    const ssize_t n = read(channel_, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0 || lines_.size() > kLongestLine) {
      lost_ = true;
      return;
    }
    lines_.append({bytes, static_cast<std::size_t>(n)});
    if (n < static_cast<ssize_t>(sizeof bytes)) return;
  }
}

void WorkerProcess::read_noise() {
  char bytes[4096];
  while (noise_ >= 0) {
    const ssize_t n = read(noise_, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0) {
      close(std::exchange(noise_, -1));
      return;
    }
    noise_text_.append(bytes, static_cast<std::size_t>(n));
    if (noise_text_.size() > kNoiseBytes) noise_text_.erase(0, noise_text_.size() - kNoiseBytes);
    if (n < static_cast<ssize_t>(sizeof bytes)) return;
  }
}

bool WorkerProcess::reap(double seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  for (;;) {
    if (status_) return true;
    int status = 0;
    const pid_t got = waitpid(pid_, &status, WNOHANG);
    if (got == pid_) status_ = status;
    if (got < 0 && errno != EINTR) status_ = 0;  // someone else has waited for it
    if (status_) continue;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::string WorkerProcess::kill_and_describe() {
  if (!status_) kill(-pid_, SIGKILL);
  const bool dead = reap(kDieSeconds);
  read_noise();
  if (!dead) return "cannot be killed";
  if (WIFSIGNALED(*status_)) {
    const char* name = sigabbrev_np(WTERMSIG(*status_));
    return name ? fmt::format("died with SIG{}", name) : fmt::format("died with signal {}", WTERMSIG(*status_));
  }
  return fmt::format("exited with status {}", WEXITSTATUS(*status_));
}

std::string WorkerProcess::last_noise() const {
  std::vector<std::string_view> lines;
  std::string_view rest = noise_text_;
  while (!rest.empty() && lines.size() < kNoiseLines) {
    const std::size_t end = rest.find_last_not_of('\n');
    if (end == std::string_view::npos) break;
    rest = rest.substr(0, end + 1);
    const std::size_t begin = rest.rfind('\n') + 1;  // npos + 1 is 0
    lines.push_back(rest.substr(begin));
    rest = rest.substr(0, begin);
  }
  std::string text;
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) text += (text.empty() ? "" : " | ") + std::string(*line);
  return text;
}

}  // namespace fsa::tuner
