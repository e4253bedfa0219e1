#include "templates/partial_reduce/cpu_kernel.h"

#include <fmt/format.h>

#include "templates/cpu/selected_tensors.h"

namespace fsa::partial_reduce {

const FieldTable<CpuConfig>& Cpu::config_fields() {
  static const FieldTable<CpuConfig> fields{{"tokens", &CpuConfig::tokens}};
  return fields;
}

/// A few hundred rows each: long enough to hide the hand-over of a work item, short enough to balance.
CpuConfig Cpu::default_config(const Problem& p, const Target&) {
  int tokens = 64;
  while (tokens > 1 && (p.total_q + tokens - 1) / tokens * p.heads_kv < 8) tokens /= 2;
  return {.tokens = tokens};
}

std::vector<Tunable<CpuConfig>> Cpu::tunables(const Problem&, const Target&) { return {}; }

std::string Cpu::invalid_reason(const Problem&, const CpuConfig& c, const Target&) {
  return c.tokens < 1 ? fmt::format("tokens is {}, not 1 or more", c.tokens) : std::string();
}

Resources Cpu::resources(const Problem&, const CpuConfig&) { return {.threads = 1, .scratch_bytes = 0, .registers = 0}; }

std::vector<TensorSpec> Cpu::tensors(const Problem& p, const CpuConfig&) {
  using namespace cpu;
  std::vector<TensorSpec> list{partial_o_spec(p, Access::kRead), partial_lse_spec(p, Access::kRead), entry_scale_spec(p, Access::kRead),
                               entry_position_spec(p, Access::kRead)};
  for (TensorSpec& spec : output_tensors(p)) list.push_back(std::move(spec));
  return list;
}

std::vector<Launch> Cpu::launches(const Problem& p, const CpuConfig& c) {
  const std::int64_t items = (p.total_q + c.tokens - 1) / c.tokens * p.heads_kv;
  return {{.grid = {static_cast<std::uint32_t>(items), 1, 1}, .scratch_bytes = 0}};
}

Params Cpu::pack(const Problem& p, const CpuConfig&, std::span<const TensorView> x) {
  Params params{};
  params.partial_o = x[0].data;
  params.partial_lse = cpu::floats(x[1]);
  params.entry_scale = cpu::floats(x[2]);
  params.entry_position = cpu::ints(x[3]);
  pack_outputs(p, x.subspan(4), params);
  return params;
}

}  // namespace fsa::partial_reduce
