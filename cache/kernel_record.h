#pragma once
// Owns KernelRecord: what is kept beside a compiled binary, in the artifact store and in packs.
#include <string>
#include <string_view>
#include <vector>

#include "codegen/base/digest.h"
#include "codegen/base/json.h"
#include "codegen/compiler.h"
#include "codegen/specialization.h"
#include "fsa/base/result.h"

namespace fsa {

struct KernelRecord {
  std::string family;
  int version = 0;                   ///< of the family
  std::string target;                ///< Target::to_string(); may name one that this library does not know
  Json shape, config;                ///< as in the Specialization
  std::vector<std::string> symbols;  ///< entry points, in launch order
  std::string compiler;              ///< Compiler::identity()
  CompileReport report;
  std::string created_by;  ///< library name and version

  static KernelRecord of(const Specialization& specialization, std::string_view compiler, const CompileReport& report,
                         std::string created_by);
  Json to_json() const;
  /// kCorrupt names the member that is missing or of the wrong type; `what` opens the message.
  static Result<KernelRecord> parse(const Json& json, std::string_view what);
  /// Specialization::kernel_digest() of what the record describes.
  Digest kernel_digest() const;
};

}  // namespace fsa
