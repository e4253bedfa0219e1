#pragma once
// Owns the loading of CPU binaries: a relocatable object in, callable entry points out.
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fsa/base/result.h"

namespace fsa {

/// Code in executable memory; unmapped when destroyed.
class LoadedObject {
 public:
  virtual ~LoadedObject() = default;
  /// Address of each requested symbol, in the order asked for.
  const std::vector<void*>& entries() const { return entries_; }

 protected:
  std::vector<void*> entries_;
};

/// Loads objects. Thread-safe.
class ObjectLoader {
 public:
  virtual ~ObjectLoader() = default;
  /// Maps `object`, resolves its calls and finds `symbols`. Integrity is the caller's: the bytes must come from a compiler
  /// or pass a checksum. Still, kCorrupt for anything that is not a whole ELF64 x86-64 relocatable object, kNotFound for
  /// a symbol it does not define, kUnsupported for an external function that is not provided.
  virtual Result<std::unique_ptr<LoadedObject>> load(std::span<const std::byte> object, std::span<const std::string> symbols) const = 0;
};

/// The loader of this build: LLVM's where LLVM is linked in, else the library's own. Both load the same objects.
Result<std::unique_ptr<ObjectLoader>> make_object_loader();

/// The library's own loader, in every build.
std::unique_ptr<ObjectLoader> make_elf_loader();
/// LLVM's linker (ORC); only in builds with LLVM.
Result<std::unique_ptr<ObjectLoader>> make_orc_loader();

/// A function that kernels may call although they do not define it: what a code generator emits by itself.
struct ExternalFunction {
  std::string_view name;
  void* address;
};
std::span<const ExternalFunction> external_functions();

}  // namespace fsa
