#pragma once
// Owns the Compiler interface: a Specialization in, a binary and the compiler's own report out.
#include <cstddef>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/specialization.h"
#include "fsa/base/result.h"

namespace fsa {

/// What the compiler said about a binary. -1 where the backend does not report it.
struct CompileReport {
  double seconds = 0;
  int registers = -1;              ///< per thread, the largest of the entry points
  int spill_bytes = 0;             ///< spill stores + loads, summed over the entry points
  int stack_bytes = 0;             ///< local memory frame, the largest of the entry points
  int static_smem_bytes = 0;       ///< the largest of the entry points
  std::vector<std::string> warnings;  ///< verbatim; serialised wgmma and ignored setmaxnreg show here
};

/// Executable code of one specialization: a cubin, or a relocatable ELF object for the CPU loader.
struct Binary {
  std::vector<std::byte> bytes;
  CompileReport report;
};

/// Turns specializations into binaries. Thread-safe: compile() runs in parallel from several threads.
class Compiler {
 public:
  virtual ~Compiler() = default;
  virtual Backend backend() const = 0;
  /// Name, version and the options that change the output: part of every artifact's key.
  virtual std::string_view identity() const = 0;
  /// Digest of all the template text (or bitcode) that `family` is compiled from.
  virtual Result<Digest> template_digest(std::string_view family) const = 0;
  /// Compiles. A rejected source is kCompile with the compiler's log; a stop request yields kCancelled where it can.
  virtual Result<Binary> compile(const Specialization& specialization, std::stop_token stop = {}) const = 0;
};

}  // namespace fsa
