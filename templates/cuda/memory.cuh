#pragma once
// Owns the memory instructions that CUDA C++ has no spelling for: asynchronous copies, matrix loads, cache policies.
#include "cuda/device.h"

namespace fsa::cuda {

FSA_DEVICE unsigned smem_address(const void* pointer) { return static_cast<unsigned>(__cvta_generic_to_shared(pointer)); }

/// Copies 4 bytes from global to shared memory in the background.
FSA_DEVICE void copy4_async(unsigned smem, const void* global) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(smem), "l"(global) : "memory");
}

/// Copies 16 bytes from global to shared memory in the background, past L1.
FSA_DEVICE void copy16_async(unsigned smem, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(smem), "l"(global) : "memory");
}

/// The same, or 16 zero bytes where `valid` is false; `global` is not read then.
FSA_DEVICE void copy16_async_or_zero(unsigned smem, const void* global, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(smem), "l"(global), "r"(valid ? 16 : 0) : "memory");
}

/// The same of kBytes (8 or 16) bytes, 8 of them by way of L1.
template <int kBytes>
FSA_DEVICE void copy_async_or_zero(unsigned smem, const void* global, bool valid) {
  static_assert(kBytes == 8 || kBytes == 16);
  if constexpr (kBytes == 16)
    copy16_async_or_zero(smem, global, valid);
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(smem), "l"(global), "r"(valid ? 8 : 0) : "memory");
}

FSA_DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits until at most kPending of this thread's latest groups of copies are under way.
template <int kPending>
FSA_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/// Loads four 8x8 matrices of 16-bit numbers; lane 8i + r gives the address of row r of matrix i.
FSA_DEVICE void load_matrices(unsigned (&m)[4], unsigned smem) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(smem));
}

/// The same with each matrix transposed.
FSA_DEVICE void load_matrices_transposed(unsigned (&m)[4], unsigned smem) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(smem));
}

FSA_DEVICE void store_smem(unsigned smem, unsigned word) { asm volatile("st.shared.b32 [%0], %1;" ::"r"(smem), "r"(word) : "memory"); }
FSA_DEVICE void store_smem8(unsigned smem, uint2 value) {
  asm volatile("st.shared.v2.b32 [%0], {%1, %2};" ::"r"(smem), "r"(value.x), "r"(value.y) : "memory");
}
FSA_DEVICE void store_smem16_zero(unsigned smem) {
  asm volatile("st.shared.v4.b32 [%0], {%1, %1, %1, %1};" ::"r"(smem), "r"(0) : "memory");
}

FSA_DEVICE unsigned load_smem(unsigned smem) {
  unsigned word;
  asm volatile("ld.shared.b32 %0, [%1];" : "=r"(word) : "r"(smem) : "memory");
  return word;
}
FSA_DEVICE uint4 load_smem16(unsigned smem) {
  uint4 value;
  asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "r"(smem)
               : "memory");
  return value;
}
FSA_DEVICE void store_smem16(unsigned smem, uint4 value) {
  asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(smem), "r"(value.x), "r"(value.y), "r"(value.z), "r"(value.w) : "memory");
}

/// A cache policy for data that is not read again soon: it gives way first in L2.
FSA_DEVICE unsigned long long evict_first_policy() {
  unsigned long long policy;
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}

FSA_DEVICE void store16(void* global, uint4 value, unsigned long long policy) {
  asm volatile("st.global.L2::cache_hint.v4.b32 [%0], {%1, %2, %3, %4}, %5;" ::"l"(global), "r"(value.x), "r"(value.y), "r"(value.z),
               "r"(value.w), "l"(policy)
               : "memory");
}

/// Stores kWords (2 or 4) words, aligned to their size, where `valid`: without a branch.
template <int kWords>
FSA_DEVICE void store_words_if(bool valid, void* global, const unsigned* words, unsigned long long policy) {
  static_assert(kWords == 2 || kWords == 4);
  if constexpr (kWords == 4)
    asm volatile(
        "{\n.reg .pred valid;\nsetp.ne.b32 valid, %6, 0;\n@valid st.global.L2::cache_hint.v4.b32 [%0], {%1, %2, %3, %4}, %5;\n}" ::"l"(
            global),
        "r"(words[0]), "r"(words[1]), "r"(words[2]), "r"(words[3]), "l"(policy), "r"(static_cast<int>(valid))
        : "memory");
  else
    asm volatile(
        "{\n.reg .pred valid;\nsetp.ne.b32 valid, %4, 0;\n@valid st.global.L2::cache_hint.v2.b32 [%0], {%1, %2}, %3;\n}" ::"l"(global),
        "r"(words[0]), "r"(words[1]), "l"(policy), "r"(static_cast<int>(valid))
        : "memory");
}
/// Stores two floats, aligned to 8 bytes, where `valid`: without a branch.
FSA_DEVICE void store2_if(bool valid, float* global, float x, float y) {
  asm volatile("{\n.reg .pred valid;\nsetp.ne.b32 valid, %3, 0;\n@valid st.global.v2.f32 [%0], {%1, %2};\n}" ::"l"(global), "f"(x), "f"(y),
               "r"(static_cast<int>(valid))
               : "memory");
}

/// Loads kWords (2 or 4) words past L1.
template <int kWords>
FSA_DEVICE void load_words_streaming(unsigned* words, const void* global) {
  static_assert(kWords == 2 || kWords == 4);
  if constexpr (kWords == 4)
    asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "l"(global));
  else
    asm volatile("ld.global.L1::no_allocate.v2.u32 {%0, %1}, [%2];" : "=r"(words[0]), "=r"(words[1]) : "l"(global));
}

/// Loads kWords (2 or 4) words from shared memory.
template <int kWords>
FSA_DEVICE void load_smem_words(unsigned* words, unsigned smem) {
  static_assert(kWords == 2 || kWords == 4);
  if constexpr (kWords == 4)
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(smem)
                 : "memory");
  else
    asm volatile("ld.shared.v2.u32 {%0, %1}, [%2];" : "=r"(words[0]), "=r"(words[1]) : "r"(smem) : "memory");
}

/// The first lane's number, which ptxas then keeps in a uniform register.
template <class Number>
FSA_DEVICE Number uniform(Number x) {
  return __shfl_sync(~0u, x, 0);
}

/// 0, of which ptxas does not know that all lanes have it. What comes from the lane of this number by a shuffle stays in the lanes' own
/// registers: uniform ones take 10 cycles more on the way in, and as many for each sum or shift.
FSA_DEVICE unsigned opaque_zero() {
  unsigned lower_lanes, lane;
  asm volatile("mov.u32 %0, %%lanemask_lt;" : "=r"(lower_lanes));
  asm volatile("mov.u32 %0, %%laneid;" : "=r"(lane));
  return __popc(lower_lanes) - lane;
}

/// Loads 16 bytes past L1.
FSA_DEVICE uint4 load16_streaming(const void* global) {
  uint4 value;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "l"(global));
  return value;
}

}  // namespace fsa::cuda
