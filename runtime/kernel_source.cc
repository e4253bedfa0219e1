#include "runtime/kernel_source.h"

#include <fmt/format.h>

#include "cache/directory.h"
#include "cache/kernel_record.h"
#include "codegen/llvm_compiler.h"
#include "codegen/nvrtc_compiler.h"
#include "fsa/engine.h"
#include "templates/embedded.h"

namespace fsa {
namespace {

Result<std::shared_ptr<const TemplateStore>> open_templates(const std::string& directory) {
  if (directory.empty()) return embedded_templates();
  FSA_ASSIGN_OR_RETURN(TemplateStore store, TemplateStore::from_directory(directory));
  return std::make_shared<const TemplateStore>(std::move(store));
}

std::string created_by() { return fmt::format("fsa {}", library_version()); }

}  // namespace

Result<std::string> cache_directory_of(const EngineOptions& options) {
  CacheEnvironment environment = read_cache_environment();
  environment.fsa_cache_dir = options.cache_dir;
  return cache_directory(environment);
}

Result<std::unique_ptr<KernelSource>> KernelSource::create(const EngineOptions& options) {
  std::unique_ptr<KernelSource> source(new KernelSource(options));
  FSA_RETURN_IF_ERROR(source->open());
  return source;
}

Result<void> KernelSource::open() {
  FSA_ASSIGN_OR_RETURN(templates_, open_templates(options_.template_dir));
  if (!options_.pack.empty()) {
    FSA_ASSIGN_OR_RETURN(pack_, Pack::open(options_.pack));
  }
  if (!options_.use_cache) return {};
  FSA_ASSIGN_OR_RETURN(std::string directory, cache_directory_of(options_));
  const auto warn = [this](std::string_view sentence) { log(LogLevel::kWarning, std::string(sentence)); };
  store_ = std::make_unique<ArtifactStore>(ArtifactStoreOptions{.directory = std::move(directory), .log = warn});
  return {};
}

void KernelSource::log(LogLevel level, const std::string& text) const {
  if (options_.log) options_.log(level, text);
}

Result<const Compiler*> KernelSource::compiler(Backend backend) const {
  LazyCompiler& lazy = backend == Backend::kCuda ? cuda_ : cpu_;
  std::call_once(lazy.once, [&] {
    lazy.made.emplace(backend == Backend::kCuda ? make_nvrtc_compiler(templates_, options_.nvrtc_path) : make_llvm_compiler(templates_));
  });
  if (!*lazy.made) return lazy.made->error();
  return lazy.made->value().get();
}

std::string KernelSource::toolchain(Backend backend) const {
  const auto made = compiler(backend);
  return made ? std::string((*made)->identity()) : std::string("none");
}

Error KernelSource::not_obtainable(const Specialization& specialization, const std::string& why) const {
  if (pack_) {
    const auto packed = pack_->find(specialization);
    if (!packed) {
      Error error = packed.error();
      error.given += fmt::format("; and it cannot be compiled here: {}", why);
      return error;
    }
  }
  return make_error(ErrorKind::kUnavailable,
                    {.given = fmt::format("the kernel {} is not in the cache and cannot be compiled: {}", specialization.name(), why),
                     .supported = "kernels of the cache directory or of a pack, or a build with a compiler",
                     .remedy = fmt::format("on a machine with a compiler run `fsa export --target {} ... --output PACK` for this problem and "
                                           "name the file with FSA_PACK", specialization.target.to_string())});
}

Result<KernelBinary> KernelSource::get(const Specialization& specialization, std::stop_token stop) const {
  FSA_ASSIGN_OR_RETURN(const auto binary, binaries_.get_or_make(specialization.kernel_digest(), [&] { return find_or_compile(specialization, stop); }));
  return *binary;
}

Result<std::shared_ptr<const KernelBinary>> KernelSource::find_or_compile(const Specialization& specialization, std::stop_token stop) const {
  if (pack_) {
    auto packed = pack_->find(specialization);
    if (packed) return std::make_shared<const KernelBinary>(std::move(packed->binary), packed->record.report, Origin::kPack);
    if (packed.error().kind == ErrorKind::kCorrupt) return packed.error();
  }
  const auto made = compiler(specialization.target.backend);
  if (!made) return not_obtainable(specialization, made.error().message());
  FSA_ASSIGN_OR_RETURN(const Digest templates, (*made)->template_digest(specialization.family));
  const Digest key = specialization.artifact_digest(templates, (*made)->identity());
  if (auto stored = store_ ? store_->get(key) : std::nullopt) {
    const auto record = KernelRecord::parse(stored->metadata, "artifact");
    return std::make_shared<const KernelBinary>(std::move(stored->payload), record ? record->report : CompileReport{}, Origin::kStore);
  }
  if (!options_.allow_compile) return not_obtainable(specialization, "compiling is switched off (FSA_FREEZE)");
  return compile(**made, specialization, key, stop);
}

Result<std::shared_ptr<const KernelBinary>> KernelSource::compile(const Compiler& compiler, const Specialization& specialization, const Digest& key,
                                                                  std::stop_token stop) const {
  FSA_ASSIGN_OR_RETURN(Binary binary, compiler.compile(specialization, stop));
  log(LogLevel::kInfo, fmt::format("compiled {} in {:.0f} ms", specialization.name(), binary.report.seconds * 1e3));
  if (store_) {
    const KernelRecord record = KernelRecord::of(specialization, compiler.identity(), binary.report, created_by());
    // The binary at hand serves this process; only later ones lose by a store that cannot be written.
    if (const auto put = store_->put(key, binary.bytes, record.to_json()); !put) log(LogLevel::kWarning, put.error().message());
  }
  return std::make_shared<const KernelBinary>(std::move(binary.bytes), std::move(binary.report), Origin::kCompiled);
}

}  // namespace fsa
