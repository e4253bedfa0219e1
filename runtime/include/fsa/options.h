#pragma once
// Owns the options of an Engine and the one table of environment variables behind them.
#include <functional>
#include <string>
#include <string_view>

#include "fsa/base/export.h"
#include "fsa/base/result.h"

namespace fsa {

enum class LogLevel { kDebug, kInfo, kWarning };

/// Receives one line of text without a newline. Called from any thread, never from forward().
using LogHandler = std::function<void(LogLevel, std::string_view)>;

/// How an Engine finds, compiles and keeps kernels. The library reads the environment in from_environment() only.
struct FSA_API EngineOptions {
  std::string cache_dir;       ///< FSA_CACHE_DIR: tuning cache and compiled kernels; empty: $XDG_CACHE_HOME/fsa or ~/.cache/fsa
  std::string template_dir;    ///< FSA_TEMPLATE_DIR: a source checkout's templates/ to use in place of the embedded ones
  std::string pack;            ///< FSA_PACK: an export pack (fsa export) to take kernels and choices from before anything else
  std::string nvrtc_path;      ///< FSA_NVRTC_PATH: the libnvrtc to load; empty: the system's
  int num_threads = 0;         ///< FSA_NUM_THREADS: worker threads of the CPU device; 0: one for each core this process may use
  bool use_cache = true;       ///< FSA_NO_CACHE=1 clears it: neither read nor write the cache directory
  bool allow_compile = true;   ///< FSA_FREEZE=1 clears it: a kernel that would have to be compiled is an error instead
  LogHandler log;             ///< empty: silent

  /// Defaults overlaid with the environment variables named above. A malformed value is kInvalidArgument.
  static Result<EngineOptions> from_environment();
};

}  // namespace fsa
