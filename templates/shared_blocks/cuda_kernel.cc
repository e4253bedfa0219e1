#include "templates/shared_blocks/cuda_kernel.h"

#include <fmt/format.h>

#include "templates/cuda/host_kernel.h"

namespace fsa::shared_blocks {

Result<void> check(const SelectedProblem& p, const Target& target) {
  FSA_RETURN_IF_ERROR(check_selected_problem(p, target));
  if (p.group <= kUnitRows) return {};
  return unsupported(fmt::format("group is {} for shared blocks", p.group),
                     fmt::format("up to {}: a query's rows make up one unit", kUnitRows));
}

std::int64_t tiles(const SelectedProblem& p) { return cuda::ceil_div64(p.total_q, TileShape::of(p).tokens()); }

TensorSpec steps_tensor(const SelectedProblem& p, Access access) {
  return {"shared_steps", access, DType::kI32, {p.heads_kv * tiles(p), Config::slots(selected_shape(p)), TileShape::of(p).step_words()}};
}
TensorSpec count_tensor(const SelectedProblem& p, Access access) { return {"shared_count", access, DType::kI32, {p.heads_kv * tiles(p)}}; }

TensorSpec next_tile_tensor(Access access) { return {"shared_next_tile", access, DType::kI32, {1}}; }

const FieldTable<Config>& Cuda::config_fields() {
  static const FieldTable<Config> fields{{"warps", &Config::warps}, {"min_queries", &Config::min_queries}};
  return fields;
}

Config Cuda::default_config(const Problem& p, const Target&) {
  // Where as many rows share a block, bringing it to them costs what writing and reading their partial outputs does.
  constexpr int kBreakEvenRows = 44;
  return {.warps = 4, .min_queries = std::min(ceil_div(kBreakEvenRows, p.group), TileShape::of(p).tokens())};
}

std::vector<Tunable<Config>> Cuda::tunables(const Problem& p, const Target& target) {
  std::vector<std::int64_t> queries;
  for (const int rows : {1, 24, 48, 96}) queries.push_back(std::clamp(ceil_div(rows, p.group), 1, TileShape::of(p).tokens()));
  return {{config_fields()[0], {4, 8}}, {config_fields()[1], cuda::values_with(queries, default_config(p, target).min_queries)}};
}

std::string Cuda::invalid_reason(const Problem& p, const Config& c, const Target&) {
  if (c.warps < 1 || c.warps > 16) return fmt::format("warps is {}, not 1 to 16", c.warps);
  if (c.min_queries < 1 || c.min_queries > TileShape::of(p).tokens())
    return fmt::format("min_queries is {}, not 1 to the {} queries of a tile", c.min_queries, TileShape::of(p).tokens());
  return {};
}

Resources Cuda::resources(const Problem& p, const Config& c) {
  return {.threads = c.threads(), .scratch_bytes = static_cast<std::size_t>(Config::smem_bytes(selected_shape(p))), .registers = 40};
}

std::vector<TensorSpec> Cuda::tensors(const Problem& p, const Config&) {
  TensorSpec rest = cuda::block_indices_tensor(p);
  rest.name = "rest_indices", rest.access = Access::kWrite;
  return {cuda::block_indices_tensor(p),   cuda::sequences_tensor(p, "cu_q"), cuda::sequences_tensor(p, "cu_k"), std::move(rest),
          steps_tensor(p, Access::kWrite), count_tensor(p, Access::kWrite),   next_tile_tensor(Access::kWrite)};
}

std::vector<Launch> Cuda::launches(const Problem& p, const Config& c) {
  return {cuda::launch("kernel_entry", p.heads_kv * tiles(p), c.threads(), resources(p, c).scratch_bytes)};
}

Params Cuda::pack(const Problem& p, const Config&, std::span<const TensorView> t) {
  return {.block_indices = cuda::pointer<const int>(t[0]),
          .cu_q = cuda::pointer<const int>(t[1]),
          .cu_k = cuda::pointer<const int>(t[2]),
          .rest_indices = cuda::pointer<int>(t[3]),
          .shared_steps = cuda::pointer<int>(t[4]),
          .shared_count = cuda::pointer<int>(t[5]),
          .shared_next_tile = cuda::pointer<int>(t[6]),
          .total_q = static_cast<int>(p.total_q),
          .num_seqs = p.num_seqs,
          .heads_kv = p.heads_kv,
          .cells = static_cast<int>(p.cells()),
          .tiles = static_cast<int>(tiles(p))};
}

}  // namespace fsa::shared_blocks
