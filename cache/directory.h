#pragma once
// Owns the answer to where the cache lives.
#include <string>

#include "fsa/base/result.h"

namespace fsa {

/// The environment variables that decide; empty means unset.
struct CacheEnvironment {
  std::string fsa_cache_dir;   ///< FSA_CACHE_DIR
  std::string xdg_cache_home;  ///< XDG_CACHE_HOME
  std::string home;            ///< HOME
};

/// Reads the environment. Called once, by whoever builds the options of an engine or a tool.
CacheEnvironment read_cache_environment();

/// FSA_CACHE_DIR, else $XDG_CACHE_HOME/fsa, else $HOME/.cache/fsa; always absolute. A relative XDG_CACHE_HOME is ignored
/// (XDG Base Directory Specification). None of the three set is kUnavailable.
Result<std::string> cache_directory(const CacheEnvironment& environment);

/// Creates `path` and missing parents with mode 0700, and proves by a probe file that it can be written. kUnavailable
/// names the path, the reason and the remedy. An existing folder keeps its mode.
Result<void> prepare_cache_directory(const std::string& path);

}  // namespace fsa
