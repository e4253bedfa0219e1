#include "codegen/nvrtc_compiler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>
#include <vector>

#include "codegen/nvrtc_library.h"
#include "codegen/ptxas_report.h"

namespace fsa {
namespace {

constexpr std::size_t kLogLimit = 4000;  // characters of a compile log that an error carries

/// Options that decide what the binary is. Bump the version in identity() when they change.
std::vector<std::string> required_options(const Target& target) {
  return {"-arch=" + target.arch, "-std=c++20", "--device-as-default-execution-space", "-Xptxas=-v", "-Xptxas=--warn-on-spills"};
}

/// They only save time, or keep the ptxas report from being lost to NVRTC's own cache. Early versions of CUDA 12 lack them.
constexpr std::array kOptionalOptions = {"--minimal", "--no-cache"};

/// One NVRTC program, destroyed with the object.
class ProgramHandle {
 public:
  explicit ProgramHandle(const NvrtcLibrary& nvrtc) : nvrtc_(nvrtc) {}
  ~ProgramHandle() {
    if (program_) nvrtc_.destroy_program(&program_);
  }
  ProgramHandle(const ProgramHandle&) = delete;
  ProgramHandle& operator=(const ProgramHandle&) = delete;

  NvrtcLibrary::Program get() const { return program_; }

  NvrtcLibrary::Status create(const Specialization& s, const TemplateStore& store) {
    std::vector<const char*> names, texts;
    for (const auto& [name, text] : store.texts()) {
      if (name.ends_with(".cc")) continue;
      names.push_back(name.c_str());
      texts.push_back(text.c_str());
    }
    const std::string file = s.family + ".cu";
    return nvrtc_.create_program(&program_, s.source.c_str(), file.c_str(), static_cast<int>(names.size()), texts.data(), names.data());
  }

  NvrtcLibrary::Status compile(const std::vector<std::string>& options) const {
    std::vector<const char*> list;
    for (const std::string& option : options) list.push_back(option.c_str());
    return nvrtc_.compile_program(program_, static_cast<int>(list.size()), list.data());
  }

  std::string log() const {
    std::size_t size = 0;
    if (nvrtc_.get_program_log_size(program_, &size) != NvrtcLibrary::kSuccess || size <= 1) return {};
    std::string text(size, '\0');
    if (nvrtc_.get_program_log(program_, text.data()) != NvrtcLibrary::kSuccess) return {};
    text.resize(size - 1);
    return text;
  }

  std::vector<std::byte> cubin() const {
    std::size_t size = 0;
    if (nvrtc_.get_cubin_size(program_, &size) != NvrtcLibrary::kSuccess || size == 0) return {};
    std::vector<std::byte> bytes(size);
    if (nvrtc_.get_cubin(program_, reinterpret_cast<char*>(bytes.data())) != NvrtcLibrary::kSuccess) return {};
    return bytes;
  }

 private:
  const NvrtcLibrary& nvrtc_;
  NvrtcLibrary::Program program_ = nullptr;
};

int stop_compiling(void* payload, void*) { return static_cast<const std::stop_token*>(payload)->stop_requested() ? 1 : 0; }

std::string trimmed(std::string log) {
  if (log.size() <= kLogLimit) return log;
  log.resize(log.find_last_of('\n', kLogLimit) == std::string::npos ? kLogLimit : log.find_last_of('\n', kLogLimit));
  return log + "\n(the rest of the log is left out)";
}

class NvrtcCompiler final : public Compiler {
 public:
  NvrtcCompiler(NvrtcLibrary nvrtc, std::shared_ptr<const TemplateStore> templates)
      : nvrtc_(std::move(nvrtc)),
        templates_(std::move(templates)),
        identity_(fmt::format("nvrtc-{}.{}+{};options-v1", nvrtc_.major, nvrtc_.minor, nvrtc_.size)) {}

