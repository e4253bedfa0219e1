#pragma once
// Owns how a kernel stands to the launches before and after it on its stream: programmatic dependent launch, from sm_90 on.
//
// A launch with Launch::early starts while the launch ahead of it still runs, once all thread blocks of that one have let it or ended.
// What it does before it waits must need nothing that the launch ahead writes, or may still wait for; and each of its thread blocks
// waits, lest it end before that one.
#include "cuda/device.h"

namespace fsa::cuda {

/// Waits until the launch ahead has ended and what it wrote can be read. A thread asks once: even where nothing is left to wait for, asking
/// takes it a microsecond on an H200.
FSA_DEVICE void await_launch_ahead() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// Lets an early launch that comes next start, where there is room, once all thread blocks have come here or ended.
FSA_DEVICE void let_next_launch_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

}  // namespace fsa::cuda
