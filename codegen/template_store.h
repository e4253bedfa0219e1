#pragma once
// Owns the template texts and bitcode modules that compilers work from: embedded in the binary, or read from a folder.
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "codegen/base/digest.h"
#include "fsa/base/result.h"

namespace fsa {

class TemplateStore {
 public:
  /// `texts`: path relative to templates/ -> text. `bitcode`: family -> LLVM bitcode of its kernel.cpu.cc.
  TemplateStore(std::map<std::string, std::string, std::less<>> texts, std::map<std::string, std::span<const std::byte>, std::less<>> bitcode)
      : texts_(std::move(texts)), bitcode_(std::move(bitcode)) {}

  /// Reads every .h, .cuh and .cc under `directory` (FSA_TEMPLATE_DIR); bitcode is then compiled on demand by clang.
  static Result<TemplateStore> from_directory(const std::string& directory);

  const std::map<std::string, std::string, std::less<>>& texts() const { return texts_; }
  /// Bitcode of the family's CPU kernel, or an empty span when the store holds none.
  std::span<const std::byte> bitcode(std::string_view family) const;
  /// The folder of an edit-and-run store, empty for the embedded one.
  const std::string& directory() const { return directory_; }

  /// The file and all it includes, transitively, by quoted includes relative to templates/.
  Result<std::map<std::string, std::string_view>> closure(std::string_view file) const;
  /// Digest over paths and texts of `closure(file)`.
  Result<Digest> closure_digest(std::string_view file) const;

 private:
  std::map<std::string, std::string, std::less<>> texts_;
  std::map<std::string, std::span<const std::byte>, std::less<>> bitcode_;
  std::string directory_;
};

}  // namespace fsa
