#include "templates/shared_blocks/cuda_kernel.h"

#include <fmt/format.h>

#include <limits>

#include "templates/cuda/host_kernel.h"

namespace fsa::shared_blocks {
namespace {

constexpr int kMostPieces = 8;  // of 16 bytes, that a lane holds while it lays V out

/// Parts of V, of all heads.
std::int64_t layout_parts(const SelectedProblem& p) { return p.heads_kv * p.cells() * ValueLayout::parts(p.block_size); }

/// One for each tile of each head, and for each part.
std::int64_t thread_blocks(const SelectedProblem& p) { return p.heads_kv * tiles(p) + layout_parts(p); }

}  // namespace

Result<void> check(const SelectedProblem& p, const Target& target) {
  FSA_RETURN_IF_ERROR(check_selected_problem(p, target));
  if (target.arch != "sm_90a") return unsupported(fmt::format("{}, which has no wgmma", target.arch), "sm_90a");
  if (p.cells() > std::numeric_limits<std::int32_t>::max() / p.block_size - 1)
    return unsupported(fmt::format("total_k {} in {} sequences", p.total_k, p.num_seqs), "fewer than 2^31 keys in whole blocks");
  if (p.group > kUnitRows)
    return unsupported(fmt::format("group is {} for shared blocks", p.group),
                       fmt::format("up to {}: a query's rows make up one unit", kUnitRows));
  const auto bytes = static_cast<std::size_t>(Config::smem_bytes(selected_shape(p)));
  if (cuda::fits_shared_memory(bytes, 1, target)) return {};
  return unsupported(fmt::format("topk {} with group {}: the blocks of a tile's {} queries take {} bytes of shared memory", p.topk, p.group,
                                 TileShape::of(p).tokens(), bytes),
                     "fewer blocks per query, or more heads that share them");
}

std::int64_t tiles(const SelectedProblem& p) { return cuda::ceil_div64(p.total_q, TileShape::of(p).tokens()); }

TensorSpec steps_tensor(const SelectedProblem& p, Access access) {
  return {"shared_steps", access, DType::kI32, {p.heads_kv * tiles(p), Config::slots(selected_shape(p)), TileShape::of(p).step_words()}};
}
TensorSpec count_tensor(const SelectedProblem& p, Access access) { return {"shared_count", access, DType::kI32, {p.heads_kv * tiles(p)}}; }

TensorSpec next_tile_tensor(Access access) { return {"shared_next_tile", access, DType::kI32, {1}}; }

std::vector<TensorSpec> layout_tensors(const SelectedProblem& p, Access access) {
  const SelectedShape s = selected_shape(p);
  // One more part per head than there are: shared with attention over ranges, whose steps may begin in any row.
  const std::int64_t all = p.heads_kv * (p.cells() * ValueLayout::parts(p.block_size) + 1);
  return {{"block_v_tiles", access, DType::kI32, {all, ValueLayout::range(s).v_bytes(ValueLayout::range_shape(s)) / 4}},
          {"block_v_fields", access, DType::kI32, {all}}};
}

const FieldTable<Config>& Cuda::config_fields() {
  static const FieldTable<Config> fields{{"warps", &Config::warps}, {"min_queries", &Config::min_queries}};
  return fields;
}

Config Cuda::default_config(const Problem& p, const Target&) {
  // Where as many rows share a block, bringing it to them costs what writing and reading their partial outputs does, which are shorter
  // where a tile has three units.
  const TileShape tile = TileShape::of(p);
  const int break_even_rows = tile.units > 2 ? 96 : 48;
  Config c{.warps = 4, .min_queries = std::min(ceil_div(break_even_rows, p.group), tile.tokens())};
  while (c.warps < 16 && ValueLayout::pieces(selected_shape(p), c.threads()) > kMostPieces) c.warps += 4;
  return c;
}

std::vector<Tunable<Config>> Cuda::tunables(const Problem& p, const Target& target) {
  std::vector<std::int64_t> queries;
  for (const int rows : {1, 24, 48, 56, 96}) queries.push_back(std::clamp(ceil_div(rows, p.group), 1, TileShape::of(p).tokens()));
  return {{config_fields()[0], cuda::values_with({4, 8}, default_config(p, target).warps)},
          {config_fields()[1], cuda::values_with(queries, default_config(p, target).min_queries)}};
}

std::string Cuda::invalid_reason(const Problem& p, const Config& c, const Target& target) {
  if (target.arch != "sm_90a") return fmt::format("{} has no wgmma: sm_90a has", target.arch);
  if (c.warps < 1 || c.warps > 16) return fmt::format("warps is {}, not 1 to 16", c.warps);
  if (const int pieces = ValueLayout::pieces(selected_shape(p), c.threads()); pieces > kMostPieces)
    return fmt::format("{} warps would hold {} pieces of 16 bytes each, not up to {}", c.warps, pieces, kMostPieces);
  if (c.min_queries < 1 || c.min_queries > TileShape::of(p).tokens())
    return fmt::format("min_queries is {}, not 1 to the {} queries of a tile", c.min_queries, TileShape::of(p).tokens());
  return {};
}

Resources Cuda::resources(const Problem& p, const Config& c) {
  return {.threads = c.threads(), .scratch_bytes = static_cast<std::size_t>(Config::smem_bytes(selected_shape(p))), .registers = 64};
}

std::vector<TensorSpec> Cuda::tensors(const Problem& p, const Config&) {
  TensorSpec rest = cuda::block_indices_tensor(p);
  rest.name = "rest_indices", rest.access = Access::kWrite;
  std::vector<TensorSpec> list{cuda::block_indices_tensor(p),
                               cuda::sequences_tensor(p, "cu_q"),
                               cuda::sequences_tensor(p, "cu_k"),
                               cuda::value_tensor(p),
                               std::move(rest),
                               steps_tensor(p, Access::kWrite),
                               count_tensor(p, Access::kWrite),
                               next_tile_tensor(Access::kWrite)};
  for (TensorSpec& spec : layout_tensors(p, Access::kWrite)) list.push_back(std::move(spec));
  return list;
}

std::vector<Launch> Cuda::launches(const Problem& p, const Config& c) {
  return {cuda::launch("kernel_entry", p.total_q > 0 ? thread_blocks(p) : 0, c.threads(), resources(p, c).scratch_bytes)};
}

Params Cuda::pack(const Problem& p, const Config&, std::span<const TensorView> t) {
  return {.block_indices = cuda::pointer<const int>(t[0]),
          .cu_q = cuda::pointer<const int>(t[1]),
          .cu_k = cuda::pointer<const int>(t[2]),
          .rest_indices = cuda::pointer<int>(t[4]),
          .shared_steps = cuda::pointer<int>(t[5]),
          .shared_count = cuda::pointer<int>(t[6]),
          .shared_next_tile = cuda::pointer<int>(t[7]),
          .total_q = static_cast<int>(p.total_q),
          .num_seqs = p.num_seqs,
          .heads_kv = p.heads_kv,
          .cells = static_cast<int>(p.cells()),
          .tiles = static_cast<int>(tiles(p)),
          .values = {.q = nullptr,
                     .k = nullptr,
                     .v = t[3].data,
                     .v_stride = cuda::row_strides(t[3]),
                     .total_k = static_cast<int>(p.total_k),
                     .total_rows = static_cast<int>(p.cells()) * p.block_size,
                     .v_tiles = cuda::pointer<unsigned char>(t[8]),
                     .v_fields = cuda::pointer<int>(t[9])},
          .parts = static_cast<int>(layout_parts(p)),
          .period = static_cast<int>(thread_blocks(p) / std::max<std::int64_t>(layout_parts(p), 1))};
}

}  // namespace fsa::shared_blocks
