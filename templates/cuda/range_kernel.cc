#include "templates/cuda/range_kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "templates/cuda/host_kernel.h"

namespace fsa::cuda {
namespace {

/// Registers a lane needs. What ptxas spills below is excluded by this. Warpgroups all start with as many as the block's bound
/// gives and hand them over.
int registers(const RangeShape& s, const RangeConfig& c) {
  return c.warpgroups() ? std::min(255, 65536 / c.threads() / 8 * 8) : c.warp_registers(s) + c.held_registers(s);
}

/// Blocks of `keys` rows that V is laid out as: one more per head than there are rows for, as a step may begin in any.
std::int64_t laid_out_blocks(const RangeProblem& p, const RangeConfig& c) { return p.heads_kv * (ceil_div64(p.total_rows, c.keys) + 1); }

std::string invalid_for_warps(const RangeShape& s, const RangeConfig& c, const Target& target) {
  if (c.warps < 1 || c.warps > 16) return fmt::format("warps is {}, not 1 to 16", c.warps);
  if (c.row_tiles < 1 || c.row_tiles > 2) return fmt::format("row_tiles is {}, not 1 or 2", c.row_tiles);
  if (c.keys != 16 && c.keys != 32 && c.keys != 64 && c.keys != 128) return fmt::format("keys is {}, not 16, 32, 64 or 128", c.keys);
  if (c.pingpong != 0 || c.stream != 0) return "pingpong and stream are for warpgroups";
  const int needed = registers(s, c), cap = register_cap(c.threads(), c.blocks, target);
  return needed > cap ? fmt::format("it needs about {} registers of {}", needed, cap) : std::string();
}

std::string invalid_for_warpgroups(const RangeShape& s, const RangeConfig& c, const Target& target) {
  if (target.arch != "sm_90a") return fmt::format("{} has no wgmma: sm_90a has", target.arch);
  if (c.warps != 4 && c.warps != 8) return fmt::format("warps is {}, not one or two warpgroups of 4", c.warps);
  if (c.row_tiles != 1 || c.blocks != 1)
    return fmt::format("row_tiles is {} and blocks {}: warpgroups take 1 of each", c.row_tiles, c.blocks);
  if (c.keys < 32 || c.keys > 128 || c.keys % 16 != 0) return fmt::format("keys is {}, not a multiple of 16 from 32 to 128", c.keys);
  if (c.pingpong < 0 || c.pingpong > 1 || (c.pingpong == 1 && c.warps != 8))
    return fmt::format("pingpong is {}: 1 is for two warpgroups, 0 for any", c.pingpong);
  if (c.stream < 0 || c.stream > 1) return fmt::format("stream is {}, not 0 or 1", c.stream);
  const int needed = c.attending_registers(s), held = c.consumer_registers();
  return needed > held ? fmt::format("a warpgroup needs about {} registers of {}", needed, held) : std::string();
}

RangeConfig default_of_warps(const RangeProblem& p, const Target& target) {
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
  RangeConfig c;
  for (const auto& [warps, row_tiles, keys, stages, blocks] : kPreferred) {
    c = {.warps = warps, .row_tiles = row_tiles, .keys = keys, .stages = stages, .blocks = blocks};
    if (RangeKernels::invalid_reason(p, c, target).empty()) break;
  }
  // Sequences of few queries: a tile over many of them would walk what each of them sees with idle warps.
  const std::int64_t rows = mean_queries(p) * p.group;
  while (c.row_tiles > 1 && c.rows() >= 2 * rows) c.row_tiles = 1;
  for (RangeConfig half = c; c.warps > 1 && c.rows() >= 2 * rows; c = half) {
    half.warps = c.warps / 2;
    if (!RangeKernels::invalid_reason(p, half, target).empty()) break;
  }
  return c;
}

/// Keys that a row sees on average.
double mean_visible(const RangeProblem& p) {
  const double rows = std::max(1.0, static_cast<double>(p.total_q) * p.heads_kv * p.group);
  return range_work(p).flops / (2 * rows * (p.head_dim + p.head_dim_v));
}

/// Warpgroups, where they are and where there are enough rows for them: fewer than V has do not pay for laying it out.
std::optional<RangeConfig> default_of_warpgroups(const RangeProblem& p, const Target& target) {
  RangeConfig c{.mma = Mma::kWarpgroup, .warps = 8, .row_tiles = 1, .blocks = 1};
  if (p.total_q * p.group < p.total_rows || mean_queries(p) * p.group < c.rows()) return std::nullopt;
  // A step costs some time whatever its keys, and a range's two ends are attended as whole steps. Keys, stages.
  constexpr std::array<std::array<int, 2>, 4> kPreferred{{{112, 3}, {80, 4}, {64, 3}, {64, 2}}};
  for (const auto& [keys, stages] : kPreferred) {
    c.keys = keys, c.stages = stages;
    const bool few_steps = mean_visible(p) < 8 * keys;
    if (p.compressed() && few_steps && keys > 80) continue;
    // Turns pay where steps are short; one stream where a window's tile is few of them.
    c.pingpong = keys <= 80;
    c.stream = !p.compressed() && few_steps;
    if (RangeKernels::invalid_reason(p, c, target).empty()) return c;
  }
  return std::nullopt;
}

}  // namespace

const FieldTable<RangeConfig>& RangeKernels::config_fields() {
  static const FieldTable<Config> fields{
      {"mma", &Config::mma, mma_names()}, {"warps", &Config::warps},   {"row_tiles", &Config::row_tiles}, {"keys", &Config::keys},
      {"stages", &Config::stages},        {"blocks", &Config::blocks}, {"pingpong", &Config::pingpong},   {"stream", &Config::stream}};
  return fields;
}

RangeConfig RangeKernels::default_config(const RangeProblem& p, const Target& target) {
  return default_of_warpgroups(p, target).value_or(default_of_warps(p, target));
}

std::vector<Tunable<RangeConfig>> RangeKernels::tunables(const RangeProblem& p, const Target& target) {
  const auto& f = config_fields();
  const Config c = default_config(p, target);
  const bool hopper = target.arch == "sm_90a";
  return {{f[0], hopper ? std::vector<std::int64_t>{0, 1} : std::vector<std::int64_t>{0}},
          {f[1], values_with({4, 8}, c.warps)},
          {f[2], {1, 2}},
          {f[3], values_with(hopper ? std::vector<std::int64_t>{32, 64, 80, 112, 128} : std::vector<std::int64_t>{32, 64}, c.keys)},
          {f[4], values_with(hopper ? std::vector<std::int64_t>{2, 3, 4} : std::vector<std::int64_t>{2, 3}, c.stages)},
          {f[5], values_with({1, 2, 3}, c.blocks)},
          {f[6], hopper ? std::vector<std::int64_t>{0, 1} : std::vector<std::int64_t>{0}},
          {f[7], hopper ? std::vector<std::int64_t>{0, 1} : std::vector<std::int64_t>{0}}};
}

std::string RangeKernels::invalid_reason(const RangeProblem& p, const Config& c, const Target& target) {
  const RangeShape s = range_shape(p);
  if (c.stages < 2 || c.stages > 4) return fmt::format("stages is {}, not 2 to 4", c.stages);
  if (std::string reason = c.warpgroups() ? invalid_for_warpgroups(s, c, target) : invalid_for_warps(s, c, target); !reason.empty())
    return reason;
  if (c.blocks < 1 || c.threads() * c.blocks > target.cuda.max_threads_per_sm)
    return fmt::format("{} blocks of {} threads exceed a multiprocessor", c.blocks, c.threads());
  if (!fits_shared_memory(static_cast<std::size_t>(c.smem_bytes(s)), c.blocks, target))
    return fmt::format("{} blocks of {} bytes of shared memory exceed a multiprocessor", c.blocks, c.smem_bytes(s));
  return {};
}

Resources RangeKernels::resources(const RangeProblem& p, const Config& c) {
  const RangeShape s = range_shape(p);
  return {.threads = c.threads(), .scratch_bytes = static_cast<std::size_t>(c.smem_bytes(s)), .registers = registers(s, c)};
}

std::vector<Launch> RangeKernels::launches(const RangeProblem& p, const Config& c) {
  const std::int64_t tiles = ceil_div64(p.total_q * p.group, c.rows()) * p.heads_kv;
  Launch run = launch("kernel_entry_run", c.warpgroups() ? std::min(tiles, kMultiprocessors) : tiles, c.threads(),
                      static_cast<std::size_t>(c.smem_bytes(range_shape(p))));
  if (c.warpgroups()) {
    run.early = true;
    run.tensor_map = offsetof(RangeParams, k_map);
  }
  return {launch("kernel_entry_prepare", c.warpgroups() ? laid_out_blocks(p, c) : 0, c.threads(), 0), std::move(run)};
}

std::vector<TensorSpec> RangeKernels::workspace(const RangeProblem& p, const Config& c) {
  if (!c.warpgroups()) return {};
  const RangeShape s = range_shape(p);
  const std::string prefix = p.compressed() ? "c" : "";
  const std::int64_t blocks = laid_out_blocks(p, c);
  return {{prefix + "v_tiles", Access::kWrite, DType::kI32, {blocks, c.v_bytes(s) / 4}},
          {prefix + "v_fields", Access::kWrite, DType::kI32, {blocks}},
          {prefix + "next_tile", Access::kWrite, DType::kI32, {1}}};
}

void RangeKernels::complete(const Config& c, std::span<const TensorView> tensors, RangeParams& params) {
  if (!c.warpgroups()) return;
  const auto workspace = tensors.last<3>();
  params.v_tiles = pointer<unsigned char>(workspace[0]);
  params.v_fields = pointer<int>(workspace[1]);
  params.next_tile = pointer<int>(workspace[2]);
  params.k_map = key_map(tensors[1], tensors[0], c.keys);
}

}  // namespace fsa::cuda
