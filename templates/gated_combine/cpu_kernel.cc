#include "templates/gated_combine/cpu_kernel.h"

#include <fmt/format.h>

namespace fsa::gated_combine {

const FieldTable<CpuConfig>& Cpu::config_fields() {
  static const FieldTable<CpuConfig> fields{{"tokens", &CpuConfig::tokens}};
  return fields;
}

/// A few hundred rows each: long enough to hide the hand-over of a work item, short enough to balance.
CpuConfig Cpu::default_config(const Problem& p, const Target&) {
  int tokens = 64;
  while (tokens > 1 && (tokens * p.heads_q > 1024 || (p.total_q + tokens - 1) / tokens < 8)) tokens /= 2;
  return {.tokens = tokens};
}

std::vector<Tunable<CpuConfig>> Cpu::tunables(const Problem&, const Target&) { return {}; }

std::string Cpu::invalid_reason(const Problem&, const CpuConfig& c, const Target&) {
  return c.tokens < 1 ? fmt::format("tokens is {}, not 1 or more", c.tokens) : std::string();
}

Resources Cpu::resources(const Problem&, const CpuConfig&) { return {.threads = 1, .scratch_bytes = 0, .registers = 0}; }

std::vector<TensorSpec> Cpu::tensors(const Problem& p, const CpuConfig&) { return gated_combine::tensors(p); }

std::vector<Launch> Cpu::launches(const Problem& p, const CpuConfig& c) {
  const std::int64_t items = (p.total_q + c.tokens - 1) / c.tokens;
  return {{.grid = {static_cast<std::uint32_t>(items), 1, 1}, .scratch_bytes = 0}};
}

Params Cpu::pack(const Problem& p, const CpuConfig&, std::span<const TensorView> t) { return gated_combine::pack(p, t); }

}  // namespace fsa::gated_combine
