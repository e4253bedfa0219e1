#include "tests/layering/layering.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string_view>

namespace fsa::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostHostLines = 500, kMostPublicLines = 1000;
const std::string kRuntimePublic = "runtime/include/", kBasePublic = "codegen/base/include/";

const std::map<std::string, std::set<std::string>, std::less<>>& allowed_layers() {
  static const std::map<std::string, std::set<std::string>, std::less<>> allowed{
      {"codegen", {"codegen"}},
      {"templates", {"templates", "codegen"}},
      {"tuner", {"tuner", "codegen"}},
      {"cache", {"cache", "codegen"}},
      {"runtime", {"runtime", "templates", "tuner", "cache", "codegen"}},
      {"tools", {"tools", "runtime", "templates", "tuner", "cache", "codegen"}},
      {"tests", {"tests", "tools", "runtime", "templates", "tuner", "cache", "codegen"}},
  };
  return allowed;
}

struct Include {
  std::string path;
  bool quoted;
};

std::vector<Include> includes_of(const std::string& text) {
  std::vector<Include> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto hash = line.find_first_not_of(" \t");
    if (hash == std::string::npos || line[hash] != '#') continue;
    const auto word = line.find_first_not_of(" \t", hash + 1);
    if (word == std::string::npos || line.compare(word, 7, "include") != 0) continue;
    const auto open = line.find_first_of("\"<", word);
    const auto close = open == std::string::npos ? open : line.find_first_of("\">", open + 1);
    if (close != std::string::npos) found.push_back({line.substr(open + 1, close - open - 1), line[open] == '"'});
  }
  return found;
}

std::string layer_of(std::string_view path) { return std::string(path.substr(0, path.find('/'))); }
bool is_public(std::string_view path) { return path.starts_with(kRuntimePublic) || path.starts_with(kBasePublic); }

std::size_t count_lines(const std::string& text) { return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')); }

/// The layer that a host file's include belongs to; empty when it is none of the project's.
std::string included_layer(const Include& include) {
  if (include.path.starts_with("fsa/base/")) return "codegen";
  if (include.path.starts_with("fsa/")) return "runtime";
  const std::string layer = layer_of(include.path);
  return allowed_layers().contains(layer) && include.path.find('/') != std::string::npos ? layer : "";
}

bool is_cuda_header(std::string_view path) {
  const auto name = path.substr(path.rfind('/') + 1);
  const bool ours = path.ends_with(".cuh") || path.find('/') != std::string_view::npos;
  return path.starts_with("cub/") || path.starts_with("cooperative_groups") || name == "cuda.h" || name == "nvrtc.h" ||
         (!ours && (name.starts_with("cuda") || name.starts_with("nvrtc") || name.starts_with("nvJitLink")));
}

bool is_llvm_header(std::string_view path) {
  return path.starts_with("llvm/") || path.starts_with("llvm-c/") || path.starts_with("clang/") || path.starts_with("clang-c/");
}

bool may_see_cuda(std::string_view file) { return file.starts_with("codegen/nvrtc_") || file.starts_with("runtime/device/cuda_"); }
bool may_see_llvm(std::string_view file) {
  return file.starts_with("codegen/llvm_") || file.starts_with("codegen/clang_bitcode") || file.starts_with("runtime/device/orc_loader");
}

class Checker {
 public:
  explicit Checker(const SourceTree& files) : files_(files) { find_device_files(); }

  std::vector<std::string> run() {
    std::size_t public_lines = 0;
    for (const auto& [path, text] : files_) {
      if (is_public(path)) public_lines += count_lines(text);
      if (device_.contains(path)) continue;
      if (count_lines(text) > kMostHostLines)
        report(path, "has " + std::to_string(count_lines(text)) + " lines; a host file has at most 500");
      for (const Include& include : includes_of(text)) check_host(path, include);
    }
    for (const std::string& path : device_)
      for (const Include& include : includes_of(files_.at(path))) check_device(path, include);
    if (public_lines >= kMostPublicLines)
      report(kRuntimePublic, "and " + kBasePublic + " have " + std::to_string(public_lines) + " lines; below 1000 is allowed");
    return std::move(broken_);
  }

 private:
  void report(const std::string& path, const std::string& what) { broken_.push_back(path + " " + what); }

  static bool is_device_root(const std::string& path) {
    if (!path.starts_with("templates/")) return false;
    const std::string name = path.substr(path.rfind('/') + 1);
    return name.ends_with(".cuh") || name.ends_with(".cpu.cc") || name == "config.h" || name == "cpu_config.h" || name == "params.h";
  }

  void find_device_files() {
    std::vector<std::string> pending;
    for (const auto& [path, text] : files_)
      if (is_device_root(path)) pending.push_back(path);
    while (!pending.empty()) {
      const std::string path = std::move(pending.back());
      pending.pop_back();
      if (!device_.insert(path).second) continue;
      for (const Include& include : includes_of(files_.at(path)))
        if (files_.contains("templates/" + include.path)) pending.push_back("templates/" + include.path);
    }
  }

  void check_device(const std::string& path, const Include& include) {
    if (include.quoted && !files_.contains("templates/" + include.path))
      report(path, "is compiled for devices and includes \"" + include.path + "\", which is not below templates/");
    // NVRTC has no headers on disk to find; clang's own (<immintrin.h>) and the language's are there for CPU kernels.
    const bool foreign =
        is_cuda_header(include.path) || is_llvm_header(include.path) || (include.path.find('/') != std::string::npos && !include.quoted);
    if (!include.quoted && (foreign || path.ends_with(".cuh"))) report(path, "is compiled for devices and includes <" + include.path + ">");
  }

  void check_host(const std::string& path, const Include& include) {
    if (is_cuda_header(include.path) && !may_see_cuda(path)) report(path, "includes the CUDA header " + include.path);
    if (is_llvm_header(include.path) && !may_see_llvm(path)) report(path, "includes the LLVM header " + include.path);
    const std::string from = layer_of(path), to = included_layer(include);
    const auto rule = allowed_layers().find(from);
    if (!to.empty() && rule != allowed_layers().end() && !rule->second.contains(to))
      report(path, "includes " + include.path + ": " + from + " must not see " + to);
    if (from != "tools" && from != "tests" && include.path == "iostream") report(path, "includes <iostream>: the library never prints");
    if (is_public(path)) check_public(path, include);
  }

  void check_public(const std::string& path, const Include& include) {
    static const std::set<std::string_view> c_headers{"stddef.h", "stdint.h", "dlpack/dlpack.h"};  // of the C interface
    const bool ours = include.path.starts_with("fsa/") || c_headers.contains(include.path);
    const bool standard = !include.quoted && include.path.find_first_of("./") == std::string::npos;
    if (!ours && !standard) report(path, "is public and includes " + include.path);
  }

  const SourceTree& files_;
  std::set<std::string> device_;
  std::vector<std::string> broken_;
};

bool is_source(const fs::path& path) {
  static const std::set<std::string> extensions{".h", ".cc", ".c", ".cuh", ".in"};
  return extensions.contains(path.extension().string());
}

}  // namespace

SourceTree read_sources(const std::string& root) {
  SourceTree files;
  for (const auto& [folder, allowed] : allowed_layers())
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(root) / folder)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      files[fs::relative(entry.path(), root).generic_string()] = std::string(std::istreambuf_iterator<char>(in), {});
    }
  return files;
}

std::vector<std::string> broken_rules(const SourceTree& files) { return Checker(files).run(); }

}  // namespace fsa::test
