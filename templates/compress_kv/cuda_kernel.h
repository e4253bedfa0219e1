#pragma once
// Owns the host description of the CUDA kernel of compress_kv.
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/tunable.h"
#include "templates/compress_kv/config.h"
#include "templates/compress_kv/problem.h"

namespace fsa::compress_kv {

struct Cuda {
  using Config = compress_kv::Config;
  static constexpr std::string_view kConfigType = "compress_kv::Config";
  static constexpr std::array<std::string_view, 2> kEntries{"positions", "windows"};

  static const FieldTable<Config>& config_fields();
  static Config default_config(const Problem& problem, const Target& target);
  static std::vector<Tunable<Config>> tunables(const Problem& problem, const Target& target);
  static std::string invalid_reason(const Problem& problem, const Config& config, const Target& target);
  static Resources resources(const Problem& problem, const Config& config);
  static std::vector<TensorSpec> tensors(const Problem& problem, const Config& config);
  static std::vector<Launch> launches(const Problem& problem, const Config& config);
  static Params pack(const Problem& problem, const Config& config, std::span<const TensorView> tensors);
};

}  // namespace fsa::compress_kv
