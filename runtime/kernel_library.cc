#include "runtime/kernel_library.h"

namespace fsa {
namespace {

/// A loaded module has reserved what its launches opt in to (shared memory, a worker's scratch), so that is part of what it is.
Digest module_key(const Specialization& specialization, std::span<const Launch> launches) {
  DigestBuilder builder;
  builder.field(specialization.kernel_digest().hex());
  for (const Launch& launch : launches) builder.field(static_cast<std::int64_t>(launch.scratch_bytes));
  return builder.finish();
}

void count(Origin origin, KernelCounts& counts) {
  switch (origin) {
    case Origin::kPack: ++counts.from_pack; break;
    case Origin::kStore: ++counts.from_cache; break;
    case Origin::kCompiled: ++counts.compiled; break;
  }
}

}  // namespace

Result<std::shared_ptr<const Module>> KernelLibrary::load(const ChainStep& step, KernelCounts& counts) const {
  const Specialization specialization = step.kernel->specialize(step.problem, step.config, device_->target());
  const std::vector<Launch> launches = step.kernel->launches(step.problem, step.config);
  std::optional<Origin> origin;
  const auto make = [&]() -> Result<std::shared_ptr<const Module>> {
    FSA_ASSIGN_OR_RETURN(const KernelBinary binary, source_->get(specialization));
    origin = binary.origin;
    FSA_ASSIGN_OR_RETURN(std::unique_ptr<Module> module, device_->load(binary.bytes, launches));
    return std::shared_ptr<const Module>(std::move(module));
  };
  FSA_ASSIGN_OR_RETURN(auto module, modules_.get_or_make(module_key(specialization, launches), make));
  if (origin) count(*origin, counts);
  else ++counts.already_loaded;
  return module;
}

void KernelLibrary::forget(const ChainStep& step) const {
  const Specialization specialization = step.kernel->specialize(step.problem, step.config, device_->target());
  modules_.erase(module_key(specialization, step.kernel->launches(step.problem, step.config)));
}

}  // namespace fsa
