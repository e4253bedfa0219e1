#pragma once
// Owns SingleFlight: a map whose values are made once per key, however many threads ask at the same time.
#include <condition_variable>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "fsa/base/result.h"

namespace fsa {

/// Thread-safe. Value must be cheap to copy: a shared_ptr, typically. Other keys are never blocked by a value in the making.
template <class Key, class Value>
class SingleFlight {
 public:
  /// The key's value. The first caller runs `make` (a callable that returns Result<Value>) on its own thread, callers that
  /// come meanwhile wait for it; success is kept, a failure goes to all who waited and is forgotten, so that the next
  /// caller tries again. `make` must not ask this map for the same key.
  template <class Make>
  Result<Value> get_or_make(const Key& key, Make&& make) {
    const auto [flight, leads] = join(key);
    if (leads) land(key, *flight, run(std::forward<Make>(make)));
    return wait(*flight);
  }

  /// The value if it is ready; never waits for one in the making.
  std::optional<Value> find(const Key& key) const {
    const std::lock_guard lock(mutex_);
    const auto it = flights_.find(key);
    if (it == flights_.end() || !it->second->result) return std::nullopt;
    return it->second->result->value();
  }

  /// Forgets the value; whoever holds a copy keeps it. One in the making still reaches those who wait for it.
  void erase(const Key& key) {
    const std::lock_guard lock(mutex_);
    flights_.erase(key);
  }

 private:
  struct Flight {
    std::optional<Result<Value>> result;
  };

  std::pair<std::shared_ptr<Flight>, bool> join(const Key& key) {
    const std::lock_guard lock(mutex_);
    auto& slot = flights_[key];
    const bool leads = !slot;
    if (leads) slot = std::make_shared<Flight>();
    return {slot, leads};
  }

  // An exception that escaped would leave every waiter waiting forever.
  template <class Make>
  static Result<Value> run(Make&& make) {
    try {
      return std::forward<Make>(make)();
    } catch (const std::exception& e) {
      return make_error(ErrorKind::kInternal, {.given = std::string("an exception while a value was made: ") + e.what()});
    } catch (...) {
      return make_error(ErrorKind::kInternal, {.given = "an unknown exception while a value was made"});
    }
  }

  void land(const Key& key, Flight& flight, Result<Value> result) {
    const std::lock_guard lock(mutex_);
    const auto it = flights_.find(key);
    if (!result.ok() && it != flights_.end() && it->second.get() == &flight) flights_.erase(it);
    flight.result.emplace(std::move(result));
    landed_.notify_all();
  }

  Result<Value> wait(const Flight& flight) {
    std::unique_lock lock(mutex_);
    landed_.wait(lock, [&] { return flight.result.has_value(); });
    return *flight.result;
  }

  mutable std::mutex mutex_;
  std::condition_variable landed_;
  std::map<Key, std::shared_ptr<Flight>> flights_;
};

}  // namespace fsa
