#include "codegen/template_store.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

namespace fsa {
namespace {

namespace fs = std::filesystem;

bool is_template_file(const fs::path& path) {
  const auto extension = path.extension();
  return extension == ".h" || extension == ".cuh" || extension == ".cc";
}

/// The quoted include paths of a file, in order.
std::vector<std::string> quoted_includes(std::string_view text) {
  std::vector<std::string> paths;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    constexpr std::string_view kInclude = "#include \"";
    if (!line.starts_with(kInclude)) continue;
    const auto end = line.find('"', kInclude.size());
    if (end != std::string::npos) paths.push_back(line.substr(kInclude.size(), end - kInclude.size()));
  }
  return paths;
}

}  // namespace

Result<TemplateStore> TemplateStore::from_directory(const std::string& directory) {
  std::error_code ec;
  if (!fs::is_directory(directory, ec))
    return make_error(ErrorKind::kNotFound, {.given = fmt::format("FSA_TEMPLATE_DIR is '{}', which is not a directory", directory),
                                             .supported = "the templates/ folder of a source checkout",
                                             .remedy = "correct or unset FSA_TEMPLATE_DIR"});
  TemplateStore store({}, {});
  store.directory_ = directory;
  for (const auto& entry : fs::recursive_directory_iterator(directory, ec)) {
    if (!entry.is_regular_file() || !is_template_file(entry.path())) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    store.texts_[fs::relative(entry.path(), directory).generic_string()] = std::string(std::istreambuf_iterator<char>(in), {});
  }
  if (ec) return make_error(ErrorKind::kIo, {.given = fmt::format("reading '{}' failed: {}", directory, ec.message())});
  return store;
}

std::span<const std::byte> TemplateStore::bitcode(std::string_view family) const {
  const auto it = bitcode_.find(family);
  return it == bitcode_.end() ? std::span<const std::byte>{} : it->second;
}

Result<std::map<std::string, std::string_view>> TemplateStore::closure(std::string_view file) const {
  std::map<std::string, std::string_view> found;
  std::vector<std::string> pending{std::string(file)};
  while (!pending.empty()) {
    std::string path = std::move(pending.back());
    pending.pop_back();
    if (found.contains(path)) continue;
    const auto it = texts_.find(path);
    if (it == texts_.end())
      return make_error(ErrorKind::kNotFound, {.given = fmt::format("template '{}' (included from '{}') does not exist", path, file)});
    found.emplace(path, it->second);
    for (auto& include : quoted_includes(it->second)) pending.push_back(std::move(include));
  }
  return found;
}

Result<Digest> TemplateStore::closure_digest(std::string_view file) const {
  FSA_ASSIGN_OR_RETURN(const auto files, closure(file));
  DigestBuilder builder;
  for (const auto& [path, text] : files) builder.field(path).field(text);
  return builder.finish();
}

}  // namespace fsa
