#include "templates/selected_block_major/cpu_kernel.h"

#include <fmt/format.h>

#include <algorithm>

#include "templates/cpu/selected_tensors.h"
#include "templates/cpu/tile_choice.h"

namespace fsa::selected_block_major {
namespace {

Merge merge_of(const SelectedProblem& p) { return p.item_tokens > 0 ? Merge::kPartials : Merge::kInPlace; }

/// About 512 rows: their states still fit a second-level cache, and a block is shared by enough of them to pay for its
/// packing. Shorter where that would leave fewer than eight work items.
int default_chunk(const SelectedProblem& p) {
  int chunk = std::clamp(512 / p.group, 32, 512);
  while (chunk > 32 && (p.total_q + chunk - 1) / chunk * p.heads_kv < 8) chunk /= 2;
  return chunk;
}

std::size_t scratch_bytes(const SelectedProblem& p, const CpuConfig& c) {
  return static_cast<std::size_t>(cpu_scratch(selected_shape(p), c, most_blocks(p.total_k, p.block_size)).end) * sizeof(float);
}

}  // namespace

const FieldTable<CpuConfig>& Cpu::config_fields() {
  static const FieldTable<CpuConfig> fields{
      {"merge", &CpuConfig::merge, {{0, "in_place", "Merge::kInPlace"}, {1, "partials", "Merge::kPartials"}}},
      {"math", &CpuConfig::math, cpu::math_names()},
      {"mr", &CpuConfig::mr},
      {"nr", &CpuConfig::nr},
      {"chunk", &CpuConfig::chunk}};
  return fields;
}

CpuConfig Cpu::default_config(const SelectedProblem& p, const Target& target) {
  const cpu::TileSize tile = cpu::default_tile(target);
  return {.merge = merge_of(p), .math = cpu::Math::kF32, .mr = tile.mr, .nr = tile.nr, .chunk = p.item_tokens > 0 ? 0 : default_chunk(p)};
}

std::vector<Tunable<CpuConfig>> Cpu::tunables(const SelectedProblem& p, const Target& target) {
  const CpuConfig base = default_config(p, target);
  std::vector<std::int64_t> chunks{base.chunk};
  if (base.merge == Merge::kInPlace) chunks = {std::max(8, base.chunk / 4), base.chunk, base.chunk * 4};
  const cpu::TileValues tiles = cpu::tile_values(target);
  return {{config_fields()[1], cpu::math_values(p.element, target)}, {config_fields()[2], tiles.mr}, {config_fields()[3], tiles.nr}, {config_fields()[4], chunks}};
}

std::string Cpu::invalid_reason(const SelectedProblem& p, const CpuConfig& c, const Target& target) {
  if (c.merge != merge_of(p)) return "merge is in_place where item_tokens is 0, and partials elsewhere";
  if (c.merge == Merge::kPartials && c.chunk != 0) return fmt::format("chunk is {}, but merge partials has none: 0", c.chunk);
  if (c.merge == Merge::kInPlace && (c.chunk < 1 || c.chunk > 16384)) return fmt::format("chunk is {}, not 1 to 16384 tokens", c.chunk);
  return cpu::tile_invalid_reason(p.element, c.math, c.mr, c.nr, target);
}

Resources Cpu::resources(const SelectedProblem& p, const CpuConfig& c) {
  return {.threads = 1, .scratch_bytes = scratch_bytes(p, c), .registers = c.mr * c.nr + c.nr + 1};
}

std::vector<TensorSpec> Cpu::tensors(const SelectedProblem& p, const CpuConfig& c) {
  using namespace cpu;
  if (c.merge == Merge::kInPlace) return {q_spec(p), k_spec(p), v_spec(p), cu_q_spec(p), cu_k_spec(p), block_indices_spec(p), o_spec(p), lse_spec(p)};
  return {q_spec(p), k_spec(p), v_spec(p), cu_q_spec(p), cu_k_spec(p), cell_offset_spec(p, Access::kRead), entry_token_spec(p, Access::kRead),
          work_items_spec(p, Access::kRead), work_count_spec(Access::kRead), partial_o_spec(p, Access::kWrite), partial_lse_spec(p, Access::kWrite),
          entry_scale_spec(p, Access::kWrite)};
}

std::vector<Launch> Cpu::launches(const SelectedProblem& p, const CpuConfig& c) {
  const std::int64_t items = c.merge == Merge::kInPlace ? (p.total_q + c.chunk - 1) / c.chunk * p.heads_kv : cpu::max_items(p);
  return {{.grid = {static_cast<std::uint32_t>(items), 1, 1}, .scratch_bytes = scratch_bytes(p, c)}};
}

Params Cpu::pack(const SelectedProblem& p, const CpuConfig& c, std::span<const TensorView> x) {
  Params params{};
  params.q = x[0].data;
  params.k = x[1].data;
  params.v = x[2].data;
  params.cu_q = cpu::ints(x[3]);
  params.cu_k = cpu::ints(x[4]);
  params.q_stride = cpu::row_strides(x[0]);
  params.k_stride = cpu::row_strides(x[1]);
  params.v_stride = cpu::row_strides(x[2]);
  if (c.merge == Merge::kInPlace) {
    params.block_indices = cpu::ints(x[5]);
    params.o = x[6].data;
    params.lse = cpu::floats(x[7]);
    params.o_stride = cpu::row_strides(x[6]);
  } else {
    params.cell_offset = cpu::ints(x[5]);
    params.entry_token = cpu::ints(x[6]);
    params.work_items = cpu::ints(x[7]);
    params.work_count = cpu::ints(x[8]);
    params.partial_o = x[9].data;
    params.partial_lse = cpu::floats(x[10]);
    params.entry_scale = cpu::floats(x[11]);
  }
  params.total_q = static_cast<int>(p.total_q);
  params.total_k = static_cast<int>(p.total_k);
  params.num_seqs = p.num_seqs;
  params.heads_kv = p.heads_kv;
  params.cells = static_cast<int>(p.cells());
  params.scale = p.scale;
  return params;
}

}  // namespace fsa::selected_block_major
