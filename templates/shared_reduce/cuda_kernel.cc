#include "templates/shared_reduce/cuda_kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <limits>

#include "templates/block_index/index_sizes.h"
#include "templates/cuda/host_kernel.h"
#include "templates/shared_blocks/cuda_kernel.h"

namespace fsa::shared_reduce {
namespace {

/// Registers that a warpgroup's lanes need beyond those they have, if they do.
std::string short_of_registers(const Shape& s) {
  const Config c{.units = tile(s).units};
  const int needed = c.attending_registers(s), held = c.range(s).consumer_registers();
  return needed > held ? fmt::format("a warpgroup needs about {} registers of {}", needed, held) : std::string();
}

/// The config that takes least memory, with the partials that take least.
Config smallest(const Shape& s) {
  return {.units = tile(s).units, .stages = 2, .ring = 2, .partial = packs12(s.head_dim_v) ? Partial::kI12 : Partial::kF16};
}

std::string short_of_memory(const Shape& s, const Config& c, const Target& target) {
  if (cuda::fits_shared_memory(static_cast<std::size_t>(c.smem_bytes(s)), 1, target)) return {};
  return fmt::format("{} bytes of shared memory exceed a multiprocessor", c.smem_bytes(s));
}

}  // namespace

const FieldTable<Shape>& shape_fields() {
  static const FieldTable<Shape> fields{{"element", &Shape::element, element_names()},
                                        {"output", &Shape::output, element_names()},
                                        {"head_dim", &Shape::head_dim},
                                        {"head_dim_v", &Shape::head_dim_v},
                                        {"group", &Shape::group},
                                        {"block_size", &Shape::block_size},
                                        {"topk", &Shape::topk},
                                        {"gated", &Shape::gated},
                                        {"scaled", &Shape::scaled},
                                        {"gates", &Shape::gates, element_names()}};
  return fields;
}

Shape shape(const Problem& p) {
  return {.element = p.element,
          .output = p.output,
          .head_dim = p.head_dim,
          .head_dim_v = p.head_dim_v,
          .group = p.group,
          .block_size = p.block_size,
          .topk = p.topk,
          .gated = p.gated,
          .scaled = p.scaled,
          .gates = p.gated ? p.gates : Element::kF32};
}

Result<void> check(const Problem& p, const Target& target) {
  FSA_RETURN_IF_ERROR(partial_reduce::check(p, target));
  FSA_RETURN_IF_ERROR(shared_blocks::check(p, target));
  if (p.total_q > (std::numeric_limits<std::int32_t>::max() - 4096) / p.group)
    return unsupported(fmt::format("total_q {} x group {}", p.total_q, p.group), "fewer than 2^31 query rows of a kv head");
  const Shape s = shape(p);
  std::string reason = short_of_registers(s);
  if (reason.empty()) reason = short_of_memory(s, smallest(s), target);
  if (reason.empty()) return {};
  return unsupported(fmt::format("block_size {} with head dims {} and {}: {}", p.block_size, p.head_dim, p.head_dim_v, reason),
                     "smaller blocks or heads, or fewer blocks per query");
}

const FieldTable<Config>& Cuda::config_fields() {
  static const FieldTable<Config> fields{{"units", &Config::units},       {"stages", &Config::stages},
                                         {"ring", &Config::ring},         {"partial", &Config::partial, partial_names()},
                                         {"pingpong", &Config::pingpong}, {"early", &Config::early}};
  return fields;
}

Config Cuda::default_config(const Problem& p, const Target& target) {
  const Shape s = shape(p);
  // What the first of many tiles saves is lost again by the longer code.
  const bool few_tiles = p.heads_kv * shared_blocks::tiles(p) <= 48 * cuda::kMultiprocessors;
  Config c{.units = tile(s).units, .partial = static_cast<Partial>(p.partial), .pingpong = tile(s).units == 2, .early = few_tiles};
  while (c.ring > 2 && !short_of_memory(s, c, target).empty()) --c.ring;
  for (Config more = c; c.stages < 4; c = more) {
    ++more.stages;
    if (!short_of_memory(s, more, target).empty()) break;
  }
  return c;
}

std::vector<Tunable<Config>> Cuda::tunables(const Problem& p, const Target& target) {
  const Config c = default_config(p, target);
  const auto& f = config_fields();
  return {{f[0], {c.units}}, {f[1], {2, 3, 4}}, {f[2], cuda::values_with({2, 3, 4}, c.ring)}, {f[4], {0, 1}}, {f[5], {0, 1}}};
}

std::string Cuda::invalid_reason(const Problem& p, const Config& c, const Target& target) {
  if (target.arch != "sm_90a") return fmt::format("{} has no wgmma: sm_90a has", target.arch);
  if (c.units != tile(shape(p)).units) return fmt::format("units is {}, not the {} of a tile", c.units, tile(shape(p)).units);
  if (c.stages < 2 || c.stages > 8) return fmt::format("stages is {}, not 2 to 8", c.stages);
  if (c.pingpong < 0 || c.pingpong > (c.units == 2 ? 1 : 0)) return fmt::format("pingpong is {}, not 0, or 1 for two units", c.pingpong);
  if (c.early < 0 || c.early > 1) return fmt::format("early is {}, not 0 or 1", c.early);
  if (c.ring < 2 || c.ring > 16) return fmt::format("ring is {}, not 2 to 16", c.ring);
  if (c.partial != static_cast<Partial>(p.partial)) return "partial is not the element type of the partial outputs";
  if (c.partial == Partial::kI12 && !packs12(p.head_dim_v))
    return fmt::format("i12 partials need head_dim_v 64 or 128, not {}", p.head_dim_v);
  if (std::string reason = short_of_registers(shape(p)); !reason.empty()) return reason;
  return short_of_memory(shape(p), c, target);
}

Resources Cuda::resources(const Problem& p, const Config& c) {
  return {
      .threads = c.threads(), .scratch_bytes = static_cast<std::size_t>(c.smem_bytes(shape(p))), .registers = 65536 / c.threads() / 8 * 8};
}

std::vector<TensorSpec> Cuda::tensors(const Problem& p, const Config& c) {
  const int partial = static_cast<int>(c.partial);
  std::vector<TensorSpec> list{cuda::query_tensor(p),
                               cuda::key_tensor(p),
                               cuda::sequences_tensor(p, "cu_q"),
                               cuda::sequences_tensor(p, "cu_k"),
                               shared_blocks::steps_tensor(p, Access::kRead),
                               shared_blocks::count_tensor(p, Access::kRead),
                               shared_blocks::next_tile_tensor(Access::kReadWrite),
                               cuda::partial_o_tensor(p, partial, Access::kRead),
                               cuda::partial_lse_tensor(p, partial, Access::kRead),
                               cuda::entry_scale_tensor(p, partial, Access::kRead),
                               block_index::entry_position_tensor(p, Access::kRead)};
  for (TensorSpec& spec : shared_blocks::layout_tensors(p, Access::kRead)) list.push_back(std::move(spec));
  for (TensorSpec& spec : partial_reduce::output_tensors(p)) list.push_back(std::move(spec));
  return list;
}

std::vector<Launch> Cuda::launches(const Problem& p, const Config& c) {
  const Resources r = resources(p, c);
  Launch run =
      cuda::launch("kernel_entry", std::min(p.heads_kv * shared_blocks::tiles(p), cuda::kMultiprocessors), c.threads(), r.scratch_bytes);
  run.early = c.early != 0;
  run.tensor_map = offsetof(Params, range) + offsetof(RangeParams, k_map);
  return {std::move(run)};
}

Params Cuda::pack(const Problem& p, const Config& c, std::span<const TensorView> t) {
  const auto cells = static_cast<int>(p.cells());
  Params params{.range = {.q = t[0].data,
                          .k = nullptr,
                          .v = nullptr,
                          .cu_q = cuda::pointer<const int>(t[2]),
                          .cu_k = cuda::pointer<const int>(t[3]),
                          .cu_rows = nullptr,
                          .q_stride = cuda::row_strides(t[0]),
                          .total_q = static_cast<int>(p.total_q),
                          .total_k = static_cast<int>(p.total_k),
                          .total_rows = cells * p.block_size,
                          .num_seqs = p.num_seqs,
                          .heads_kv = p.heads_kv,
                          .scale = p.scale,
                          .v_tiles = cuda::pointer<unsigned char>(t[11]),
                          .v_fields = cuda::pointer<int>(t[12]),
                          .next_tile = cuda::pointer<int>(t[6]),
                          .k_map = cuda::key_map(t[1], t[0], c.range(shape(p)).keys)},
                .merged = {.partial_o = t[7].data,
                           .partial_lse = cuda::pointer<const float>(t[8]),
                           .entry_scale = cuda::pointer<const float>(t[9]),
                           .entry_position = cuda::pointer<const int>(t[10])},
                .shared_steps = cuda::pointer<const int>(t[4]),
                .shared_count = cuda::pointer<const int>(t[5])};
  partial_reduce::pack_outputs(p, t.subspan(13), params.merged);
  return params;
}

}  // namespace fsa::shared_reduce
