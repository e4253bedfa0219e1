#include "templates/select_blocks/cpu_kernel.h"

#include <fmt/format.h>

#include <algorithm>

#include "templates/cpu/tile_choice.h"
#include "templates/select_blocks/tensors.h"

namespace fsa::select_blocks {
namespace {

constexpr int kMostTokens = 1024, kMostKeys = cpu::kMaxKeyVectors * cpu::kLanes;

/// About 256 rows, for which the packing of a key is a small part of the work; fewer where that leaves workers without any.
int default_tokens(const Problem& p) {
  int tokens = std::clamp(256 / p.group, 8, 128);
  while (tokens > 8 && (p.total_q + tokens - 1) / tokens * p.heads_kv < 8) tokens /= 2;
  return tokens;
}

std::size_t scratch_bytes(const Problem& p, const CpuConfig& c) {
  return static_cast<std::size_t>(cpu_scratch(p.shape(), c).end) * sizeof(float);
}

}  // namespace

const FieldTable<CpuConfig>& Cpu::config_fields() {
  static const FieldTable<CpuConfig> fields{{"math", &CpuConfig::math, cpu::math_names()},
                                            {"mr", &CpuConfig::mr},
                                            {"nr", &CpuConfig::nr},
                                            {"tokens", &CpuConfig::tokens},
                                            {"keys", &CpuConfig::keys}};
  return fields;
}

CpuConfig Cpu::default_config(const Problem& p, const Target& target) {
  const cpu::TileSize tile = cpu::default_tile(target);
  return {.math = cpu::Math::kF32, .mr = tile.mr, .nr = tile.nr, .tokens = default_tokens(p), .keys = kMostKeys};
}

std::vector<Tunable<CpuConfig>> Cpu::tunables(const Problem& p, const Target& target) {
  const auto& f = config_fields();
  const CpuConfig base = default_config(p, target);
  const cpu::TileValues tiles = cpu::tile_values(target);
  std::vector<std::int64_t> tokens{base.tokens};
  if (base.tokens >= 32) tokens = {base.tokens / 4, base.tokens};
  return {{f[0], cpu::math_values(p.element, target)}, {f[1], tiles.mr}, {f[2], tiles.nr}, {f[3], tokens}};
}

std::string Cpu::invalid_reason(const Problem& p, const CpuConfig& c, const Target& target) {
  if (c.tokens < 1 || c.tokens > kMostTokens) return fmt::format("tokens is {}, not 1 to {}", c.tokens, kMostTokens);
  if (c.keys < cpu::kLanes || c.keys > kMostKeys || c.keys % cpu::kLanes)
    return fmt::format("keys is {}, not a multiple of {} up to {}", c.keys, cpu::kLanes, kMostKeys);
  return cpu::tile_invalid_reason(p.element, c.math, c.mr, c.nr, target);
}

Resources Cpu::resources(const Problem& p, const CpuConfig& c) {
  return {.threads = 1, .scratch_bytes = scratch_bytes(p, c), .registers = c.mr * c.nr + c.nr + 1};
}

std::vector<TensorSpec> Cpu::tensors(const Problem& p, const CpuConfig&) { return tensor_specs(p); }

std::vector<Launch> Cpu::launches(const Problem& p, const CpuConfig& c) {
  const std::int64_t items = (p.total_q + c.tokens - 1) / c.tokens * p.heads_kv;
  return {{.grid = {static_cast<std::uint32_t>(items), 1, 1}, .scratch_bytes = scratch_bytes(p, c)}};
}

Params Cpu::pack(const Problem& p, const CpuConfig&, std::span<const TensorView> x) { return pack_params(p, x); }

}  // namespace fsa::select_blocks
