#pragma once
// Owns how a thread takes neighbouring slots of a query: numbers of blocks, or what stands for them, [Hkv, Tq, T].
#include "cuda/device.h"

namespace fsa::cuda {

/// Slots of one query that a thread takes at a time, of the `topk` that a query has, `most` at most.
FSA_HOST_DEVICE constexpr int slots_at_once(int topk, int most = 4) {
  return topk % 4 == 0 && most >= 4 ? 4 : topk % 2 == 0 && most >= 2 ? 2 : 1;
}

/// Whether what begins at `slots` may be loaded kCount slots at once, from any of them whose number is a multiple of kCount.
template <int kCount>
FSA_DEVICE bool are_aligned(const int* slots) {
  return reinterpret_cast<unsigned long long>(slots) % (4 * kCount) == 0;
}

/// Loads kCount neighbours, at once where they are `aligned`.
template <int kCount>
FSA_DEVICE void load_slots(int (&to)[kCount], const int* from, bool aligned) {
  if constexpr (kCount == 4) {
    if (aligned) {
      const int4 x = __ldg(reinterpret_cast<const int4*>(from));
      to[0] = x.x, to[1] = x.y, to[2] = x.z, to[3] = x.w;
      return;
    }
  } else if constexpr (kCount == 2) {
    if (aligned) {
      const int2 x = __ldg(reinterpret_cast<const int2*>(from));
      to[0] = x.x, to[1] = x.y;
      return;
    }
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) to[i] = __ldg(from + i);
}

/// Stores kCount neighbours, aligned to their size.
template <int kCount>
FSA_DEVICE void store_slots(int* to, const int (&x)[kCount]) {
  if constexpr (kCount == 4)
    *reinterpret_cast<int4*>(to) = make_int4(x[0], x[1], x[2], x[3]);
  else if constexpr (kCount == 2)
    *reinterpret_cast<int2*>(to) = make_int2(x[0], x[1]);
  else
    *to = x[0];
}

}  // namespace fsa::cuda
