#pragma once
// Owns the float64 oracle of the gated sum of the branches' outputs.
#include <array>
#include <vector>

#include "fsa/base/tensor_view.h"

namespace fsa::reference {

/// sum over i of gates[..., i] * branches[i]: [Tq, Hq, Dv]. Branches [Tq, Hq, Dv] and gates [Tq, Hq, 3], any strides.
std::vector<double> gated_combine(const std::array<TensorView, 3>& branches, const TensorView& gates);

}  // namespace fsa::reference
