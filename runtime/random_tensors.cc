#include "runtime/random_tensors.h"

#include <algorithm>

#include "templates/reference/random_numbers.h"
#include "templates/reference/random_parts.h"

namespace fsa {
namespace {

void fill_lengths(const HostTensor& cu, std::int64_t total, int sequences) {
  std::ranges::copy(reference::prefix_sums(reference::even_parts(total, sequences)), static_cast<std::int32_t*>(cu.data()));
}

}  // namespace

std::vector<HostTensor> random_tensors(std::span<const TensorSpec> specs, const PackedSequences& sequences, std::uint64_t seed,
                                       const std::function<double(const std::string& name)>& deviation) {
  std::vector<HostTensor> tensors(specs.size());
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const TensorSpec& spec = specs[i];
    if (spec.access != Access::kRead) continue;
    tensors[i] = HostTensor(spec.dtype, spec.shape);
    if (spec.name == "cu_q")
      fill_lengths(tensors[i], sequences.total_q, sequences.num_seqs);
    else if (spec.name == "cu_k")
      fill_lengths(tensors[i], sequences.total_k, sequences.num_seqs);
    else
      reference::fill_normal(tensors[i].view(), seed * 31 + i, deviation(spec.name));
  }
  return tensors;
}

}  // namespace fsa
