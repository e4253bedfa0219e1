#include "templates/selected_query_major/cuda_kernel.h"

#include <fmt/format.h>

#include <algorithm>

#include "templates/cuda/host_kernel.h"

namespace fsa::selected_query_major {
namespace {

/// Registers a lane needs: outputs, scores of its slice with what they turn into, and addresses. What ptxas spills below is
/// excluded by this, with the constants found by compiling for every target.
int registers(const SelectedShape& s, const Config& c) { return Config::v_columns(s) / 2 + c.keys / c.warps_k + 80; }

/// For compute capability 10 and later ptxas loads further ahead, and spills unless it has registers for that too.
int registers_ahead(const Config& c, const Target& target) { return target.cuda.major >= 10 ? c.keys / c.warps_k + 15 : 0; }

/// Divisors of the block size that are multiples of 16.
std::vector<std::int64_t> step_keys(int block_size) {
  std::vector<std::int64_t> keys;
  for (int k = 16; k <= block_size; k += 16)
    if (block_size % k == 0) keys.push_back(k);
  return keys;
}

/// Longest list of (query, slot) pairs that the union is made of: it costs the square of that.
constexpr int kMaxCandidates = 1024;

}  // namespace

const FieldTable<Config>& Cuda::config_fields() {
  static const FieldTable<Config> fields{{"tokens", &Config::tokens}, {"warps_m", &Config::warps_m}, {"warps_k", &Config::warps_k},
                                         {"keys", &Config::keys},     {"stages", &Config::stages},   {"blocks", &Config::blocks}};
  return fields;
}

Config Cuda::default_config(const Problem& p, const Target& target) {
  // One query per tile is right for any selection. The largest step, most slices and most buffers that fit come first.
  const std::vector<std::int64_t> keys = step_keys(p.block_size);
  Config c{.warps_m = std::clamp((p.group + 15) / 16, 1, 4)};
  for (int blocks : {3, 2, 1})
    for (auto k = keys.rbegin(); k != keys.rend(); ++k)
      for (int slices : {4, 3, 2, 5, 1})
        for (int stages : {2, 1}) {
          c.blocks = blocks, c.keys = static_cast<int>(*k), c.warps_k = slices, c.stages = stages;
          const bool wide = c.keys >= 32 || p.block_size < 32 || c.blocks == 1;
          if (wide && c.keys <= 64 + 16 * (c.blocks < 3) && c.warps_m * c.warps_k <= 8 && stages + c.blocks >= 3 &&
              invalid_reason(p, c, target).empty())
            return c;
        }
  c.warps_m = 1, c.keys = 16, c.warps_k = 1, c.stages = 1, c.blocks = 1;
  return c;
}

std::vector<Tunable<Config>> Cuda::tunables(const Problem& p, const Target& target) {
  const auto& f = config_fields();
  const Config c = default_config(p, target);
  return {{f[0], {1, 2, 4, 8, 16}},        {f[1], cuda::values_with({1, 2, 4}, c.warps_m)}, {f[2], cuda::values_with({1, 2, 4}, c.warps_k)},
          {f[3], step_keys(p.block_size)}, {f[4], cuda::values_with({2, 3}, c.stages)},     {f[5], {1, 2, 3}}};
}

std::string Cuda::invalid_reason(const Problem& p, const Config& c, const Target& target) {
  const SelectedShape s = selected_shape(p);
  if (c.tokens < 1 || c.tokens > 32) return fmt::format("tokens is {}, not 1 to 32", c.tokens);
  if (c.tokens * p.topk > kMaxCandidates)
    return fmt::format("{} queries of {} blocks exceed a union of {}", c.tokens, p.topk, kMaxCandidates);
  if (c.warps_m < 1 || c.warps_k < 1 || c.warps_m * c.warps_k > 16) return fmt::format("{} x {} warps, not 1 to 16", c.warps_m, c.warps_k);
  if (c.tokens > 1 && c.tokens * p.group > c.rows())
    return fmt::format("{} queries x {} heads exceed {} rows", c.tokens, p.group, c.rows());
  if (c.rows() >= c.tokens * p.group + 16) return fmt::format("{} of {} rows are in use", c.tokens * p.group, c.rows());
  if (c.keys < 16 || p.block_size % c.keys != 0 || c.keys % (16 * c.warps_k) != 0)
    return fmt::format("{} keys do not divide blocks of {} or are no multiple of 16 for each of {} warps", c.keys, p.block_size, c.warps_k);
  if (c.stages < 1 || c.stages > 4) return fmt::format("stages is {}, not 1 to 4", c.stages);
  if (c.threads() < c.tokens) return "a thread looks up one query";
  if (c.blocks < 1 || c.threads() * c.blocks > target.cuda.max_threads_per_sm)
    return fmt::format("{} blocks of {} threads exceed a multiprocessor", c.blocks, c.threads());
  const int needed = registers(s, c) + registers_ahead(c, target), cap = cuda::register_cap(c.threads(), c.blocks, target);
  if (needed > cap) return fmt::format("it needs about {} registers of {}", needed, cap);
  if (!cuda::fits_shared_memory(static_cast<std::size_t>(c.smem_bytes(s)), c.blocks, target))
    return fmt::format("{} blocks of {} bytes of shared memory exceed a multiprocessor", c.blocks, c.smem_bytes(s));
  return {};
}

Resources Cuda::resources(const Problem& p, const Config& c) {
  const SelectedShape s = selected_shape(p);
  return {.threads = c.threads(), .scratch_bytes = static_cast<std::size_t>(c.smem_bytes(s)), .registers = registers(s, c)};
}

std::vector<TensorSpec> Cuda::tensors(const Problem& p, const Config&) {
  return {cuda::query_tensor(p),
          cuda::key_tensor(p),
          cuda::value_tensor(p),
          cuda::block_indices_tensor(p),
          cuda::sequences_tensor(p, "cu_q"),
          cuda::sequences_tensor(p, "cu_k"),
          cuda::output_tensor(p),
          cuda::lse_tensor(p)};
}

std::vector<Launch> Cuda::launches(const Problem& p, const Config& c) {
  const SelectedShape s = selected_shape(p);
  const std::int64_t blocks = cuda::ceil_div64(p.total_q, c.tokens) * c.row_splits(s) * p.heads_kv;
  return {cuda::launch("kernel_entry", blocks, c.threads(), static_cast<std::size_t>(c.smem_bytes(s)))};
}

Params Cuda::pack(const Problem& p, const Config&, std::span<const TensorView> t) {
  return {.q = t[0].data,
          .k = t[1].data,
          .v = t[2].data,
          .block_indices = cuda::pointer<const int>(t[3]),
          .cu_q = cuda::pointer<const int>(t[4]),
          .cu_k = cuda::pointer<const int>(t[5]),
          .o = t[6].data,
          .lse = cuda::pointer<float>(t[7]),
          .q_stride = cuda::row_strides(t[0]),
          .k_stride = cuda::row_strides(t[1]),
          .v_stride = cuda::row_strides(t[2]),
          .o_stride = cuda::row_strides(t[6]),
          .total_q = static_cast<int>(p.total_q),
          .total_k = static_cast<int>(p.total_k),
          .num_seqs = p.num_seqs,
          .heads_kv = p.heads_kv,
          .scale = p.scale};
}

}  // namespace fsa::selected_query_major
