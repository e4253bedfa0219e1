// Owns the CPU kernel of select_blocks: a run of neighbouring queries against the compressed keys, tile by tile.
#include "cpu/exponential.h"
#include "cpu/microkernel.h"
#include "cpu/packed_block.h"
#include "cpu/sequence.h"
#include "select_blocks/cpu_config.h"
#include "select_blocks/params.h"

namespace fsa::select_blocks {

struct Constants {
  Shape shape;
  CpuConfig config;
};
extern "C" {
extern const Constants fsa_constants;
}

namespace {

using cpu::Accumulators;
using cpu::F32x16;
using cpu::kLanes;
using cpu::Sequence;

FSA_INLINE const Shape& shape() { return fsa_constants.shape; }
FSA_INLINE const CpuConfig& config() { return fsa_constants.config; }
FSA_INLINE cpu::TileShape tile() { return tile_shape(shape(), config()); }
FSA_INLINE int smaller(int a, int b) { return a < b ? a : b; }

/// The best blocks of one query so far: a heap whose first entry is the one to go next.
class Best {
 public:
  struct Entry {
    unsigned key;  // the bits of the score, which order like scores, for these are not negative
    int block;
  };

  FSA_INLINE Best(Entry* entries, int count) : entries_(entries), count_(count) {}

  /// Takes a block up unless choices() better ones are known. Blocks come in ascending order, so that it loses ties.
  FSA_INLINE void offer(float score, int block) {
    const Entry entry{__builtin_bit_cast(unsigned, score) & 0x7fffffffu, block};
    if (count_ < shape().choices()) {
      rise(count_++, entry);
    } else if (entry.key > entries_[0].key) {
      sink(entry);
    }
  }

  FSA_INLINE int count() const { return count_; }

  /// Writes the blocks, ascending.
  FSA_INLINE void store(int* out) const {
#pragma clang loop unroll(disable) vectorize(disable)
    for (int i = 0; i < count_; ++i) {
      int at = i;
      for (; at > 0 && out[at - 1] > entries_[i].block; --at) out[at] = out[at - 1];
      out[at] = entries_[i].block;
    }
  }

 private:
  /// Whether `a` goes before `b`: the smaller score, and among equals the larger number.
  FSA_INLINE static bool goes_first(const Entry& a, const Entry& b) { return a.key < b.key || (a.key == b.key && a.block > b.block); }

  FSA_INLINE void rise(int at, Entry entry) {
    while (at > 0 && goes_first(entry, entries_[(at - 1) / 2])) {
      entries_[at] = entries_[(at - 1) / 2];
      at = (at - 1) / 2;
    }
    entries_[at] = entry;
  }

  FSA_INLINE void sink(Entry entry) {
    int at = 0;
    while (2 * at + 1 < count_) {
      const int left = 2 * at + 1, right = left + 1;
      const int child = right < count_ && goes_first(entries_[right], entries_[left]) ? right : left;
      if (!goes_first(entries_[child], entry)) break;
      entries_[at] = entries_[child];
      at = child;
    }
    entries_[at] = entry;
  }

  Entry* entries_;
  int count_;
};

/// Query tokens [first, end) of one sequence and one kv head.
class Run {
 public:
  FSA_INLINE Run(const Params& p, float* scratch, int head, const Sequence& s, int first, int end)
      : p_(p), s_(s), head_(head), first_(first), tokens_(end - first) {
    const CpuScratch layout = cpu_scratch(shape(), config());
    keys_ = scratch + layout.keys;
    queries_ = scratch + layout.queries;
    sums_ = scratch + layout.sums;
    best_ = reinterpret_cast<Best::Entry*>(scratch + layout.best);
    counts_ = reinterpret_cast<int*>(scratch + layout.counts);
    c_begin_ = cpu::clamp(p.cu_c[s.index], 0, p.total_c);
    len_c_ = cpu::clamp(p.cu_c[s.index + 1], c_begin_, p.total_c) - c_begin_;
  }

  FSA_INLINE void select() {
    const int last = position(tokens_ - 1), blocks = shape().choice_end(shape().own_block(last));
    const int keys = smaller(shape().visible_keys(last, len_c_), blocks * shape().keys_per_block());
    int done = 0;
    clear();
    if (keys > 0) load_queries();
#pragma clang loop unroll(disable)
    for (int begin = 0; done < blocks; begin += config().keys) {
      clear_tile();
      if (begin < keys) sum_tile(begin, smaller(keys - begin, config().keys));
      const int end = smaller((begin + config().keys) / shape().keys_per_block(), blocks);
      for (int token = 0; token < tokens_; ++token) offer_blocks(token, begin, done, end);
      done = end;
    }
    for (int token = 0; token < tokens_; ++token) store(token);
  }

