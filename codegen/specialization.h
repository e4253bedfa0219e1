#pragma once
// Owns Specialization: a kernel family made concrete for one shape, config and target: named source, ready to compile.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/base/digest.h"
#include "codegen/base/json.h"
#include "codegen/target.h"

namespace fsa {

struct Specialization {
  std::string family;                    ///< e.g. "selected_block_major"
  int version = 0;                       ///< of the family
  Target target;
  Json shape;                            ///< the problem's compile-time part, e.g. {"head_dim":128,...}
  Json config;                           ///< every field of the family's Config for this backend
  std::string source;                    ///< CUDA C++ translation unit; empty for CPUs
  std::vector<std::uint32_t> constants;  ///< CPU: the words of `Constants` (shape, then config); empty for CUDA
  std::vector<std::string> symbols;      ///< entry points, in launch order

  /// "selected_block_major-sm_90a-bf16-d128...": readable, for logs and listings; not an identity.
  std::string name() const;
  /// Identity of what is computed, without the compiler: family, version, target, shape, config. Packs are keyed by it.
  Digest kernel_digest() const;
  /// Identity of a compiled artifact: the above, the digest of the template tree it includes, compiler and options.
  Digest artifact_digest(const Digest& templates, std::string_view compiler_identity) const;
};

}  // namespace fsa
