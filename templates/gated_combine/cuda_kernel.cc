#include "templates/gated_combine/cuda_kernel.h"

#include <fmt/format.h>

#include "templates/cuda/host_kernel.h"

namespace fsa::gated_combine {

const FieldTable<Config>& Cuda::config_fields() {
  static const FieldTable<Config> fields{{"warps", &Config::warps}, {"pieces", &Config::pieces}, {"blocks", &Config::blocks}};
  return fields;
}

Config Cuda::default_config(const Problem&, const Target&) { return {}; }

std::vector<Tunable<Config>> Cuda::tunables(const Problem&, const Target&) {
  const auto& f = config_fields();
  return {{f[0], {4, 8}}, {f[1], {1, 2, 4}}, {f[2], {2, 4, 6}}};
}

std::string Cuda::invalid_reason(const Problem& p, const Config& c, const Target& target) {
  if (c.warps < 2 || c.warps > 16) return fmt::format("warps is {}, not 2 to 16", c.warps);
  if (c.pieces < 1 || c.pieces > 8) return fmt::format("pieces is {}, not 1 to 8", c.pieces);
  if (c.blocks < 1 || c.threads() * c.blocks > target.cuda.max_threads_per_sm)
    return fmt::format("{} blocks of {} threads exceed a multiprocessor", c.blocks, c.threads());
  const int cap = cuda::register_cap(c.threads(), c.blocks, target);
  if (resources(p, c).registers > cap) return fmt::format("its loads in flight need {} registers of {}", resources(p, c).registers, cap);
  return {};
}

Resources Cuda::resources(const Problem&, const Config& c) {
  return {.threads = c.threads(), .scratch_bytes = 0, .registers = 24 + 17 * c.pieces};
}

std::vector<TensorSpec> Cuda::tensors(const Problem& p, const Config&) { return gated_combine::tensors(p); }

std::vector<Launch> Cuda::launches(const Problem& p, const Config& c) {
  return {cuda::launch("kernel_entry", cuda::ceil_div64(p.rows(), c.rows(shape(p))), c.threads(), 0)};
}

Params Cuda::pack(const Problem& p, const Config&, std::span<const TensorView> t) { return gated_combine::pack(p, t); }

}  // namespace fsa::gated_combine
