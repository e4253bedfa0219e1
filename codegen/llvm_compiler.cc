#include "codegen/llvm_compiler.h"

#include <fmt/format.h>

#include <utility>

#include "codegen/clang_bitcode.h"
#include "codegen/llvm_module.h"

namespace fsa {
namespace {

class LlvmCompiler final : public Compiler {
 public:
  explicit LlvmCompiler(std::shared_ptr<const TemplateStore> templates) : templates_(std::move(templates)), clang_(templates_) {}

  Backend backend() const override { return Backend::kCpu; }
  std::string_view identity() const override { return llvm_identity(); }

  Result<Digest> template_digest(std::string_view family) const override {
    // Of the texts, not of clang's output: a warm start from an edited folder needs no clang.
    if (edited()) return templates_->closure_digest(ClangBitcode::kernel_file(family));
    FSA_ASSIGN_OR_RETURN(const auto bytes, embedded(family));
    return DigestBuilder().field(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())).finish();
  }

  Result<Binary> compile(const Specialization& s, std::stop_token stop) const override {
    if (s.target.backend != Backend::kCpu)
      return make_error(ErrorKind::kInvalidArgument,
                        {.given = "the CPU compiler was asked for target " + s.target.to_string(), .supported = "x86-64-v3, x86-64-v4"});
    if (!edited()) {
      FSA_ASSIGN_OR_RETURN(const auto bytes, embedded(s.family));
      return compile_bitcode(bytes, s, std::move(stop));
    }
    FSA_ASSIGN_OR_RETURN(const auto bytes, clang_.get(s.family));
    return compile_bitcode(*bytes, s, std::move(stop));
  }

 private:
  bool edited() const { return !templates_->directory().empty(); }

  Result<std::span<const std::byte>> embedded(std::string_view family) const {
    const auto bytes = templates_->bitcode(family);
    if (bytes.empty())
      return make_error(ErrorKind::kNotFound, {.given = fmt::format("the family '{}' has no CPU kernel in this build", family)});
    return bytes;
  }

  std::shared_ptr<const TemplateStore> templates_;
  ClangBitcode clang_;
};

}  // namespace

Result<std::unique_ptr<Compiler>> make_llvm_compiler(std::shared_ptr<const TemplateStore> templates) {
  return std::unique_ptr<Compiler>(std::make_unique<LlvmCompiler>(std::move(templates)));
}

}  // namespace fsa
