#include "runtime/tuning_session.h"

namespace fsa {

Json TuningSession::to_json() const {
  return {{"device", device},
          {"op", op},
          {"problem", problem},
          {"seed", seed},
          {"overlap", overlap},
          {"cache_dir", options.cache_dir},
          {"template_dir", options.template_dir},
          {"pack", options.pack},
          {"nvrtc_path", options.nvrtc_path},
          {"num_threads", options.num_threads},
          {"use_cache", options.use_cache},
          {"allow_compile", options.allow_compile}};
}

Result<TuningSession> TuningSession::from_json(const Json& json) {
  try {
    return TuningSession{.device = json.at("device").get<std::string>(),
                         .options = {.cache_dir = json.at("cache_dir").get<std::string>(),
                                     .template_dir = json.at("template_dir").get<std::string>(),
                                     .pack = json.at("pack").get<std::string>(),
                                     .nvrtc_path = json.at("nvrtc_path").get<std::string>(),
                                     .num_threads = json.at("num_threads").get<int>(),
                                     .use_cache = json.at("use_cache").get<bool>(),
                                     .allow_compile = json.at("allow_compile").get<bool>()},
                         .op = json.at("op").get<std::string>(),
                         .problem = json.at("problem"),
                         .seed = json.at("seed").get<std::uint64_t>(),
                         .overlap = json.at("overlap").get<double>()};
  } catch (const Json::exception& e) {
    return make_error(ErrorKind::kCorrupt, {.given = std::string("a tuning session cannot be read: ") + e.what()});
  }
}

}  // namespace fsa
