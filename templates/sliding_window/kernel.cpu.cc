// Owns the CPU kernel of sliding_window: attention of every query over a window of its sequence's last keys.
#include "cpu/range_attention.h"
#include "sliding_window/params.h"

namespace fsa::sliding_window {

extern "C" void kernel_entry(const Params* params, long item, void* scratch) {
  cpu::attend_ranges<Rule>(*params, item, static_cast<float*>(scratch));
}

}  // namespace fsa::sliding_window
