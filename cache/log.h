#pragma once
// Owns LogCallback: where the cache says, in one sentence each, what it met and did about it.
#include <functional>
#include <string_view>

namespace fsa {

/// Called with one sentence, from any thread. An empty callback is silent.
using LogCallback = std::function<void(std::string_view)>;

}  // namespace fsa
