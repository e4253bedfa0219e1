#pragma once
// Owns what the host descriptors of the CUDA kernels share: tensor specs, strides and sizes. Host only.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "codegen/kernel_facts.h"
#include "templates/cuda/multiplier.h"
#include "templates/dimension_check.h"
#include "templates/selected_problem.h"
#include "templates/strides.h"
#include "templates/tensor_map.h"

namespace fsa::cuda {

inline std::int64_t ceil_div64(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

inline DType element_dtype(Element element) { return dtype_of_element(element); }

inline DType partial_dtype(int partial) {
  switch (static_cast<Partial>(partial)) {
    case Partial::kF16:
      return DType::kF16;
    case Partial::kBF16:
      return DType::kBF16;
    case Partial::kI12:
      return DType::kI32;  // words
    case Partial::kF32:
      break;
  }
  return DType::kF32;
}

/// The field "mma" of configs.
inline const std::vector<EnumName>& mma_names() {
  static const std::vector<EnumName> names{{0, "mma.sync", "cuda::Mma::kWarp"}, {1, "wgmma", "cuda::Mma::kWarpgroup"}};
  return names;
}

/// Whether `blocks` thread blocks with so many bytes of shared memory each, and the 1 KiB that the system keeps, share a multiprocessor.
inline bool fits_shared_memory(std::size_t bytes, int blocks, const Target& target) {
  return bytes <= target.cuda.smem_per_block && (bytes + 1024) * static_cast<std::size_t>(blocks) <= target.cuda.smem_per_sm;
}

/// Registers that a lane may have when `blocks` thread blocks of `threads` share a multiprocessor: warps are dealt to four
/// partitions with a quarter of the registers each.
inline int register_cap(int threads, int blocks, const Target& target) {
  const int warps_per_partition = std::max(1, (threads / 32 * blocks + 3) / 4);
  return std::min(255, target.cuda.registers_per_sm / 4 / (32 * warps_per_partition) / 8 * 8);
}

/// Multiprocessors of the largest Hopper: as many thread blocks, one on each, take tile after tile. Where there are fewer, the last
/// thread blocks come when the others are done, and have a tile each.
constexpr std::int64_t kMultiprocessors = 132;

/// Strides of a [token, head, dim] tensor.
inline RowStrides row_strides(const TensorView& tensor) { return {tensor.stride[0], tensor.stride[1]}; }

/// K [row, head, dim] by boxes of `keys` rows. Where K has no row, a row of Q, which is as wide: steps without keys copy a box, too.
inline TensorMap key_map(const TensorView& k, const TensorView& q, int keys) {
  const TensorView& tensor = k.num_elements() > 0 ? k : q;
  const bool empty = &tensor == &q;
  const auto extent = [&](int dim) { return empty ? 1u : static_cast<unsigned>(tensor.shape[dim]); };
  // A dimension of one has any stride, but the driver takes multiples of 16 alone.
  const auto stride = [&](int dim) { return static_cast<unsigned long long>(extent(dim) > 1 ? tensor.stride[dim] : tensor.shape[2]) * 2; };
  return {.tensor = {.data = tensor.data,
                     .row_stride = stride(0),
                     .head_stride = stride(1),
                     .columns = static_cast<unsigned>(tensor.shape[2]),
                     .rows = extent(0),
                     .heads = extent(1),
                     .box_rows = static_cast<unsigned>(keys)}};
}

template <class T>
T* pointer(const TensorView& tensor) {
  return static_cast<T*>(tensor.data);
}

/// A tunable's values, ascending, with the default's among them: the space that a tuner searches then holds the default.
inline std::vector<std::int64_t> values_with(std::vector<std::int64_t> values, std::int64_t chosen) {
  values.push_back(chosen);
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

/// A launch of one row of thread blocks.
inline Launch launch(std::string symbol, std::int64_t blocks, int threads, std::size_t smem) {
  return {.symbol = std::move(symbol),
          .grid = {static_cast<std::uint32_t>(blocks), 1, 1},
          .threads = static_cast<std::uint32_t>(threads),
          .scratch_bytes = smem};
}

/// The same, to start while the launch ahead of it still runs: its kernel waits for that itself (cuda/launch_order.cuh).
inline Launch early(Launch launch) {
  launch.early = true;
  return launch;
}

inline TensorSpec query_tensor(const SelectedProblem& p) {
  return {"q", Access::kRead, element_dtype(p.element), {p.total_q, std::int64_t{p.heads_kv} * p.group, p.head_dim}};
}
inline TensorSpec key_tensor(const SelectedProblem& p) {
  return {"k", Access::kRead, element_dtype(p.element), {p.total_k, p.heads_kv, p.head_dim}};
}
inline TensorSpec value_tensor(const SelectedProblem& p) {
  return {"v", Access::kRead, element_dtype(p.element), {p.total_k, p.heads_kv, p.head_dim_v}};
}
inline TensorSpec output_tensor(const SelectedProblem& p) {
  return {"o", Access::kWrite, element_dtype(p.output), {p.total_q, std::int64_t{p.heads_kv} * p.group, p.head_dim_v}};
}
inline TensorSpec lse_tensor(const SelectedProblem& p) {
  return {"lse", Access::kWrite, DType::kF32, {std::int64_t{p.heads_kv} * p.group, p.total_q}};
}
inline TensorSpec block_indices_tensor(const SelectedProblem& p) {
  return {"block_indices", Access::kRead, DType::kI32, {p.heads_kv, p.total_q, p.topk}};
}
/// "cu_q" or "cu_k".
inline TensorSpec sequences_tensor(const SelectedProblem& p, std::string name) {
  return {std::move(name), Access::kRead, DType::kI32, {std::int64_t{p.num_seqs} + 1}};
}
inline TensorSpec partial_o_tensor(const SelectedProblem& p, int partial, Access access) {
  const std::int64_t columns = static_cast<Partial>(partial) == Partial::kI12 ? p.head_dim_v / 8 * 3 : p.head_dim_v;
  return {"partial_o", access, partial_dtype(partial), {p.entries() * p.group, columns}};
}
/// Of a row of integers its step, too.
inline TensorSpec partial_lse_tensor(const SelectedProblem& p, int partial, Access access) {
  return {"partial_lse", access, DType::kF32, {p.entries() * p.group, static_cast<Partial>(partial) == Partial::kI12 ? 2 : 1}};
}
/// One number per entry; none where partials are integers.
inline TensorSpec entry_scale_tensor(const SelectedProblem& p, int partial, Access access) {
  return {"entry_scale", access, DType::kF32, {static_cast<Partial>(partial) == Partial::kI12 ? 0 : p.entries()}};
}

}  // namespace fsa::cuda
