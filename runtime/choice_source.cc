#include "runtime/choice_source.h"

#include <fmt/format.h>

#include "cache/directory.h"

namespace fsa {
namespace {

std::string tune_command(const Operator& op, const Device& device, const Json& problem) {
  return fmt::format("fsa tune --device {} {}", to_string(device.target().backend), op.tune_flags(problem));
}

std::string measured(const TuningMeasurement& m) {
  if (m.seconds <= 0 || m.default_seconds <= 0) return "";
  return fmt::format(" ({:.3f} ms against {:.3f} ms of the default)", m.seconds * 1e3, m.default_seconds * 1e3);
}

}  // namespace

ChoiceSource::ChoiceSource(std::shared_ptr<const Device> device, std::shared_ptr<const KernelSource> kernels, const EngineOptions& options)
    : device_(std::move(device)), kernels_(std::move(kernels)) {
  if (kernels_->pack()) pack_choices_ = TuningTable(kernels_->pack()->choices());
  const auto directory = options.use_cache ? cache_directory_of(options) : Result<std::string>(std::string());
  if (!directory || directory->empty()) return;
  directory_ = *directory;
  const auto warn = [log = options.log](std::string_view sentence) {
    if (log) log(LogLevel::kWarning, sentence);
  };
  cache_ = std::make_unique<TuningCache>(TuningCacheOptions{.directory = *directory, .log = warn});
  // A tuning cache that cannot be read costs speed, not the plan: defaults are right everywhere.
  if (const auto loaded = cache_->load(); !loaded) warn(loaded.error().message());
}

TuningKey ChoiceSource::key(const Operator& op, const Json& problem) const {
  const Backend backend = device_->target().backend;
  return {.op = std::string(op.name()), .families = family_versions(op, backend), .device = device_->identity(), .toolchain = kernels_->toolchain(backend),
          .problem = op.features(problem)};
}

std::optional<ChosenBy> ChoiceSource::first_legal(const Operator& op, const Json& problem, const TuningTable& table, const TuningQuery& query) const {
  for (const TuningMatch& match : table.find_all(query)) {
    auto choice = Choice::from_json(match.entry->choice);
    if (!choice || !make_chain(op, problem, *choice, device_->target())) continue;
    return ChosenBy{std::move(choice).value(), match.exact ? "tuned" : "nearest", match.sentence + measured(match.entry->measurement)};
  }
  return std::nullopt;
}

std::optional<ChosenBy> ChoiceSource::from_pack(const Operator& op, const Json& problem) const {
  if (!kernels_->pack()) return std::nullopt;
  TuningQuery query{.key = key(op, problem), .any_device_of_arch = true};
  query.key.toolchain.clear();
  // The pack may hold kernels for less demanding CPUs only: their choices are the ones it has kernels for.
  for (const Target& target : kernels_->pack()->runnable_targets(device_->target())) {
    query.key.device["arch"] = target.to_string();
    auto chosen = first_legal(op, problem, pack_choices_, query);
    if (!chosen) continue;
    chosen->source = "pack";
    return chosen;
  }
  return std::nullopt;
}

std::optional<ChosenBy> ChoiceSource::from_cache(const Operator& op, const Json& problem) const {
  if (!cache_) return std::nullopt;
  return first_legal(op, problem, *cache_->table(), {.key = key(op, problem)});
}

ChosenBy ChoiceSource::choose(const Operator& op, const Json& problem) const {
  if (auto chosen = from_pack(op, problem)) return *chosen;
  if (auto chosen = from_cache(op, problem)) return *chosen;
  return {default_choice(op, problem, device_->target()), "default",
          fmt::format("no tuned entry for this problem; run: {}", tune_command(op, *device_, problem))};
}

Result<void> ChoiceSource::prepare() const {
  if (cache_) return prepare_cache_directory(directory_);
  return make_error(ErrorKind::kUnavailable, {.given = "the cache is switched off or has no directory", .supported = "engines with use_cache",
                                              .remedy = "unset FSA_NO_CACHE, and set FSA_CACHE_DIR where there is no HOME"});
}

Result<void> ChoiceSource::keep(const TuningEntry& entry) const {
  FSA_RETURN_IF_ERROR(prepare());
  return cache_->merge(std::span(&entry, 1));
}

}  // namespace fsa
