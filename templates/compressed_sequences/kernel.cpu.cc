// Owns the CPU kernel of compressed_sequences: prefix sums of the sequences' numbers of windows.
#include "compressed_length.h"
#include "compressed_sequences/params.h"

namespace fsa::compressed_sequences {

struct Constants {
  Shape shape;  // and no config
};
extern "C" {
extern const Constants fsa_constants;
}

/// One item.
extern "C" void kernel_entry(const Params* params, long, void*) {
  const Params& p = *params;
  const Shape shape = fsa_constants.shape;
  long long sum = 0;
  p.cu_c[0] = 0;
  for (int b = 0; b < p.num_seqs; ++b) {
    sum += compressed_length(static_cast<long long>(p.cu_k[b + 1]) - p.cu_k[b], shape.kernel_size, shape.stride);
    p.cu_c[b + 1] = static_cast<int>(sum < kLargest ? sum : kLargest);
  }
}

}  // namespace fsa::compressed_sequences
