#pragma once
// Owns bitcode made at run time: an edit-and-run template folder (FSA_TEMPLATE_DIR) compiled by clang on demand.
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/template_store.h"

namespace fsa {

/// Bitcode of the families in a template folder. Each is compiled once per content; thread-safe.
class ClangBitcode {
 public:
  using Bytes = std::shared_ptr<const std::vector<std::byte>>;

  explicit ClangBitcode(std::shared_ptr<const TemplateStore> templates) : templates_(std::move(templates)) {}

  /// kUnavailable where there is no clang++-19 on PATH, kCompile with clang's output where it rejects the source.
  Result<Bytes> get(std::string_view family) const;

  /// "<family>/kernel.cpu.cc", relative to the template folder.
  static std::string kernel_file(std::string_view family);

 private:
  Result<Bytes> compile(std::string_view family, const Digest& digest) const;

  std::shared_ptr<const TemplateStore> templates_;
  mutable std::mutex mutex_;
  mutable std::map<Digest, Bytes> compiled_;
};

}  // namespace fsa
