#pragma once
// Owns the explanation of why a pack has no kernel for a specialization.
#include "cache/pack.h"
#include "codegen/specialization.h"
#include "fsa/base/error.h"

namespace fsa {

/// kNotFound that names the first of target, family, version, shape and config for which the pack has nothing, what it
/// has instead, and how to export it. Precondition: pack.find(wanted) finds nothing.
Error pack_gap(const Pack& pack, const Specialization& wanted);

}  // namespace fsa
