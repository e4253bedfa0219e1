#pragma once
// Owns access to the templates that are built into this binary.
#include <memory>

#include "codegen/template_store.h"

namespace fsa {

/// The texts (builds with NVRTC or LLVM) and bitcode modules (builds with LLVM) that were embedded at build time. A build
/// with neither has an empty store: it runs exported packs only.
std::shared_ptr<const TemplateStore> embedded_templates();

}  // namespace fsa
