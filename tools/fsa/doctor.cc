// fsa doctor: looks at what the library needs of this machine and says what to do about what is missing.
#include <fmt/format.h>
#include <sched.h>

#include <cstdlib>
#include <memory>

#include "cache/directory.h"
#include "codegen/llvm_compiler.h"
#include "codegen/nvrtc_compiler.h"
#include "codegen/target.h"
#include "fsa/engine.h"
#include "runtime/engine_impl.h"
#include "templates/embedded.h"
#include "tools/fsa/command.h"
#include "tools/fsa/table.h"

namespace fsa::cli {
namespace {

enum class Health { kOk, kMissing, kInfo };

struct Finding {
  std::string what;
  Health health = Health::kInfo;
  std::string detail;
  std::string remedy = {};
};

constexpr const char* kVariables[] = {"FSA_CACHE_DIR", "FSA_TEMPLATE_DIR", "FSA_PACK",       "FSA_NVRTC_PATH",      "FSA_NUM_THREADS",
                                      "FSA_NO_CACHE",  "FSA_FREEZE",       "XDG_CACHE_HOME", "CUDA_VISIBLE_DEVICES"};

std::string_view to_string(Health health) {
  if (health == Health::kInfo) return "";
  return health == Health::kOk ? "ok" : "missing";
}

Finding missing(std::string what, const Error& error) { return {std::move(what), Health::kMissing, error.given, error.remedy}; }

Finding inspect_cpu() {
  const auto target = Target::host_cpu();
  if (!target) return missing("CPU", target.error());
  cpu_set_t cpus;
  const int cores = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  return {"CPU", Health::kOk, fmt::format("{}, {} core{} for this process", target->to_string(), cores, cores == 1 ? "" : "s")};
}

Finding inspect_device(const std::string& name, const EngineOptions& options) {
  const auto engine = Engine::create(name, options);
  if (!engine) return missing(fmt::format("device {}", name), engine.error());
  return {fmt::format("device {}", name), Health::kOk, fmt::format("{}, compiles for {}", engine->device_name(), engine->target())};
}

Finding inspect_compiler(std::string what, const Result<std::unique_ptr<Compiler>>& compiler) {
  if (!compiler) return missing(std::move(what), compiler.error());
  return {std::move(what), Health::kOk, std::string((*compiler)->identity())};
}

Finding inspect_cache(const EngineOptions& options) {
  if (!options.use_cache) return {"cache folder", Health::kInfo, "not used: FSA_NO_CACHE is 1"};
  const auto path = cache_directory_of(options);
  if (!path) return missing("cache folder", path.error());
  const auto prepared = prepare_cache_directory(*path);
  if (!prepared) return missing("cache folder", prepared.error());
  return {"cache folder", Health::kOk, *path};
}

void add_variables(std::vector<Finding>& findings) {
  for (const char* name : kVariables)
    if (const char* value = std::getenv(name)) findings.push_back({name, Health::kInfo, value});
}

std::vector<Finding> examine(const std::vector<std::string>& devices, const EngineOptions& options) {
  const auto templates = embedded_templates();
  std::vector<Finding> findings{inspect_cpu()};
  for (const std::string& name : devices) findings.push_back(inspect_device(name, options));
  findings.push_back(inspect_compiler("CPU compiler (LLVM)", make_llvm_compiler(templates)));
  findings.push_back(inspect_compiler("CUDA compiler (NVRTC)", make_nvrtc_compiler(templates, options.nvrtc_path)));
  findings.push_back(inspect_cache(options));
  add_variables(findings);
  return findings;
}

/// Any device will do where none is named; what is named must be there.
bool healthy(const std::vector<Finding>& findings, bool named) {
  bool any = false, all = true;
  for (const Finding& f : findings) {
    if (!f.what.starts_with("device ")) continue;
    any |= f.health == Health::kOk;
    all &= f.health == Health::kOk;
  }
  return named ? all : any;
}

Outcome report(const std::vector<Finding>& findings, bool good) {
  Outcome outcome{{{"version", library_version()}, {"healthy", good}, {"findings", Json::array()}},
                  "",
                  good ? kOk : exit_code(ErrorKind::kUnavailable)};
  Table table({"", "", ""}, {0, 1, 2});
  for (const Finding& f : findings) {
    table.add({f.what, std::string(to_string(f.health)), f.detail});
    if (!f.remedy.empty()) table.add({"", "", "to mend it: " + f.remedy});
    outcome.json["findings"].push_back({{"what", f.what}, {"health", to_string(f.health)}, {"detail", f.detail}, {"remedy", f.remedy}});
  }
  outcome.text =
      fmt::format("fsa {}{}{}\n", library_version(), table.to_string(), good ? "Ready." : "Not ready: see what is missing above.");
  return outcome;
}

Result<Outcome> run_doctor(const CommonFlags& common, const std::string& device) {
  FSA_ASSIGN_OR_RETURN(const EngineOptions options, common.engine_options());
  const std::vector<std::string> devices = device.empty() ? std::vector<std::string>{"cpu", "cuda:0"} : std::vector<std::string>{device};
  const auto findings = examine(devices, options);
  return report(findings, healthy(findings, !device.empty()));
}

}  // namespace

void add_doctor(CLI::App& app, Invocation& invocation) {
  auto device = std::make_shared<std::string>();
  CLI::App* command =
      add_command(app, invocation, "doctor", "Say what of this machine the library can use, and what is missing",
                  {{"Look at everything", "fsa doctor"}, {"Fail unless the first GPU can be used", "fsa doctor --device cuda:0"}});
  command->add_option("--device", *device, "Look at this device alone, and fail unless it can be used");
  command->callback([&invocation, device] { invocation.action = [&invocation, device] { return run_doctor(invocation.flags, *device); }; });
}

}  // namespace fsa::cli
