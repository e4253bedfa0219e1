#include "runtime/random_tensors.h"

#include <algorithm>

#include "templates/reference/random_numbers.h"

namespace fsa {
namespace {

void fill_lengths(const HostTensor& cu, std::int64_t total, int sequences, const reference::InputPattern& pattern) {
  std::ranges::copy(reference::prefix_sums(reference::lengths(total, sequences, pattern)), static_cast<std::int32_t*>(cu.data()));
}

}  // namespace

std::vector<HostTensor> random_tensors(std::span<const TensorSpec> specs, const PackedSequences& sequences,
                                       const reference::InputPattern& pattern, const std::function<double(const std::string& name)>& deviation) {
  std::vector<HostTensor> tensors(specs.size());
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const TensorSpec& spec = specs[i];
    if (spec.access != Access::kRead) continue;
    tensors[i] = HostTensor(spec.dtype, spec.shape);
    if (spec.name == "cu_q")
      fill_lengths(tensors[i], sequences.total_q, sequences.num_seqs, pattern);
    else if (spec.name == "cu_k")
      fill_lengths(tensors[i], sequences.total_k, sequences.num_seqs, pattern);
    else
      reference::fill_normal(tensors[i].view(), pattern.seed * 31 + i, deviation(spec.name));
  }
  return tensors;
}

}  // namespace fsa
