#pragma once
// Owns the CUDA compiler: specializations to cubins through NVRTC.
#include <memory>
#include <string>

#include "codegen/compiler.h"
#include "codegen/template_store.h"
#include "fsa/base/result.h"

namespace fsa {

/// A Compiler for Backend::kCuda. Templates are taken from `templates` alone: nothing is read from disk. `library_path`
/// (the option FSA_NVRTC_PATH) names the libnvrtc file or its folder; empty searches the usual places. Needs no GPU.
/// Errors: kUnavailable, when there is no NVRTC or the library was built without (FSA_NVRTC=OFF).
Result<std::unique_ptr<Compiler>> make_nvrtc_compiler(std::shared_ptr<const TemplateStore> templates, const std::string& library_path = {});

}  // namespace fsa
