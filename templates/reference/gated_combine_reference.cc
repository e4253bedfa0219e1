#include "templates/reference/gated_combine_reference.h"

#include "templates/reference/numeric.h"

namespace fsa::reference {

std::vector<double> gated_combine(const std::array<TensorView, 3>& branches, const TensorView& gates) {
  const std::int64_t tokens = branches[0].shape[0], heads = branches[0].shape[1], columns = branches[0].shape[2];
  std::vector<double> out(static_cast<std::size_t>(tokens * heads * columns));
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t h = 0; h < heads; ++h)
      for (std::int64_t i = 0; i < 3; ++i) {
        const double gate = load_element(gates, t * gates.stride[0] + h * gates.stride[1] + i);
        const TensorView& o = branches[i];
        for (std::int64_t d = 0; d < columns; ++d)
          out[(t * heads + h) * columns + d] += gate * load_element(o, t * o.stride[0] + h * o.stride[1] + d);
      }
  return out;
}

}  // namespace fsa::reference
