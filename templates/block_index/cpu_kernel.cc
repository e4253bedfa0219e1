#include "templates/block_index/cpu_kernel.h"

#include <fmt/format.h>

#include <algorithm>

#include "templates/cpu/selected_tensors.h"

namespace fsa::block_index {
namespace {

std::int64_t segments(const SelectedProblem& p, const CpuConfig& c) { return std::max<std::int64_t>(1, (p.total_q + c.segment_tokens - 1) / c.segment_tokens); }

}  // namespace

const FieldTable<CpuConfig>& Cpu::config_fields() {
  static const FieldTable<CpuConfig> fields{{"segment_tokens", &CpuConfig::segment_tokens}};
  return fields;
}

/// At most 16 segments: enough for a few cores, and the one item that scans cells x segments stays short.
CpuConfig Cpu::default_config(const SelectedProblem& p, const Target&) {
  return {.segment_tokens = static_cast<int>(std::max<std::int64_t>(256, (p.total_q + 15) / 16))};
}

std::vector<Tunable<CpuConfig>> Cpu::tunables(const SelectedProblem&, const Target&) { return {}; }

std::string Cpu::invalid_reason(const SelectedProblem&, const CpuConfig& c, const Target&) {
  return c.segment_tokens < 64 ? fmt::format("segment_tokens is {}, not 64 or more", c.segment_tokens) : std::string();
}

Resources Cpu::resources(const SelectedProblem& p, const CpuConfig&) {
  return {.threads = 1, .scratch_bytes = static_cast<std::size_t>(p.cells()) * sizeof(int), .registers = 0};
}

std::vector<TensorSpec> Cpu::tensors(const SelectedProblem& p, const CpuConfig& c) {
  using namespace cpu;
  return {block_indices_spec(p), cu_q_spec(p), cu_k_spec(p), {"segment_counts", Access::kReadWrite, DType::kI32, {p.heads_kv, p.cells(), segments(p, c)}},
          cell_offset_spec(p, Access::kWrite), entry_token_spec(p, Access::kWrite), entry_position_spec(p, Access::kWrite),
          work_items_spec(p, Access::kWrite), work_count_spec(Access::kWrite)};
}

std::vector<Launch> Cpu::launches(const SelectedProblem& p, const CpuConfig& c) {
  const auto items = static_cast<std::uint32_t>(segments(p, c) * p.heads_kv);
  const std::size_t scratch = resources(p, c).scratch_bytes;
  return {{.symbol = "kernel_entry_count", .grid = {items, 1, 1}, .scratch_bytes = scratch},
          {.symbol = "kernel_entry_scan", .grid = {1, 1, 1}, .scratch_bytes = 0},
          {.symbol = "kernel_entry_fill", .grid = {items, 1, 1}, .scratch_bytes = scratch}};
}

Params Cpu::pack(const SelectedProblem& p, const CpuConfig& c, std::span<const TensorView> x) {
  Params params{};
  params.block_indices = cpu::ints(x[0]);
  params.cu_q = cpu::ints(x[1]);
  params.cu_k = cpu::ints(x[2]);
  params.segment_counts = cpu::mutable_ints(x[3]);
  params.cell_offset = cpu::mutable_ints(x[4]);
  params.entry_token = cpu::mutable_ints(x[5]);
  params.entry_position = cpu::mutable_ints(x[6]);
  params.work_items = cpu::mutable_ints(x[7]);
  params.work_count = cpu::mutable_ints(x[8]);
  params.total_q = static_cast<int>(p.total_q);
  params.total_k = static_cast<int>(p.total_k);
  params.num_seqs = p.num_seqs;
  params.heads_kv = p.heads_kv;
  params.cells = static_cast<int>(p.cells());
  params.segments = static_cast<int>(segments(p, c));
  params.segment_tokens = c.segment_tokens;
  params.item_tokens = cpu::item_tokens(p);
  return params;
}

}  // namespace fsa::block_index
