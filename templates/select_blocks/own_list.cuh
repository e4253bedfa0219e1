#pragma once
// Owns the candidates of a query where each of its scorers, lanes of one warp, has a list of its own.
#include "cuda/memory.cuh"

namespace fsa::select_blocks {

/// What a thread keeps of the candidates that it scored, in no particular order. An entry is a block's number beside its key, the bits of
/// its score: they order like the scores, which have no sign. Entry i of thread t is number i * kThreads + t, so that no two lanes meet in
/// a bank. The scorers of a query, T::kWarpTokens lanes apart, agree on the threshold.
template <class T>
class OwnList {
  static constexpr int kCapacity = T::kCapacity, kChoices = T::kChoices, kThreads = T::kThreads, kEntryBytes = 8 * kThreads;
  static constexpr int kBatch = 4, kEnd = 1 << 30;
  static_assert(kCapacity % kBatch == 0);

 public:
  FSA_DEVICE explicit OwnList(void* lists) : first_(cuda::smem_address(lists) + threadIdx.x * 8), end_(first_) {}

  /// Takes block `block` up, if it may be chosen, unless kChoices better ones are known. Those have smaller numbers, so that they win
  /// ties.
  FSA_DEVICE void offer(int block, float score, bool may_be_chosen) {
    const unsigned key = __float_as_uint(score);
    const bool takes = may_be_chosen && key >= threshold_;
    // Predicated: a branch would cost more than the store.
    asm volatile("{\n.reg .pred takes;\nsetp.ne.b32 takes, %1, 0;\n@takes st.shared.v2.b32 [%0], {%2, %3};\n@takes add.u32 %0, %0, %4;\n}"
                 : "+r"(end_)
                 : "r"(static_cast<int>(takes)), "r"(key), "r"(block), "n"(kEntryBytes)
                 : "memory");
  }

  /// Whether it may not hold what the next step brings.
  FSA_DEVICE bool full() const { return end_ > first_ + (kCapacity - T::kOffers) * kEntryBytes; }

  /// Leaves at most `most` entries in all of a query's lists, kChoices or more, its best. A warp's work.
  FSA_DEVICE void thin_out(int most) {
    const int own = count();
    int at_least = sum(own);
    const bool thins = at_least > most;
    if (!__any_sync(~0u, thins)) return;
    unsigned key[kCapacity];
    unsigned low = ~0u, high = 0;
#pragma unroll
    for (int i = 0; i < kCapacity; ++i) {
      const unsigned found = key_of(i) + 1;
      key[i] = i < own ? found : 0;
      high = max(high, key[i]), low = min(low, key[i] - 1);
    }
    // Counted from 1 on; 0 stands for nothing. The kChoices-th largest: at least so many are >= low, fewer are >= high.
    over_scorers([&](int lanes) { high = max(high, __shfl_xor_sync(~0u, high, lanes)), low = min(low, __shfl_xor_sync(~0u, low, lanes)); });
    ++low, ++high;
    for (;;) {
      const bool searches = thins && high - low > 1 && at_least > most;
      if (!__any_sync(~0u, searches)) break;
      const unsigned middle = low + (high - low) / 2;
      const int n = number([&](int i) { return key[i] >= middle; });
      if (searches && n >= kChoices) low = middle, at_least = n;
      if (searches && n < kChoices) high = middle;
    }
    int last = kEnd;
    if (__any_sync(~0u, thins && at_least > most)) {
      const int tie = last_tie(key, low);
      if (at_least > most) last = tie;
    }
    if (thins) keep(key, low, last);
  }

  /// Puts the blocks of all lists of the query side by side, T::kTokens apart from `chosen` on.
  FSA_DEVICE void gather(int* chosen) const {
    const int lane = threadIdx.x % 32, own = count();
    int at = 0;
    for (int other = lane % T::kWarpTokens; other < 32; other += T::kWarpTokens) {
      const int count = __shfl_sync(~0u, own, other);
      if (other < lane) at += count;
    }
    for (int i = 0; i < own; ++i) chosen[(at + i) * T::kTokens] = block_of(i);
  }

 private:
  template <class Exchange>
  FSA_DEVICE static void over_scorers(Exchange exchange) {
#pragma unroll
    for (int lanes = T::kWarpTokens; lanes < 32; lanes *= 2) exchange(lanes);
  }
  FSA_DEVICE static int sum(int n) {
    over_scorers([&](int lanes) { n += __shfl_xor_sync(~0u, n, lanes); });
    return n;
  }
  /// Entries of the query for which `holds`.
  template <class Holds>
  FSA_DEVICE static int number(Holds holds) {
    int n = 0;
#pragma unroll
    for (int i = 0; i < kCapacity; ++i) n += holds(i) ? 1 : 0;
    return sum(n);
  }

  /// The largest block number that stays, of more entries with key `low` than there is room for: the smaller numbers stay.
  FSA_DEVICE int last_tie(const unsigned (&key)[kCapacity], unsigned low) const {
    const int wanted = kChoices - number([&](int i) { return key[i] > low; });
    int below = -1, last = kEnd;
    while (__any_sync(~0u, last - below > 1)) {
      const int middle = below + (last - below) / 2;
      const int n = number([&](int i) { return key[i] == low && block_of(i) <= middle; });
      (n >= wanted ? last : below) = middle;
    }
    return last;
  }

  /// Keeps what is above `low`, and of what equals it the blocks up to `last`. Entries move down only, past those in registers.
  FSA_DEVICE void keep(const unsigned (&key)[kCapacity], unsigned low, int last) {
    end_ = first_;
    threshold_ = low;
#pragma unroll
    for (int i = 0; i < kCapacity; i += kBatch) {
      int block[kBatch];
#pragma unroll
      for (int u = 0; u < kBatch; ++u) block[u] = block_of(i + u);
#pragma unroll
      for (int u = 0; u < kBatch; ++u)
        if (key[i + u] > low || (key[i + u] == low && block[u] <= last)) {
          cuda::store_smem8(end_, make_uint2(key[i + u] - 1, block[u]));
          end_ += kEntryBytes;
        }
    }
  }

  FSA_DEVICE int count() const { return static_cast<int>(end_ - first_) / kEntryBytes; }
  FSA_DEVICE unsigned key_of(int i) const { return cuda::load_smem(first_ + i * kEntryBytes); }
  FSA_DEVICE int block_of(int i) const { return static_cast<int>(cuda::load_smem(first_ + i * kEntryBytes + 4)); }

  unsigned first_, end_;    // addresses in shared memory of the first entry and behind the last
  unsigned threshold_ = 0;  // keys that are not below it are taken up
};

}  // namespace fsa::select_blocks
