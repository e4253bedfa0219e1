#pragma once
// Owns the list of kernel families the library is built with.
#include <span>
#include <string_view>

#include "codegen/family.h"

namespace fsa {

/// Every kernel family, in the order they are listed in families.cc.
std::span<const Family> all_families();

/// The family of that name, or null.
const Family* find_family(std::string_view name);

}  // namespace fsa
