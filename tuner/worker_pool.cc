#include "tuner/worker_pool.h"

#include <poll.h>

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

namespace fsa::tuner {

namespace {

constexpr int kTickMilliseconds = 50;  // how soon a stop request is seen
constexpr int kStartAttempts = 2;      // in a row, before the pool gives up

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

/// One call of run(): the queue of requests and their replies.
class WorkerPool::Run {
 public:
  Run(WorkerPool& pool, std::span<const WorkerRequest> requests, int max_workers, const OnReply& on_reply)
      : pool_(pool), requests_(requests), on_reply_(on_reply), replies_(requests.size()) {
    slots_ = std::span(pool.slots_).first(static_cast<std::size_t>(std::clamp(max_workers, 1, pool.size())));
  }

  std::vector<WorkerReply> to_the_end(const std::stop_token& stop) {
    while (done_ < requests_.size() && !stop.stop_requested()) {
      for (Slot& slot : slots_) feed(slot);
      if (done_ == requests_.size()) break;  // nothing could be started
      wait();
      for (Slot& slot : slots_) attend(slot);
    }
    if (done_ < requests_.size()) cancel();
    return std::move(replies_);
  }

 private:
  void feed(Slot& slot) {
    if (slot.request || next_ == requests_.size()) return;
    if (slot.process) slot.process->pump();
    if (slot.process && slot.process->lost() && slot.ready) slot = {};  // it died idle: no request is to blame
    if (!slot.process) return start(slot);
    if (!slot.ready) return;
    slot.process->forget_noise();
    slot.request = next_++;
    slot.last_beat.reset();
    const WorkerRequest& request = requests_[*slot.request];
    send(slot, request.method, request.params, request.silence_seconds);
  }

  void start(Slot& slot) {
    ++pool_.started_;
    auto process = WorkerProcess::spawn(pool_.options_.argv);
    if (!process) return give_up(process.error().message());
    slot.process = std::move(process).value();
    send(slot, "init", pool_.options_.session, pool_.options_.init_seconds);
  }

  void send(Slot& slot, std::string_view method, const Json& params, double seconds) {
    slot.id = pool_.next_id_++;
    slot.deadline = now() + seconds;
    slot.process->send(request_line(slot.id, method, params));
    slot.process->pump();
  }

  bool is_waited_for(const Slot& slot) const { return slot.process && (slot.request || !slot.ready); }

  void wait() const {
    std::vector<pollfd> fds;
    for (const Slot& slot : slots_) {
      if (!is_waited_for(slot)) continue;
      fds.push_back({slot.process->channel_fd(), static_cast<short>(POLLIN | (slot.process->has_unsent() ? POLLOUT : 0)), 0});
      if (slot.process->noise_fd() >= 0) fds.push_back({slot.process->noise_fd(), POLLIN, 0});
    }
    poll(fds.data(), fds.size(), kTickMilliseconds);
  }

  void attend(Slot& slot) {
    if (!is_waited_for(slot)) return;
    slot.process->pump();
    while (is_waited_for(slot)) {
      const auto line = slot.process->next_line();
      if (!line) break;
      take(slot, *line);
    }
    if (!is_waited_for(slot)) return;
    if (slot.process->lost()) return lose(slot, ErrorKind::kDevice, "");
    if (now() > slot.deadline) lose(slot, ErrorKind::kTimeout, "gave no sign of life within its time limit");
  }

  void take(Slot& slot, std::string_view line) {
    Result<WorkerMessage> message = parse_message(line);
    if (!message || message->id != slot.id) return lose(slot, ErrorKind::kCorrupt, fmt::format("answered with '{}'", line.substr(0, 200)));
    if (message->beat) {
      slot.last_beat = message->beat;
      if (slot.request) slot.deadline = now() + requests_[*slot.request].silence_seconds;
    } else if (slot.request) {
      finish(slot, std::move(message->reply));
    } else {
      started(slot, message->reply);
    }
  }

  void started(Slot& slot, const Result<Json>& reply) {
    slot.ready = reply.ok();
    if (reply) {
      failed_starts_ = 0;
      return;
    }
    slot = {};
    give_up(reply.error().message());  // it has said why: a second try would say the same
  }

  void finish(Slot& slot, Result<Json> reply) {
    const std::size_t index = *slot.request;
    const bool suspect = !reply && reply.error().kind == ErrorKind::kDevice;
    WorkerReply answer{.result = std::move(reply), .last_beat = slot.last_beat};
    slot.request.reset();
    if (suspect) slot = {};
    deliver(index, std::move(answer));
  }

  /// The worker is of no use any more: `what` it did, or else how it ended.
  void lose(Slot& slot, ErrorKind kind, std::string what) {
    const std::string end = slot.process->kill_and_describe();
    const std::string noise = slot.process->last_noise();
    std::string given = fmt::format("the worker {}", what.empty() ? end : what);
    if (!noise.empty()) given += fmt::format("; its last output: {}", noise);
    const std::optional<std::size_t> request = slot.request;
    const std::optional<std::size_t> beat = slot.last_beat;
    slot = {};
    if (request)
      deliver(*request, {.result = make_error(kind, {.given = std::move(given)}), .worker_lost = true, .last_beat = beat});
    else if (++failed_starts_ >= kStartAttempts)
      give_up(given);
  }

  /// No worker can be started: all requests that wait are answered so.
  void give_up(const std::string& reason) {
    while (next_ < requests_.size())
      deliver(next_++, {.result = make_error(ErrorKind::kUnavailable, {.given = "no worker can be started: " + reason})});
  }

  void cancel() {
    const auto cancelled = [] { return make_error(ErrorKind::kCancelled, {.given = "the work was interrupted"}); };
    for (Slot& slot : slots_) {
      if (!is_waited_for(slot)) continue;
      slot.process->kill_and_describe();
      const std::optional<std::size_t> request = slot.request;
      slot = {};
      if (request) deliver(*request, {.result = cancelled()});
    }
    while (next_ < requests_.size()) deliver(next_++, {.result = cancelled()});
  }

  void deliver(std::size_t index, WorkerReply reply) {
    replies_[index] = std::move(reply);
    ++done_;
    if (on_reply_) on_reply_(index, replies_[index]);
  }

  WorkerPool& pool_;
  std::span<const WorkerRequest> requests_;
  const OnReply& on_reply_;
  std::vector<WorkerReply> replies_;
  std::span<Slot> slots_;
  std::size_t next_ = 0, done_ = 0;
  int failed_starts_ = 0;
};

WorkerPool::WorkerPool(WorkerPoolOptions options)
    : options_(std::move(options)), slots_(static_cast<std::size_t>(std::max(options_.workers, 1))) {}

WorkerPool::~WorkerPool() = default;

std::vector<WorkerReply> WorkerPool::run(std::span<const WorkerRequest> requests, int max_workers, const OnReply& on_reply,
                                         std::stop_token stop) {
  return Run(*this, requests, max_workers, on_reply).to_the_end(stop);
}

void WorkerPool::retire(int index) {
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  if (slot.process) slot.process->kill_and_describe();
  slot = {};
}

}  // namespace fsa::tuner