  Backend backend() const override { return Backend::kCuda; }
  std::string_view identity() const override { return identity_; }
  Result<Digest> template_digest(std::string_view family) const override {
    return templates_->closure_digest(std::string(family) + "/kernel.cuh");
  }

  Result<Binary> compile(const Specialization& s, std::stop_token stop) const override {
    if (s.target.backend != Backend::kCuda)
      return make_error(ErrorKind::kInvalidArgument,
                        {.given = fmt::format("NVRTC was asked to compile {}", s.name()), .supported = "CUDA targets"});
    if (stop.stop_requested()) return cancelled(s);
    const auto start = std::chrono::steady_clock::now();
    ProgramHandle program(nvrtc_);
    const auto status = run(program, s, stop);
    if (status == NvrtcLibrary::kCancelled) return cancelled(s);
    if (status == NvrtcLibrary::kInvalidOption) return unsupported_target(s, program.log());
    if (status != NvrtcLibrary::kSuccess) return rejected(s, status, program.log());
    Binary binary{.bytes = program.cubin(), .report = parse_ptxas_report(program.log())};
    if (binary.bytes.empty()) return rejected(s, status, "no cubin came out");
    binary.report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return binary;
  }

 private:
  NvrtcLibrary::Status run(ProgramHandle& program, const Specialization& s, std::stop_token& stop) const {
    if (const auto status = program.create(s, *templates_)) return status;
    if (nvrtc_.set_flow_callback && stop.stop_possible()) nvrtc_.set_flow_callback(program.get(), stop_compiling, &stop);
    const std::vector<std::string> required = required_options(s.target);
    std::vector<std::string> all = required;
    all.insert(all.end(), kOptionalOptions.begin(), kOptionalOptions.end());
    const auto status = program.compile(all);
    return status == NvrtcLibrary::kInvalidOption ? program.compile(required) : status;
  }

  Error cancelled(const Specialization& s) const {
    return make_error(ErrorKind::kCancelled, {.given = fmt::format("the compilation of {} was stopped on request", s.name())});
  }

  Error rejected(const Specialization& s, NvrtcLibrary::Status status, std::string log) const {
    return make_error(ErrorKind::kCompile, {.given = fmt::format("NVRTC {}.{} rejected {} ({}):\n{}", nvrtc_.major, nvrtc_.minor, s.name(),
                                                                 nvrtc_.get_error_string(status), trimmed(std::move(log)))});
  }

  /// The options are ours and constant but for the architecture: that one it must be.
  Error unsupported_target(const Specialization& s, std::string_view log) const {
    int count = 0;
    nvrtc_.get_num_supported_archs(&count);
    std::vector<int> archs(static_cast<std::size_t>(std::max(count, 1)));
    if (nvrtc_.get_supported_archs(archs.data()) != NvrtcLibrary::kSuccess) archs.clear();
    return make_error(ErrorKind::kUnsupported, {.given = fmt::format("NVRTC {}.{} ({}) cannot compile for {}: {}", nvrtc_.major,
                                                                     nvrtc_.minor, nvrtc_.path, s.target.arch, log),
                                                .supported = fmt::format("sm_{}", fmt::join(archs, ", sm_")),
                                                .remedy = "install a newer CUDA toolkit, or set FSA_NVRTC_PATH to its libnvrtc"});
  }

  NvrtcLibrary nvrtc_;
  std::shared_ptr<const TemplateStore> templates_;
  std::string identity_;
};

}  // namespace

Result<std::unique_ptr<Compiler>> make_nvrtc_compiler(std::shared_ptr<const TemplateStore> templates, const std::string& library_path) {
  FSA_ASSIGN_OR_RETURN(NvrtcLibrary nvrtc, NvrtcLibrary::load(library_path));
  return std::unique_ptr<Compiler>(std::make_unique<NvrtcCompiler>(std::move(nvrtc), std::move(templates)));
}

}  // namespace fsa
