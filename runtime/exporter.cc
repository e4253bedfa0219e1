#include "runtime/exporter.h"

#include <fmt/format.h>

#include <set>

#include "cache/pack.h"
#include "cache/tuning_cache.h"
#include "fsa/engine.h"
#include "runtime/kernel_source.h"
#include "runtime/operator.h"
#include "templates/families.h"

namespace fsa {
namespace {

/// Collects kernels and choices of one export.
class Exporter {
 public:
  Exporter(const KernelSource& source, std::shared_ptr<const TuningTable> tuned) : source_(source), tuned_(std::move(tuned)) {
    contents_.library_version = std::string(library_version());
    contents_.provenance = {{"date", utc_timestamp()}};
  }

  Result<void> add(const Target& target, const Operator& op, const Json& problem) {
    FSA_RETURN_IF_ERROR(op.check(problem, target));
    TuningEntry entry{.key = key(op, problem, target), .provenance = {.date = utc_timestamp(), .library = created_by()}};
    ExportedChoice exported{.target = target.to_string()};
    FSA_ASSIGN_OR_RETURN(const auto steps, choose(op, problem, target, entry, exported));
    Json configs = Json::object();
    for (const ChainStep& step : steps) {
      FSA_RETURN_IF_ERROR(add_kernel(step, target));
      configs[step.stage] = step.config;
    }
    exported.kernels = static_cast<int>(steps.size());
    entry.choice = Choice{.variant = exported.variant, .configs = std::move(configs)}.to_json();
    contents_.choices.push_back(std::move(entry));
    summary_.choices.push_back(std::move(exported));
    return {};
  }

  Result<ExportSummary> write(const std::string& path) {
    FSA_RETURN_IF_ERROR(write_pack(path, contents_));
    return summary_;
  }

 private:
  static std::string created_by() { return fmt::format("fsa {}", library_version()); }

  TuningKey key(const Operator& op, const Json& problem, const Target& target) const {
    TuningKey key{.op = std::string(op.name()), .families = family_versions(op, target.backend), .device = {{"arch", target.to_string()}},
                  .toolchain = source_.toolchain(target.backend), .problem = op.features(problem)};
    return key;
  }

  /// The tuned choice for any device of this architecture, the default where there is none.
  Result<std::vector<ChainStep>> choose(const Operator& op, const Json& problem, const Target& target, TuningEntry& entry, ExportedChoice& exported) const {
    for (const TuningMatch& match : tuned_->find_all({.key = entry.key, .any_device_of_arch = true})) {
      const auto choice = Choice::from_json(match.entry->choice);
      auto steps = choice ? make_chain(op, problem, *choice, target) : Result<std::vector<ChainStep>>(choice.error());
      if (!steps) continue;
      exported.variant = choice->variant;
      exported.source = match.distance == 0 ? "tuned" : "nearest";
      entry.measurement = match.entry->measurement;
      entry.provenance = match.entry->provenance;
      return steps;
    }
    const Choice fallback = default_choice(op, problem, target);
    exported.variant = fallback.variant;
    exported.source = "default";
    return make_chain(op, problem, fallback, target);
  }

  Result<void> add_kernel(const ChainStep& step, const Target& target) {
    const Specialization specialization = step.kernel->specialize(step.problem, step.config, target);
    if (!seen_.insert(specialization.kernel_digest()).second) return {};
    FSA_ASSIGN_OR_RETURN(KernelBinary binary, source_.get(specialization));
    summary_.kernels += 1;
    summary_.compiled += binary.origin == Origin::kCompiled;
    summary_.bytes += binary.bytes.size();
    KernelRecord record = KernelRecord::of(specialization, source_.toolchain(target.backend), binary.report, created_by());
    contents_.kernels.push_back({std::move(record), std::move(binary.bytes)});
    return {};
  }

  const KernelSource& source_;
  std::shared_ptr<const TuningTable> tuned_;
  std::set<Digest> seen_;
  PackContents contents_;
  ExportSummary summary_;
};

Result<std::shared_ptr<const TuningTable>> tuned_table(const EngineOptions& options) {
  if (!options.use_cache) return std::make_shared<const TuningTable>();
  FSA_ASSIGN_OR_RETURN(std::string directory, cache_directory_of(options));
  return TuningCache({.directory = std::move(directory)}).load();
}

Result<std::vector<Target>> parse_targets(const std::vector<std::string>& names) {
  std::vector<Target> targets;
  for (const std::string& name : names) {
    FSA_ASSIGN_OR_RETURN(Target target, Target::parse(name));
    targets.push_back(std::move(target));
  }
  if (!targets.empty()) return targets;
  return make_error(ErrorKind::kInvalidArgument, {.given = "no target to export for", .supported = fmt::format("{}", fmt::join(Target::known(), ", "))});
}

}  // namespace

Result<ExportSummary> export_pack(const ExportRequest& request, const EngineOptions& options) {
  FSA_ASSIGN_OR_RETURN(const std::vector<Target> targets, parse_targets(request.targets));
  FSA_ASSIGN_OR_RETURN(const auto source, KernelSource::create(options));
  FSA_ASSIGN_OR_RETURN(auto tuned, tuned_table(options));
  Exporter exporter(*source, std::move(tuned));
  for (const ExportedProblem& p : request.problems)
    for (const Target& target : targets) FSA_RETURN_IF_ERROR(exporter.add(target, *p.op, p.problem));
  return exporter.write(request.path);
}

}  // namespace fsa
