#include <cmath>

#include "runtime/nsa_oracle.h"
#include "templates/reference/numeric.h"
#include "templates/reference/random_numbers.h"
#include "templates/reference/random_parts.h"

namespace fsa {
namespace {

/// Standard deviation of an input by its name: products of the compressing map keep that of the keys.
double deviation(const NsaProblem& p, const std::string& name) {
  const double length = p.kernel_size;
  if (name == "pe") return 0.1;
  if (name != "w_k" && name != "w_v") return 1;
  const double terms = p.compression == Compression::kLinear ? length * (name == "w_k" ? p.head_dim : p.head_dim_v) : length;
  return 1 / std::sqrt(terms);
}

void fill_lengths(const HostTensor& cu, std::int64_t total, int sequences) {
  const auto sums = reference::prefix_sums(reference::even_parts(total, sequences));
  for (std::size_t i = 0; i < sums.size(); ++i) static_cast<std::int32_t*>(cu.data())[i] = sums[i];
}

void apply_sigmoid(const TensorView& tensor) {
  for (std::int64_t i = 0; i < tensor.num_elements(); ++i)
    reference::store_element(tensor, i, 1 / (1 + std::exp(-reference::load_element(tensor, i))));
}

}  // namespace

std::vector<HostTensor> random_nsa_inputs(const NsaProblem& p, std::span<const TensorSpec> specs, std::uint64_t seed) {
  std::vector<HostTensor> tensors(specs.size());
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const TensorSpec& spec = specs[i];
    if (spec.access != Access::kRead) continue;
    tensors[i] = HostTensor(spec.dtype, spec.shape);
    if (spec.name == "cu_q")
      fill_lengths(tensors[i], p.total_q, p.num_seqs);
    else if (spec.name == "cu_k")
      fill_lengths(tensors[i], p.total_k, p.num_seqs);
    else
      reference::fill_normal(tensors[i].view(), seed * 31 + i, deviation(p, spec.name));
    if (spec.name == "gates") apply_sigmoid(tensors[i].view());
  }
  return tensors;
}

}  // namespace fsa
