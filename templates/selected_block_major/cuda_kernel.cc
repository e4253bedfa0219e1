#include "templates/selected_block_major/cuda_kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "templates/block_index/index_sizes.h"

namespace fsa::selected_block_major {
namespace {

/// The problem as the config sees it: the index is built for the config's items.
SelectedProblem with_items(SelectedProblem p, const Config& c) {
  p.item_tokens = c.item_tokens;
  return p;
}

/// Output columns that wgmma accumulates at once; 0 where passes of them would not start at panels of 64.
int wgmma_columns(const SelectedShape& s, const Config& c) {
  const int columns = c.v_columns(s);
  if (columns <= 128) return columns;
  return columns % 128 == 0 ? 128 : columns % 64 == 0 ? 64 : 0;
}

/// Scores with their left operands, which the products read until they are done; probabilities with the outputs of a pass; or
/// outputs with the words they are packed to.
int wgmma_registers(const SelectedShape& s, const Config& c) {
  const int scores = s.block_size / 2, operands = Config::k_columns(s) / 4, outputs = wgmma_columns(s, c) / 2;
  const int packed = c.partial == Partial::kI12 ? outputs * 3 / 16 : 0;
  return std::max({scores + operands, scores / 2 + outputs, outputs + packed}) + 48;
}

/// Why wgmma cannot run a config; empty where it can.
std::string wgmma_reason(const SelectedShape& s, const Config& c, const Target& target) {
  if (c.mma != Mma::kWarpgroup) {
    return c.partial == Partial::kI12 ? "i12 partials are written by wgmma alone: a row's largest is known when all of it is"
                                      : std::string();
  }
  if (target.arch != "sm_90a") return fmt::format("wgmma is an instruction of sm_90a, not of {}", target.arch);
  if (c.warps % 4 != 0 || c.row_tiles != 1 || c.v_splits != 1) return "wgmma needs warps in fours, row_tiles 1 and v_splits 1";
  if (wgmma_columns(s, c) == 0) return fmt::format("head_dim_v is {}: more than 128 columns for wgmma come in panels of 64", s.head_dim_v);
  if (c.partial == Partial::kI12 && !packs12(s.head_dim_v))
    return fmt::format("i12 partials need head_dim_v 64 or 128, not {}", s.head_dim_v);
  return {};
}

/// Registers a lane needs: the scores with their operands, or the probabilities they turn into with the outputs of a pass;
/// and addresses. What ptxas spills below is excluded by this, with the constants found by compiling for every target.
int registers(const SelectedShape& s, const Config& c) {
  if (c.mma == Mma::kWarpgroup) return wgmma_registers(s, c);
  const int scores = c.row_tiles * s.block_size / 2;
  const int outputs = c.row_tiles * std::min(c.v_columns(s), 128 / c.row_tiles) / 2;
  return std::max(scores + 8 * c.row_tiles + 60, scores / 2 + outputs + 48);
}

/// Rows of an item that make the load of K and V small beside it, and items that keep every multiprocessor busy to the end.
constexpr int kItemRows = 4096, kFewestItems = 2048;

int default_item_tokens(const SelectedProblem& p) {
  const std::int64_t shared = std::max<std::int64_t>(64, cuda::ceil_div64(p.entries(), std::int64_t{kFewestItems} * 16) * 16);
  return static_cast<int>(std::min<std::int64_t>(shared, std::clamp(round_up(kItemRows / p.group, 16), 64, 1024)));
}

/// The fastest config for wgmma that fits; false where there is none.
bool choose_wgmma(const SelectedProblem& p, const Target& target, Config& c) {
  Config w = c;
  w.row_tiles = 1, w.mma = Mma::kWarpgroup;
  w.partial = packs12(p.head_dim_v) ? Partial::kI12 : Partial::kF16;
  // As many warps per multiprocessor as registers and shared memory allow: warps, stages, blocks.
  constexpr std::array<std::array<int, 3>, 10> kPreferred{
      {{4, 2, 5}, {4, 1, 5}, {4, 2, 4}, {4, 1, 4}, {4, 2, 3}, {4, 1, 3}, {12, 1, 1}, {4, 2, 2}, {4, 1, 2}, {4, 1, 1}}};
  for (const auto& [warps, stages, blocks] : kPreferred) {
    if (warps > 4 && p.block_size <= 64) continue;  // measured with blocks of 128 keys alone
    w.warps = warps, w.stages = stages, w.blocks = blocks;
    if (!Cuda::invalid_reason(p, w, target).empty()) continue;
    c = w;
    return true;
  }
  return false;
}

}  // namespace

const FieldTable<Config>& Cuda::config_fields() {
  static const FieldTable<Config> fields{{"warps", &Config::warps},
                                         {"row_tiles", &Config::row_tiles},
                                         {"stages", &Config::stages},
                                         {"blocks", &Config::blocks},
                                         {"v_splits", &Config::v_splits},
                                         {"item_tokens", &Config::item_tokens},
                                         {"partial", &Config::partial, partial_names()},
                                         {"mma", &Config::mma, cuda::mma_names()}};
  return fields;
}

Config Cuda::default_config(const Problem& p, const Target& target) {
  // From the fastest where it fits to what fits everywhere: warps, row_tiles, stages, blocks, v_splits.
  // Many small thread blocks hide each other's start; two row tiles per warp halve the reads of K and V, what bounds most.
  constexpr std::array<std::array<int, 5>, 14> kPreferred{{{4, 2, 1, 3, 1},
                                                           {4, 2, 1, 2, 1},
                                                           {4, 1, 2, 3, 1},
                                                           {4, 1, 1, 3, 1},
                                                           {4, 1, 2, 2, 1},
                                                           {4, 1, 1, 2, 1},
                                                           {8, 1, 1, 1, 1},
                                                           {4, 1, 2, 1, 1},
                                                           {4, 1, 1, 1, 1},
                                                           {2, 1, 1, 1, 1},
                                                           {4, 1, 1, 1, 2},
                                                           {2, 1, 1, 1, 2},
                                                           {2, 1, 1, 1, 4},
                                                           {1, 1, 1, 1, 8}}};
  Config c{.item_tokens = default_item_tokens(p)};
  if (choose_wgmma(p, target, c)) return c;
  for (const auto& [warps, row_tiles, stages, blocks, splits] : kPreferred) {
    c.warps = warps, c.row_tiles = row_tiles, c.stages = stages, c.blocks = blocks, c.v_splits = splits;
    if (invalid_reason(p, c, target).empty()) break;
  }
  return c;
}

std::vector<Tunable<Config>> Cuda::tunables(const Problem& p, const Target& target) {
  const auto& f = config_fields();
  const Config c = default_config(p, target);
  std::vector<Tunable<Config>> list{{f[0], cuda::values_with({4, 8}, c.warps)},
                                    {f[1], {1, 2}},
                                    {f[2], {1, 2}},
                                    {f[3], {1, 2, 3, 4, 5, 6}},
                                    {f[4], {c.v_splits}},
                                    {f[5], cuda::values_with({std::max(64, c.item_tokens / 32 * 16)}, c.item_tokens)}};
  if (c.mma == Mma::kWarp) return list;
  list.push_back({f[6], cuda::values_with({static_cast<int>(Partial::kF16)}, static_cast<int>(c.partial))});
  list.push_back({f[7], {static_cast<int>(Mma::kWarp), static_cast<int>(Mma::kWarpgroup)}});
  return list;
}

std::string Cuda::invalid_reason(const Problem& p, const Config& c, const Target& target) {
  const SelectedShape s = selected_shape(p);
  if (c.warps < 1 || c.warps > 16) return fmt::format("warps is {}, not 1 to 16", c.warps);
  if (c.row_tiles < 1 || c.row_tiles > 2) return fmt::format("row_tiles is {}, not 1 or 2", c.row_tiles);
  if (c.stages < 1 || c.stages > 4) return fmt::format("stages is {}, not 1 to 4", c.stages);
  if (c.blocks < 1 || c.threads() * c.blocks > target.cuda.max_threads_per_sm)
    return fmt::format("{} blocks of {} threads exceed a multiprocessor", c.blocks, c.threads());
  if (c.v_splits < 1 || c.v_splits > 8) return fmt::format("v_splits is {}, not 1 to 8", c.v_splits);
  if (c.item_tokens < 16 || c.item_tokens % 16 != 0) return fmt::format("item_tokens is {}, not a multiple of 16", c.item_tokens);
  if (std::string reason = wgmma_reason(s, c, target); !reason.empty()) return reason;
  const int cap = cuda::register_cap(c.threads(), c.blocks, target);
  if (registers(s, c) > cap) return fmt::format("it needs about {} registers of {}", registers(s, c), cap);
  if (!cuda::fits_shared_memory(static_cast<std::size_t>(c.smem_bytes(s)), c.blocks, target))
    return fmt::format("{} blocks of {} bytes of shared memory exceed a multiprocessor", c.blocks, c.smem_bytes(s));
  return {};
}

Resources Cuda::resources(const Problem& p, const Config& c) {
  const SelectedShape s = selected_shape(p);
  return {.threads = c.threads(), .scratch_bytes = static_cast<std::size_t>(c.smem_bytes(s)), .registers = registers(s, c)};
}

std::vector<TensorSpec> Cuda::tensors(const Problem& problem, const Config& c) {
  const Problem p = with_items(problem, c);
  const int partial = static_cast<int>(c.partial);
  return {cuda::query_tensor(p),
          cuda::key_tensor(p),
          cuda::value_tensor(p),
          cuda::sequences_tensor(p, "cu_q"),
          cuda::sequences_tensor(p, "cu_k"),
          block_index::entry_token_tensor(p, Access::kRead),
          block_index::work_items_tensor(p, Access::kRead),
          block_index::work_count_tensor(Access::kRead),
          cuda::partial_o_tensor(p, partial, Access::kWrite),
          cuda::partial_lse_tensor(p, partial, Access::kWrite),
          cuda::entry_scale_tensor(p, partial, Access::kWrite)};
}

std::vector<Launch> Cuda::launches(const Problem& problem, const Config& c) {
  const Problem p = with_items(problem, c);
  Launch launch =
      cuda::launch("kernel_entry", block_index::max_work_items(p), c.threads(), static_cast<std::size_t>(c.smem_bytes(selected_shape(p))));
  launch.grid[1] = static_cast<std::uint32_t>(c.v_splits);
  return {launch};
}

Params Cuda::pack(const Problem& p, const Config&, std::span<const TensorView> t) {
  return {.q = t[0].data,
          .k = t[1].data,
          .v = t[2].data,
          .block_indices = nullptr,
          .cu_q = cuda::pointer<const int>(t[3]),
          .cu_k = cuda::pointer<const int>(t[4]),
          .cell_offset = nullptr,
          .entry_token = cuda::pointer<const int>(t[5]),
          .work_items = cuda::pointer<const int>(t[6]),
          .work_count = cuda::pointer<const int>(t[7]),
          .partial_o = t[8].data,
          .partial_lse = cuda::pointer<float>(t[9]),
          .entry_scale = cuda::pointer<float>(t[10]),
          .o = nullptr,
          .lse = nullptr,
          .q_stride = cuda::row_strides(t[0]),
          .k_stride = cuda::row_strides(t[1]),
          .v_stride = cuda::row_strides(t[2]),
          .o_stride = {},
          .total_q = static_cast<int>(p.total_q),
          .total_k = static_cast<int>(p.total_k),
          .num_seqs = p.num_seqs,
          .heads_kv = p.heads_kv,
          .cells = static_cast<int>(p.cells()),
          .scale = p.scale};
}

}  // namespace fsa::selected_block_major
