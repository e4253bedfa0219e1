#include "templates/embedded.h"

#include <map>
#include <span>
#include <string>

#include "templates/embedded_data.h"

namespace fsa {

std::shared_ptr<const TemplateStore> embedded_templates() {
  std::map<std::string, std::string, std::less<>> texts;
  for (const auto* file = detail::kEmbeddedTexts; file->name; ++file) texts.emplace(file->name, std::string(file->begin, file->end));
  std::map<std::string, std::span<const std::byte>, std::less<>> bitcode;
  for (const auto* file = detail::kEmbeddedBitcode; file->name; ++file)
    bitcode.emplace(file->name, std::as_bytes(std::span(file->begin, file->end)));
  return std::make_shared<const TemplateStore>(std::move(texts), std::move(bitcode));
}

}  // namespace fsa
