#include "runtime/device/object_loader.h"

#include <array>
#include <cstring>

namespace fsa {

std::span<const ExternalFunction> external_functions() {
  static const std::array kFunctions = {
      ExternalFunction{"memset", reinterpret_cast<void*>(&std::memset)},
      ExternalFunction{"memcpy", reinterpret_cast<void*>(&std::memcpy)},
      ExternalFunction{"memmove", reinterpret_cast<void*>(&std::memmove)},
  };
  return kFunctions;
}

Result<std::unique_ptr<ObjectLoader>> make_object_loader() {
#if FSA_WITH_LLVM
  return make_orc_loader();
#else
  return make_elf_loader();
#endif
}

}  // namespace fsa