 private:
  FSA_INLINE int position(int token) const { return s_.position(first_ + token); }
  FSA_INLINE int visible(int token) const { return shape().visible_keys(position(token), len_c_); }
  /// Sums of the tile's keys for a token; what blocks still need of the keys before lies before them.
  FSA_INLINE float* sums(int token) const {
    return sums_ + static_cast<long>(token) * sums_stride(shape(), config()) + sums_before(shape(), config());
  }

  FSA_INLINE void clear() {
    for (int token = 0; token < tokens_; ++token) counts_[token] = 0;
    const int before = sums_before(shape(), config());
    for (int token = 0; token < tokens_; ++token)
      for (int i = 0; i < before; i += kLanes) cpu::store(sums(token) - before + i, cpu::splat(0));
  }

  FSA_INLINE void clear_tile() {
    for (int token = 0; token < tokens_; ++token)
      for (int i = 0; i < config().keys; i += kLanes) cpu::store(sums(token) + i, cpu::splat(0));
  }

  FSA_INLINE void load_queries() {
    const int words = cpu::key_words(tile()), whole = words / kLanes * kLanes, stride = query_stride(tile());
    const long bytes = cpu::bytes_of(shape().element), word_bytes = cpu::word_bytes(tile());
    float* row = queries_;
    for (int token = 0; token < tokens_; ++token)
      for (int h = 0; h < shape().group; ++h, row += stride) {
        const long query_head = static_cast<long>(head_) * shape().group + h;
        const char* q = static_cast<const char*>(p_.q) + ((first_ + token) * p_.q_stride.token + query_head * p_.q_stride.head) * bytes;
#pragma clang loop unroll(disable)
        for (int i = 0; i < whole; i += kLanes) cpu::store(row + i, cpu::load_operand(tile(), q + i * word_bytes, kLanes));
        if (whole < words) cpu::store(row + whole, cpu::load_operand(tile(), q + whole * word_bytes, words - whole));
      }
  }

  /// Adds the exponentials of `count` keys from `begin` on to the sums of every token that sees some of them.
  FSA_INLINE void sum_tile(int begin, int count) {
    const long bytes = cpu::bytes_of(shape().element), key = static_cast<long>(c_begin_) + begin;
    const char* k = static_cast<const char*>(p_.ck) + (key * p_.ck_stride.token + head_ * p_.ck_stride.head) * bytes;
    cpu::pack_keys(tile(), {k, nullptr, p_.ck_stride.token * bytes, 0}, count, keys_);
    int token = 0;  // the first that sees a key of the tile; all behind it do
    while (visible(token) <= begin) ++token;
    const int vectors = cpu::key_vectors(tile()), width = cpu::panel_width(vectors, config().nr), whole = vectors / width * width;
#pragma clang loop unroll(disable)
    for (int c = 0; c < whole && c * kLanes < count; c += width) sum_panel(token, c, width);
    if (whole < vectors && whole * kLanes < count) sum_panel(token, whole, vectors - whole);
    // By selection, not by a factor: a key that a token does not see may hold NaN.
    for (; token < tokens_; ++token)
      if (visible(token) < begin + config().keys) mask(sums(token), visible(token) - begin);
  }

  FSA_INLINE void sum_panel(int token, int first, int width) {
    const int step = cpu::panel_rows(tile(), width), depth = cpu::key_words(tile()), stride = query_stride(tile());
    const float* panel = keys_ + first * kLanes * cpu::round_up(depth, kLanes);
    const int rows = tokens_ * shape().group;
#pragma clang loop unroll(disable)
    for (int r = token * shape().group; r < rows; r += step) {
      Accumulators acc;
      FSA_UNROLL
      for (int i = 0; i < step; ++i) {
        FSA_UNROLL
        for (int c = 0; c < width; ++c) acc.v[i][c] = cpu::splat(0);
      }
      cpu::multiply_panel(config().math, step, width, depth, queries_ + static_cast<long>(r) * stride, stride, panel, acc);
      FSA_UNROLL
      for (int i = 0; i < step; ++i) {
        if (r + i < rows) {
          const float lse = row_lse(r + i);
          float* sum = sums((r + i) / shape().group) + first * kLanes;
          FSA_UNROLL
          for (int c = 0; c < width; ++c) cpu::store(sum + c * kLanes, cpu::load<F32x16>(sum + c * kLanes) + exponential(acc.v[i][c], lse));
        }
      }
    }
  }

