#include "templates/block_layout/cuda_kernel.h"

#include <fmt/format.h>

#include <limits>

#include "templates/cuda/host_kernel.h"

namespace fsa::block_layout {
namespace {

/// 16-byte pieces of a part that a thread holds at once.
int pieces(const SelectedProblem& p, const Config& c) {
  return ceil_div(part_keys(p.block_size) * round_up(p.head_dim_v, 64) / 8, c.threads());
}

}  // namespace

Result<void> check(const SelectedProblem& p, const Target& target) {
  FSA_RETURN_IF_ERROR(check_selected_problem(p, target));
  if (target.arch != "sm_90a") return unsupported(fmt::format("{}, which has no wgmma", target.arch), "sm_90a");
  if (p.cells() > std::numeric_limits<std::int32_t>::max() / p.block_size - 1)
    return unsupported(fmt::format("total_k {} in {} sequences", p.total_k, p.num_seqs), "fewer than 2^31 keys in whole blocks");
  return {};
}

std::vector<TensorSpec> layout_tensors(const SelectedProblem& p, Access access) {
  const SelectedShape s = selected_shape(p);
  const RangeShape range = Config::range_shape(s);
  // One more part per head than there are: shared with attention over ranges, whose steps may begin in any row.
  const std::int64_t all = p.heads_kv * (p.cells() * parts(p.block_size) + 1);
  return {{"block_v_tiles", access, DType::kI32, {all, Config::range(s).v_bytes(range) / 4}},
          {"block_v_fields", access, DType::kI32, {all}}};
}

const FieldTable<Config>& Cuda::config_fields() {
  static const FieldTable<Config> fields{{"warps", &Config::warps}};
  return fields;
}

Config Cuda::default_config(const Problem& p, const Target&) {
  Config c;
  while (c.warps < 32 && pieces(p, c) > 8) c.warps += 4;
  return c;
}

std::vector<Tunable<Config>> Cuda::tunables(const Problem& p, const Target& target) {
  return {{config_fields()[0], cuda::values_with({8, 12, 16}, default_config(p, target).warps)}};
}

std::string Cuda::invalid_reason(const Problem& p, const Config& c, const Target& target) {
  if (target.arch != "sm_90a") return fmt::format("{} has no wgmma: sm_90a has", target.arch);
  if (c.warps < 1 || c.warps > 32) return fmt::format("warps is {}, not 1 to 32", c.warps);
  if (pieces(p, c) > 8) return fmt::format("{} warps would hold {} pieces of 16 bytes each, not up to 8", c.warps, pieces(p, c));
  return {};
}

Resources Cuda::resources(const Problem&, const Config& c) { return {.threads = c.threads(), .scratch_bytes = 0, .registers = 64}; }

std::vector<TensorSpec> Cuda::tensors(const Problem& p, const Config&) {
  std::vector<TensorSpec> list{cuda::value_tensor(p), cuda::sequences_tensor(p, "cu_k")};
  for (TensorSpec& spec : layout_tensors(p, Access::kWrite)) list.push_back(std::move(spec));
  return list;
}

std::vector<Launch> Cuda::launches(const Problem& p, const Config& c) {
  return {cuda::launch("kernel_entry", p.total_q > 0 ? p.heads_kv * p.cells() * parts(p.block_size) : 0, c.threads(), 0)};
}

Params Cuda::pack(const Problem& p, const Config&, std::span<const TensorView> t) {
  const auto cells = static_cast<int>(p.cells());
  return {.range = {.q = nullptr,
                    .k = nullptr,
                    .v = t[0].data,
                    .cu_q = nullptr,
                    .cu_k = cuda::pointer<const int>(t[1]),
                    .cu_rows = nullptr,
                    .v_stride = cuda::row_strides(t[0]),
                    .total_k = static_cast<int>(p.total_k),
                    .total_rows = cells * p.block_size,
                    .num_seqs = p.num_seqs,
                    .heads_kv = p.heads_kv,
                    .v_tiles = cuda::pointer<unsigned char>(t[2]),
                    .v_fields = cuda::pointer<int>(t[3])},
          .cells = cells};
}

}  // namespace fsa::block_layout
