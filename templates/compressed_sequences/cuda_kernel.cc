#include "templates/compressed_sequences/cuda_kernel.h"

#include <fmt/format.h>

#include "templates/cuda/host_kernel.h"

namespace fsa::compressed_sequences {

const FieldTable<Config>& Cuda::config_fields() {
  static const FieldTable<Config> fields{{"warps", &Config::warps}};
  return fields;
}

Config Cuda::default_config(const Problem&, const Target&) { return {}; }

/// Nothing: the launch itself takes the time.
std::vector<Tunable<Config>> Cuda::tunables(const Problem&, const Target&) { return {}; }

std::string Cuda::invalid_reason(const Problem&, const Config& c, const Target&) {
  return c.warps < 1 || c.warps > 32 ? fmt::format("warps is {}, not 1 to 32", c.warps) : std::string();
}

Resources Cuda::resources(const Problem&, const Config& c) { return {.threads = c.threads(), .scratch_bytes = 0, .registers = 32}; }

std::vector<TensorSpec> Cuda::tensors(const Problem& p, const Config&) { return compressed_sequences::tensors(p); }

std::vector<Launch> Cuda::launches(const Problem&, const Config& c) { return {cuda::launch("kernel_entry", 1, c.threads(), 0)}; }

Params Cuda::pack(const Problem& p, const Config&, std::span<const TensorView> t) { return compressed_sequences::pack(p, t); }

}  // namespace fsa::compressed_sequences
