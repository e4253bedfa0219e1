#include <cmath>

#include "runtime/nsa_oracle.h"
#include "runtime/random_tensors.h"
#include "templates/reference/numeric.h"

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

void apply_sigmoid(const TensorView& tensor) {
  for (std::int64_t i = 0; i < tensor.num_elements(); ++i)
    reference::store_element(tensor, i, 1 / (1 + std::exp(-reference::load_element(tensor, i))));
}

}  // namespace

std::vector<HostTensor> random_nsa_inputs(const NsaProblem& p, std::span<const TensorSpec> specs, const reference::InputPattern& pattern) {
  const PackedSequences sequences{.num_seqs = p.num_seqs, .total_q = p.total_q, .total_k = p.total_k};
  auto tensors = random_tensors(specs, sequences, pattern, [&](const std::string& name) { return deviation(p, name); });
  for (std::size_t i = 0; i < specs.size(); ++i)
    if (specs[i].name == "gates") apply_sigmoid(tensors[i].view());
  return tensors;
}

}  // namespace fsa
