#pragma once
// Owns KernelSource: where binaries come from. A pack first, then the artifact store, then a compiler. Needs no device.
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "cache/artifact_store.h"
#include "cache/pack.h"
#include "cache/single_flight.h"
#include "codegen/compiler.h"
#include "codegen/template_store.h"
#include "fsa/options.h"

namespace fsa {

enum class Origin { kPack, kStore, kCompiled };

/// An executable binary and where it came from.
struct KernelBinary {
  std::vector<std::byte> bytes;
  CompileReport report;
  Origin origin = Origin::kCompiled;

  KernelBinary(std::vector<std::byte> code, CompileReport compile_report, Origin from) : bytes(std::move(code)), report(std::move(compile_report)), origin(from) {}
};

/// Where the options put the cache: EngineOptions::cache_dir, else what XDG and HOME say.
Result<std::string> cache_directory_of(const EngineOptions& options);

/// Thread-safe.
class KernelSource {
 public:
  static Result<std::unique_ptr<KernelSource>> create(const EngineOptions& options);

  /// The binary of a specialization that `device` (a target) runs. kUnavailable where it would have to be compiled and
  /// there is no compiler or compiling is not allowed; the remedy names the command that exports or tunes it.
  Result<KernelBinary> get(const Specialization& specialization, std::stop_token stop = {}) const;

  /// The compiler of a backend, loaded on first use.
  Result<const Compiler*> compiler(Backend backend) const;
  /// The pack named by the options, or null.
  const Pack* pack() const { return pack_ ? &*pack_ : nullptr; }
  /// Compiler identity for tuning-cache rows: kernels compiled by another toolchain were tuned for another speed.
  std::string toolchain(Backend backend) const;

 private:
  struct LazyCompiler {
    std::once_flag once;
    std::optional<Result<std::unique_ptr<Compiler>>> made;
  };

  explicit KernelSource(EngineOptions options) : options_(std::move(options)) {}
  Result<void> open();
  Result<std::shared_ptr<const KernelBinary>> find_or_compile(const Specialization& specialization, std::stop_token stop) const;
  Result<std::shared_ptr<const KernelBinary>> compile(const Compiler& compiler, const Specialization& specialization, const Digest& key,
                                                      std::stop_token stop) const;
  /// Why a kernel can come from nowhere: `why` says what keeps it from being compiled.
  Error not_obtainable(const Specialization& specialization, const std::string& why) const;
  void log(LogLevel level, const std::string& text) const;

  EngineOptions options_;
  std::shared_ptr<const TemplateStore> templates_;
  std::optional<Pack> pack_;
  std::unique_ptr<ArtifactStore> store_;
  mutable LazyCompiler cuda_, cpu_;
  mutable SingleFlight<Digest, std::shared_ptr<const KernelBinary>> binaries_;  // a kernel is asked for by several plans
};

}  // namespace fsa
