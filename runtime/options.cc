#include "fsa/options.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

namespace fsa {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

Result<bool> environment_flag(const char* name) {
  const std::string value = environment(name);
  if (value.empty() || value == "0") return false;
  if (value == "1") return true;
  return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("{} is '{}'", name, value), .supported = "0 or 1"});
}

Result<int> environment_count(const char* name) {
  const std::string value = environment(name);
  int count = 0;
  if (value.empty()) return count;
  const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), count);
  if (ec == std::errc() && end == value.data() + value.size() && count >= 1 && count <= 4096) return count;
  return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("{} is '{}'", name, value), .supported = "1 to 4096"});
}

}  // namespace

Result<EngineOptions> EngineOptions::from_environment() {
  EngineOptions options;
  options.cache_dir = environment("FSA_CACHE_DIR");
  options.template_dir = environment("FSA_TEMPLATE_DIR");
  options.pack = environment("FSA_PACK");
  options.nvrtc_path = environment("FSA_NVRTC_PATH");
  FSA_ASSIGN_OR_RETURN(options.num_threads, environment_count("FSA_NUM_THREADS"));
  FSA_ASSIGN_OR_RETURN(const bool no_cache, environment_flag("FSA_NO_CACHE"));
  FSA_ASSIGN_OR_RETURN(const bool frozen, environment_flag("FSA_FREEZE"));
  options.use_cache = !no_cache;
  options.allow_compile = !frozen;
  return options;
}

}  // namespace fsa
