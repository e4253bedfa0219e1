#include "templates/compress_kv/cpu_kernel.h"

#include <fmt/format.h>

#include "templates/cpu/tile_choice.h"

namespace fsa::compress_kv {
namespace {

constexpr int kSplits = 1;  // pe @ w takes one work item per kv head

std::int64_t items(const Problem& p, const CpuConfig& c) { return (p.total_c + c.rows - 1) / c.rows * p.heads_kv; }

}  // namespace

const FieldTable<CpuConfig>& Cpu::config_fields() {
  static const FieldTable<CpuConfig> fields{
      {"math", &CpuConfig::math, cpu::math_names()}, {"mr", &CpuConfig::mr}, {"nr", &CpuConfig::nr}, {"rows", &CpuConfig::rows}};
  return fields;
}

/// Two tiles of rows share the packing of w, unless that would leave fewer than eight work items.
CpuConfig Cpu::default_config(const Problem& p, const Target& target) {
  const cpu::TileSize tile = cpu::default_tile(target);
  CpuConfig c{.math = cpu::Math::kF32, .mr = tile.mr, .nr = tile.nr, .rows = 2 * cpu::kTileRows};
  if (items(p, c) < 8) c.rows = cpu::kTileRows;
  return c;
}

std::vector<Tunable<CpuConfig>> Cpu::tunables(const Problem& p, const Target& target) {
  if (p.mode != Mode::kLinear) return {};
  const auto& f = config_fields();
  const cpu::TileValues tiles = cpu::tile_values(target);
  return {{f[0], cpu::math_values(p.element, target)}, {f[1], tiles.mr}, {f[2], tiles.nr}, {f[3], {cpu::kTileRows, 2 * cpu::kTileRows}}};
}

std::string Cpu::invalid_reason(const Problem& p, const CpuConfig& c, const Target& target) {
  constexpr int kMostRows = 64 * cpu::kTileRows;
  if (c.rows < cpu::kTileRows || c.rows > kMostRows || c.rows % cpu::kTileRows != 0)
    return fmt::format("rows is {}, not a multiple of {} up to {}", c.rows, cpu::kTileRows, kMostRows);
  return cpu::tile_invalid_reason(p.element, c.math, c.mr, c.nr, target);
}

Resources Cpu::resources(const Problem& p, const CpuConfig& c) {
  if (p.mode != Mode::kLinear) return {.threads = 1, .scratch_bytes = 0, .registers = 0};
  const auto words = static_cast<std::size_t>(cpu_scratch(shape(p), c).end);
  return {.threads = 1, .scratch_bytes = words * sizeof(float), .registers = c.mr * c.nr + c.nr + 1};
}

std::vector<TensorSpec> Cpu::tensors(const Problem& p, const CpuConfig&) { return compress_kv::tensors(p, kSplits); }

std::vector<Launch> Cpu::launches(const Problem& p, const CpuConfig& c) {
  const auto heads = static_cast<std::uint32_t>(p.positional ? p.heads_kv : 0), windows = static_cast<std::uint32_t>(items(p, c));
  return {{.symbol = "kernel_entry_positions", .grid = {heads, 1, 1}, .scratch_bytes = 0},
          {.symbol = "kernel_entry_windows", .grid = {windows, 1, 1}, .scratch_bytes = resources(p, c).scratch_bytes}};
}

Params Cpu::pack(const Problem& p, const CpuConfig&, std::span<const TensorView> t) { return compress_kv::pack(p, t); }

}  // namespace fsa::compress_kv
