#include "templates/cuda/range_kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "templates/cuda/host_kernel.h"

namespace fsa::cuda {
namespace {

/// Registers a lane needs: outputs, the logits of a slice, Q where it is held, and addresses with what passes through. What
/// ptxas spills below is excluded by this, with the constant found by compiling for every target.
int registers(const RangeShape& s, const RangeConfig& c) {
  const int outputs = c.row_tiles * RangeConfig::v_columns(s) / 2, logits = c.row_tiles * c.slice() / 2;
  return outputs + logits + c.held_registers(s) + 88;
}

bool fits(const RangeShape& s, const RangeConfig& c, const Target& target) {
  const auto bytes = static_cast<std::size_t>(c.smem_bytes(s));
  return bytes <= target.cuda.smem_per_block && (bytes + 1024) * static_cast<std::size_t>(c.blocks) <= target.cuda.smem_per_sm;
}

}  // namespace

const FieldTable<RangeConfig>& RangeKernels::config_fields() {
  static const FieldTable<Config> fields{{"warps", &Config::warps},
                                         {"row_tiles", &Config::row_tiles},
                                         {"keys", &Config::keys},
                                         {"stages", &Config::stages},
                                         {"blocks", &Config::blocks}};
  return fields;
}

RangeConfig RangeKernels::default_config(const RangeProblem& p, const Target& target) {
  // From the fastest where it fits to what fits everywhere: warps, row_tiles, keys, stages, blocks. One thread block of eight
  // warps reads K and V half as often as two of four: 10 % less time on an H200, for the window and compressed keys alike.
  constexpr std::array<std::array<int, 5>, 13> kPreferred{{{8, 2, 64, 2, 1},
                                                           {4, 2, 64, 2, 2},
                                                           {4, 2, 32, 2, 2},
                                                           {4, 1, 64, 2, 2},
                                                           {4, 2, 64, 2, 1},
                                                           {4, 1, 32, 2, 2},
                                                           {4, 2, 32, 2, 1},
                                                           {4, 1, 64, 2, 1},
                                                           {4, 1, 32, 2, 1},
                                                           {4, 1, 16, 2, 1},
                                                           {2, 1, 32, 2, 1},
                                                           {2, 1, 16, 2, 1},
                                                           {1, 1, 16, 2, 1}}};
  Config c;
  for (const auto& [warps, row_tiles, keys, stages, blocks] : kPreferred) {
    c = {.warps = warps, .row_tiles = row_tiles, .keys = keys, .stages = stages, .blocks = blocks};
    if (invalid_reason(p, c, target).empty()) break;
  }
  // Sequences of few queries: a tile over many of them would walk what each of them sees with idle warps.
  const std::int64_t rows = mean_queries(p) * p.group;
  while (c.row_tiles > 1 && c.rows() >= 2 * rows) c.row_tiles = 1;
  while (c.warps > 1 && c.rows() >= 2 * rows && invalid_reason(p, {c.warps / 2, c.row_tiles, c.keys, c.stages, c.blocks}, target).empty())
    c.warps /= 2;
  return c;
}

std::vector<Tunable<RangeConfig>> RangeKernels::tunables(const RangeProblem& p, const Target& target) {
  const auto& f = config_fields();
  const Config c = default_config(p, target);
  return {{f[0], values_with({4, 8}, c.warps)},
          {f[1], {1, 2}},
          {f[2], values_with({32, 64}, c.keys)},
          {f[3], {2, 3}},
          {f[4], values_with({1, 2, 3}, c.blocks)}};
}

std::string RangeKernels::invalid_reason(const RangeProblem& p, const Config& c, const Target& target) {
  const RangeShape s = range_shape(p);
  if (c.warps < 1 || c.warps > 16) return fmt::format("warps is {}, not 1 to 16", c.warps);
  if (c.row_tiles < 1 || c.row_tiles > 2) return fmt::format("row_tiles is {}, not 1 or 2", c.row_tiles);
  if (c.keys != 16 && c.keys != 32 && c.keys != 64 && c.keys != 128) return fmt::format("keys is {}, not 16, 32, 64 or 128", c.keys);
  if (c.stages < 2 || c.stages > 4) return fmt::format("stages is {}, not 2 to 4", c.stages);
  if (c.blocks < 1 || c.threads() * c.blocks > target.cuda.max_threads_per_sm)
    return fmt::format("{} blocks of {} threads exceed a multiprocessor", c.blocks, c.threads());
  const int needed = registers(s, c), cap = register_cap(c.threads(), c.blocks, target);
  if (needed > cap) return fmt::format("it needs about {} registers of {}", needed, cap);
  if (!fits(s, c, target)) return fmt::format("{} blocks of {} bytes of shared memory exceed a multiprocessor", c.blocks, c.smem_bytes(s));
  return {};
}

Resources RangeKernels::resources(const RangeProblem& p, const Config& c) {
  const RangeShape s = range_shape(p);
  return {.threads = c.threads(), .scratch_bytes = static_cast<std::size_t>(c.smem_bytes(s)), .registers = registers(s, c)};
}

std::vector<Launch> RangeKernels::launches(const RangeProblem& p, const Config& c) {
  const std::int64_t blocks = ceil_div64(p.total_q * p.group, c.rows()) * p.heads_kv;
  return {launch("kernel_entry", blocks, c.threads(), static_cast<std::size_t>(c.smem_bytes(range_shape(p))))};
}

}  // namespace fsa::cuda
