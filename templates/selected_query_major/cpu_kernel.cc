#include "templates/selected_query_major/cpu_kernel.h"

#include <fmt/format.h>

#include "templates/cpu/selected_tensors.h"
#include "templates/cpu/tile_choice.h"

namespace fsa::selected_query_major {
namespace {

/// As many tokens as a set holds, unless that would leave fewer than eight work items.
int default_tokens(const SelectedProblem& p) {
  int tokens = kMaxTokens;
  while (tokens > 1 && (p.total_q + tokens - 1) / tokens * p.heads_kv < 8) tokens /= 2;
  return tokens;
}

std::size_t scratch_bytes(const SelectedProblem& p, const CpuConfig& c) {
  return static_cast<std::size_t>(cpu_scratch(selected_shape(p), c, most_blocks(p.total_k, p.block_size)).end) * sizeof(float);
}

}  // namespace

const FieldTable<CpuConfig>& Cpu::config_fields() {
  static const FieldTable<CpuConfig> fields{
      {"math", &CpuConfig::math, cpu::math_names()}, {"mr", &CpuConfig::mr}, {"nr", &CpuConfig::nr}, {"tokens", &CpuConfig::tokens}};
  return fields;
}

CpuConfig Cpu::default_config(const SelectedProblem& p, const Target& target) {
  const cpu::TileSize tile = cpu::default_tile(target);
  return {.math = cpu::Math::kF32, .mr = tile.mr, .nr = tile.nr, .tokens = default_tokens(p)};
}

std::vector<Tunable<CpuConfig>> Cpu::tunables(const SelectedProblem& p, const Target& target) {
  const CpuConfig base = default_config(p, target);
  std::vector<std::int64_t> tokens{base.tokens};
  if (base.tokens >= 8) tokens = {base.tokens / 4, base.tokens};
  const cpu::TileValues tiles = cpu::tile_values(target);
  return {{config_fields()[0], cpu::math_values(p.element, target)}, {config_fields()[1], tiles.mr}, {config_fields()[2], tiles.nr}, {config_fields()[3], tokens}};
}

std::string Cpu::invalid_reason(const SelectedProblem& p, const CpuConfig& c, const Target& target) {
  if (c.tokens < 1 || c.tokens > kMaxTokens) return fmt::format("tokens is {}, not 1 to {}", c.tokens, kMaxTokens);
  return cpu::tile_invalid_reason(p.element, c.math, c.mr, c.nr, target);
}

Resources Cpu::resources(const SelectedProblem& p, const CpuConfig& c) {
  return {.threads = 1, .scratch_bytes = scratch_bytes(p, c), .registers = c.mr * c.nr + c.nr + 1};
}

std::vector<TensorSpec> Cpu::tensors(const SelectedProblem& p, const CpuConfig&) {
  using namespace cpu;
  return {q_spec(p), k_spec(p), v_spec(p), cu_q_spec(p), cu_k_spec(p), block_indices_spec(p), o_spec(p), lse_spec(p)};
}

std::vector<Launch> Cpu::launches(const SelectedProblem& p, const CpuConfig& c) {
  const std::int64_t items = (p.total_q + c.tokens - 1) / c.tokens * p.heads_kv;
  return {{.grid = {static_cast<std::uint32_t>(items), 1, 1}, .scratch_bytes = scratch_bytes(p, c)}};
}

Params Cpu::pack(const SelectedProblem& p, const CpuConfig&, std::span<const TensorView> x) {
  return {.q = x[0].data,
          .k = x[1].data,
          .v = x[2].data,
          .block_indices = cpu::ints(x[5]),
          .cu_q = cpu::ints(x[3]),
          .cu_k = cpu::ints(x[4]),
          .o = x[6].data,
          .lse = cpu::floats(x[7]),
          .q_stride = cpu::row_strides(x[0]),
          .k_stride = cpu::row_strides(x[1]),
          .v_stride = cpu::row_strides(x[2]),
          .o_stride = cpu::row_strides(x[6]),
          .total_q = static_cast<int>(p.total_q),
          .total_k = static_cast<int>(p.total_k),
          .num_seqs = p.num_seqs,
          .heads_kv = p.heads_kv,
          .scale = p.scale};
}

}  // namespace fsa::selected_query_major