  /// Of row token * group + head; one that sees nothing gets a value that makes all its exponentials vanish.
  FSA_INLINE float row_lse(int row) const {
    const long query_head = static_cast<long>(head_) * shape().group + row % shape().group;
    const float lse = p_.lse[query_head * p_.total_q + first_ + row / shape().group];
    return lse == -cpu::kInfinity ? 1e30f : lse;
  }

  /// 2^shift * exp(logit * scale - lse). The difference comes first: large logits would lose their low bits in the change
  /// of base.
  FSA_INLINE F32x16 exponential(F32x16 logit, float lse) const {
    const F32x16 x = __builtin_elementwise_fma(logit, cpu::splat(p_.scale), cpu::splat(-lse));
    return cpu::exp2(__builtin_elementwise_fma(x, cpu::splat(cpu::kLog2E), cpu::splat(kScoreShift)));
  }

  FSA_INLINE static void mask(float* sums, int visible) {
    const cpu::I32x16 lanes{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int i = 0; i < config().keys; i += kLanes) {
      const F32x16 sum = cpu::load<F32x16>(sums + i);
      cpu::store(sums + i, lanes + i < cpu::I32x16(visible) ? sum : cpu::splat(0));
    }
  }

  /// Scores blocks [done, end) and offers them; then moves the sums that later blocks need before the next tile's.
  FSA_INLINE void offer_blocks(int token, int begin, int done, int end) {
    float* const sum = sums(token);
    const int own = shape().own_block(position(token)), last = smaller(end, shape().choice_end(own));
    Best best(best_ + static_cast<long>(token) * shape().topk, counts_[token]);
#pragma clang loop unroll(disable)
    for (int j = done; j < last; ++j)
      if (shape().may_choose(j, own)) best.offer(band(sum + (j * shape().keys_per_block() - (shape().span() - 1) - begin)), j);
    counts_[token] = best.count();
    const int halo = shape().halo(config().keys);
#pragma clang loop unroll(disable) vectorize(disable)
    for (int i = -halo; i < 0; ++i) sum[i] = sum[i + config().keys];
  }

  FSA_INLINE static float band(const float* sums) {
    constexpr int kUnrolled = 16;  // the usual bands: weights are constants
    float sum = 0;
    if (shape().band() <= kUnrolled) {
      FSA_UNROLL
      for (int o = 0; o < kUnrolled; ++o)
        if (o < shape().band()) sum = __builtin_fmaf(static_cast<float>(shape().weight(o)), sums[o], sum);
      return sum;
    }
#pragma clang loop unroll(disable) vectorize(disable)
    for (int o = 0; o < shape().band(); ++o) sum = __builtin_fmaf(static_cast<float>(shape().weight(o)), sums[o], sum);
    return sum;
  }

  FSA_INLINE void store(int token) const {
    const int topk = shape().topk, own = shape().own_block(position(token));
    int* const out = p_.block_indices + (static_cast<long>(head_) * p_.total_q + first_ + token) * topk;
    if (own < topk) {
      for (int i = 0; i < topk; ++i) out[i] = i <= own ? i : -1;
      return;
    }
    const int init = shape().forced_compete() ? 0 : shape().init_blocks, local = shape().forced_compete() ? 0 : shape().local_blocks;
    for (int i = 0; i < init; ++i) out[i] = i;
    Best(best_ + static_cast<long>(token) * topk, counts_[token]).store(out + init);
    for (int i = 0; i < local; ++i) out[topk - local + i] = own + 1 - local + i;
  }

  const Params& p_;
  Sequence s_;
  int head_, first_, tokens_, c_begin_, len_c_;
  float *keys_, *queries_, *sums_;
  Best::Entry* best_;
  int* counts_;
};

}  // namespace

/// Item: a run of tokens of one kv head, late ones first (early tokens see few keys, so the long items start first).
extern "C" void kernel_entry(const Params* params, long item, void* memory) {
  const Params& p = *params;
  const int runs = cpu::ceil_div(p.total_q, config().tokens);
  const int head = static_cast<int>(item % p.heads_kv), begin = (runs - 1 - static_cast<int>(item / p.heads_kv)) * config().tokens;
  const int end = p.total_q - begin < config().tokens ? p.total_q : begin + config().tokens;
  cpu::for_sequences(p.cu_q, p.cu_k, p.num_seqs, p.total_q, p.total_k, begin, end,
                     [&](const Sequence& s, int first, int last)
                         FSA_INLINE_LAMBDA { Run(p, static_cast<float*>(memory), head, s, first, last).select(); });
}

}  // namespace fsa::select_blocks
