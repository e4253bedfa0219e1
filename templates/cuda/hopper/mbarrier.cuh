#pragma once
// Owns what orders the warps of a Hopper thread block: barriers in shared memory, named barriers, proxy fences, and the
// registers that each warpgroup has.
#include "cuda/memory.cuh"
#include "tensor_map.h"

namespace fsa::cuda::hopper {

/// A barrier in shared memory, by its address (8 bytes, aligned). Phase n (from 0) ends when `arrivals` arrivals and all bytes
/// that were announced have come; it is waited for by its parity n & 1. A wait for parity 1 on a fresh barrier returns at once.
class Mbarrier {
 public:
  FSA_DEVICE explicit Mbarrier(unsigned address) : address_(address) {}

  /// By one thread; publish_barriers() and a __syncthreads() come before the first use.
  FSA_DEVICE void init(int arrivals) const {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address_), "r"(arrivals) : "memory");
  }
  FSA_DEVICE void arrive() const { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address_) : "memory"); }
  /// Arrives and announces bytes that bulk copies will bring.
  FSA_DEVICE void arrive_expecting(int bytes) const {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address_), "r"(bytes) : "memory");
  }
  /// One of the counted arrivals, once all of this thread's copies so far (cp.async) have come. They are ordinary writes to
  /// products that read shared memory: whoever waits runs fence_async_proxy() before those.
  FSA_DEVICE void arrive_after_copies() const {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(address_) : "memory");
  }
  FSA_DEVICE unsigned address() const { return address_; }
  FSA_DEVICE bool test(int parity) const {
    unsigned done;
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
                 : "=r"(done)
                 : "r"(address_), "r"(parity)
                 : "memory");
    return done;
  }
  FSA_DEVICE void wait(int parity) const {
    while (!test(parity)) {
    }
  }

 private:
  unsigned address_;
};

/// Copies `bytes`, a multiple of 16, from global to shared memory as one unit; they count as bytes that have come for `barrier`.
FSA_DEVICE void copy_bulk(unsigned smem, const void* global, int bytes, const Mbarrier& barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(smem), "l"(global),
               "r"(bytes), "r"(barrier.address())
               : "memory");
}

/// Copies the box of a tensor that begins at (column, row) of `head`, each of which may lie outside of it, to a panel of shared memory.
/// Its bytes, zeros for what lies outside among them, count as bytes that have come for `barrier`. `map` lies in the kernel's parameters.
FSA_DEVICE void copy_box(unsigned smem, const TensorMap& map, int column, int row, int head, const Mbarrier& barrier) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];" ::"r"(smem),
               "l"(&map), "r"(column), "r"(row), "r"(head), "r"(barrier.address())
               : "memory");
}
/// Brings the map near, by one thread, some time before the first box.
FSA_DEVICE void prefetch_map(const TensorMap& map) { asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory"); }

/// After Mbarrier::init.
FSA_DEVICE void publish_barriers() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

/// Orders ordinary writes to shared memory before reads by products and bulk copies.
FSA_DEVICE void fence_async_proxy() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/// A barrier of kThreads threads, whole warps; 0 is __syncthreads()'s own. Numbers that are no constants would reserve all 16.
template <int kNumber, int kThreads>
FSA_DEVICE void sync_named() {
  static_assert(kNumber > 0 && kNumber < 16 && kThreads % 32 == 0);
  asm volatile("bar.sync %0, %1;" ::"n"(kNumber), "n"(kThreads) : "memory");
}
/// Counts for that barrier without waiting at it.
template <int kNumber, int kThreads>
FSA_DEVICE void arrive_named() {
  static_assert(kNumber > 0 && kNumber < 16 && kThreads % 32 == 0);
  asm volatile("bar.arrive %0, %1;" ::"n"(kNumber), "n"(kThreads) : "memory");
}

/// Takes or gives back registers, by all warps of a warpgroup, to kRegisters per thread. ptxas ignores it where the kernel has no
/// bound at entry, or where warpgroups do not part at one if.
template <int kRegisters>
FSA_DEVICE void take_registers() {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 24 && kRegisters <= 256);
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
FSA_DEVICE void give_registers() {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 24 && kRegisters <= 256);
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

}  // namespace fsa::cuda::hopper
