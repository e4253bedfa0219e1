#include "codegen/specialization.h"

#include <fmt/format.h>

namespace fsa {
namespace {

std::string scalar_text(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

DigestBuilder& add_kernel(DigestBuilder& builder, const Specialization& s) {
  return builder.field(s.family).field(s.version).field(s.target.to_string()).field(s.shape.dump()).field(s.config.dump());
}

}  // namespace

std::string Specialization::name() const {
  std::string text = family + "-" + target.to_string();
  for (const Json* part : {&shape, &config})
    for (const auto& [key, value] : part->items()) text += fmt::format("-{}={}", key, scalar_text(value));
  return text;
}

Digest Specialization::kernel_digest() const {
  DigestBuilder builder;
  return add_kernel(builder, *this).finish();
}

Digest Specialization::artifact_digest(const Digest& templates, std::string_view compiler_identity) const {
  DigestBuilder builder;
  return add_kernel(builder, *this).field(templates.hex()).field(compiler_identity).finish();
}

}  // namespace fsa
