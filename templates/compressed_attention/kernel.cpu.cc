// Owns the CPU kernel of compressed_attention: attention of every query over the compressed keys that are complete at its position.
#include "compressed_attention/params.h"
#include "cpu/range_attention.h"

namespace fsa::compressed_attention {

extern "C" void kernel_entry(const Params* params, long item, void* scratch) {
  cpu::attend_ranges<Rule>(*params, item, static_cast<float*>(scratch));
}

}  // namespace fsa::compressed_attention
