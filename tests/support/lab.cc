#include "tests/support/lab.h"

#include "codegen/llvm_compiler.h"
#include "codegen/nvrtc_compiler.h"
#include "templates/embedded.h"

namespace fsa::test {

Result<std::unique_ptr<Lab>> Lab::make(const std::string& device) {
  auto lab = std::make_unique<Lab>();
  FSA_ASSIGN_OR_RETURN(lab->device_, open_device(device));
  FSA_ASSIGN_OR_RETURN(lab->compiler_, lab->target().backend == Backend::kCuda ? make_nvrtc_compiler(embedded_templates())
                                                                               : make_llvm_compiler(embedded_templates()));
  return lab;
}

Result<Lab*> Lab::open(const std::string& device) {
  static std::map<std::string, Result<std::unique_ptr<Lab>>> labs;
  auto it = labs.find(device);
  if (it == labs.end()) it = labs.emplace(device, make(device)).first;
  if (!it->second) return it->second.error();
  return it->second.value().get();
}

Result<std::shared_ptr<const Module>> Lab::load(const Specialization& specialization, std::span<const Launch> launches) {
  const std::string key = specialization.kernel_digest().hex();
  auto it = binaries_.find(key);
  if (it == binaries_.end()) {
    FSA_ASSIGN_OR_RETURN(Binary binary, compiler_->compile(specialization));
    it = binaries_.emplace(key, std::move(binary)).first;
  }
  FSA_ASSIGN_OR_RETURN(std::unique_ptr<Module> module, device_->load(it->second.bytes, launches));
  return std::shared_ptr<const Module>(std::move(module));
}

}  // namespace fsa::test
