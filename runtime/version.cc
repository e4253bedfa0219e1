// Owns the library's version, as stated in CMakeLists.txt.
#include "fsa/engine.h"

namespace fsa {

std::string_view library_version() { return FSA_VERSION; }

}  // namespace fsa
