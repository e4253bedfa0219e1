// Owns the library and engine part of the C interface.
#include <charconv>

#include "runtime/c_api/c_handles.h"
#include "runtime/c_api/c_struct.h"

namespace fsa::c_api {
namespace {

LogHandler log_handler(fsa_log_fn log, void* context) {
  if (!log) return {};
  return
      [log, context](LogLevel level, std::string_view line) { log(context, static_cast<fsa_log_level>(level), std::string(line).c_str()); };
}

void overlay(const char* given, std::string& option) {
  if (given) option = given;
}

Result<EngineOptions> engine_options(const fsa_engine_options* given) {
  FSA_ASSIGN_OR_RETURN(const fsa_engine_options c, read_struct(given, "fsa_engine_options"));
  EngineOptions options;
  if (c.from_environment) {
    FSA_ASSIGN_OR_RETURN(options, EngineOptions::from_environment());
  }
  overlay(c.cache_dir, options.cache_dir);
  overlay(c.template_dir, options.template_dir);
  overlay(c.pack, options.pack);
  overlay(c.nvrtc_path, options.nvrtc_path);
  if (c.num_threads) options.num_threads = c.num_threads;
  options.use_cache = options.use_cache && !c.no_cache;
  options.allow_compile = options.allow_compile && !c.freeze;
  options.log = log_handler(c.log, c.log_context);
  return options;
}

DLDevice place_of(std::string_view device) {
  if (device == "cpu") return {kDLCPU, 0};
  int ordinal = 0;  // plain "cuda" is the first
  if (const auto colon = device.find(':'); colon != device.npos)
    std::from_chars(device.data() + colon + 1, device.data() + device.size(), ordinal);
  return {kDLCUDA, ordinal};
}

std::string canonical_name(DLDevice place) { return place.device_type == kDLCPU ? "cpu" : fmt::format("cuda:{}", place.device_id); }

}  // namespace
}  // namespace fsa::c_api

using namespace fsa::c_api;  // NOLINT(google-build-using-namespace)

fsa_engine::fsa_engine(fsa::Engine opened)
    : engine(std::move(opened)), device_name(engine.device_name()), target(engine.target()), place(place_of(engine.device())) {
  device = canonical_name(place);
}

const char* fsa_version(void) { return fsa::library_version().data(); }  // a literal

const char* fsa_operator_name(size_t index) {
  static const std::vector<std::string> names = fsa::operator_names();
  return index < names.size() ? names[index].c_str() : nullptr;
}

fsa_status fsa_engine_create(const char* device, const fsa_engine_options* options, fsa_engine** engine) {
  return guarded([&]() -> fsa::Result<void> {
    if (!engine) return null_argument("engine");
    *engine = nullptr;
    if (!device) return null_argument("device");
    FSA_ASSIGN_OR_RETURN(const fsa::EngineOptions known, engine_options(options));
    FSA_ASSIGN_OR_RETURN(fsa::Engine opened, fsa::Engine::create(device, known));
    *engine = new fsa_engine(std::move(opened));
    return {};
  });
}

fsa_status fsa_engine_destroy(fsa_engine* engine) {
  return guarded([&]() -> fsa::Result<void> {
    if (!engine) return {};
    FSA_RETURN_IF_ERROR(check_handle(engine, "engine"));
    delete engine;
    return {};
  });
}

fsa_status fsa_engine_get_info(const fsa_engine* engine, fsa_engine_info* info) {
  return guarded([&]() -> fsa::Result<void> {
    FSA_RETURN_IF_ERROR(check_handle(engine, "engine"));
    return write_struct(
        fsa_engine_info{
            .size = 0, .device = engine->device.c_str(), .device_name = engine->device_name.c_str(), .target = engine->target.c_str()},
        info, "fsa_engine_info");
  });
}
