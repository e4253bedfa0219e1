#pragma once
// Owns the products of selected_block_major by wgmma: four warps, 16 gathered rows each, against K and V in shared memory.
#include "cuda/hopper/mbarrier.cuh"
#include "cuda/hopper/wgmma.cuh"
#include "cuda/mma.cuh"
#include "cuda/packed12.cuh"
#include "selected_block_major/tiles.cuh"

namespace fsa::selected_block_major {

/// A warp's tile of query rows as left operands.
template <class T>
struct QueryOperands {
  static constexpr int kSteps = T::QTile::kChunks / 2;
  unsigned steps[kSteps][4];

  FSA_DEVICE void load(unsigned tile, int lane) {
    const unsigned q = tile + cuda::left_operand_offset<typename T::QTile>(lane);
#pragma unroll
    for (int k = 0; k < kSteps; ++k) cuda::load_matrices(steps[k], T::QTile::advance(q, 2 * k));
  }

  /// Starts s = Q K^T, unscaled.
  FSA_DEVICE void start_scores(float (&s)[T::kKeyTiles][4], unsigned long long keys) const {
    cuda::hopper::wgmma_fence();
#pragma unroll
    for (int k = 0; k < kSteps; ++k) cuda::hopper::wgmma<T::kF16>(s, steps[k], keys + T::KTile::columns_on(k), k > 0);
    cuda::hopper::wgmma_commit();
  }
};

/// A row's softmax before its sum is known: the sum's share of this lane, and what was subtracted from the exponents.
struct RowSum {
  float shift, sum;
};

/// Exponentials of one row of a tile (`half` as in softmax) in place. Four chains each for maximum and sum: a warp has few
/// neighbours to wait behind.
template <class T>
FSA_DEVICE RowSum exponentiate(float (&s)[T::kKeyTiles][4], int half, float scale_log2) {
  float tops[4] = {cuda::kMasked, cuda::kMasked, cuda::kMasked, cuda::kMasked}, sums[4] = {};
#pragma unroll
  for (int i = 0; i < 2 * T::kKeyTiles; ++i) tops[i % 4] = fmaxf(tops[i % 4], s[i / 2][2 * half + i % 2]);
  const float top = cuda::quad_max(fmaxf(fmaxf(tops[0], tops[1]), fmaxf(tops[2], tops[3])));
  // Where every key is masked the shift is 0, so that all exponentials vanish.
  const float shift = top == cuda::kMasked ? 0 : top * scale_log2;
#pragma unroll
  for (int i = 0; i < 2 * T::kKeyTiles; ++i) {
    float& x = s[i / 2][2 * half + i % 2];
    x = cuda::exp2_fast(fmaf(x, scale_log2, -shift));
    sums[i % 4] += x;
  }
  return {shift, (sums[0] + sums[1]) + (sums[2] + sums[3])};
}

/// Where a warp's partial rows go.
template <class T>
struct PartialRows {
  char* first;    // this lane's first row; of packed rows: the item's
  int item_row;   // this lane's first row within the item
  int rows_left;  // of the item, from that row on
  unsigned long long policy;
};

/// Stores both of a lane's rows of `o`, each times its factor.
template <class T, Partial kPartial, int kTiles>
FSA_DEVICE void store_rows(const float (&o)[kTiles][4], const float (&factor)[2], const PartialRows<T>& out, int pass, int lane) {
  constexpr int kBytes = kPartial == Partial::kF32 ? 4 : 2;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    if (half * 8 >= out.rows_left) continue;
    char* const row = out.first + half * 8 * T::kDv * kBytes;
#pragma unroll
    for (int n = 0; n < kTiles; n += 4) {
      float x[8];
#pragma unroll
      for (int i = 0; i < 8; ++i) x[i] = o[n + i / 2][2 * half + i % 2] * factor[half];
      const int column = pass + n * 8 + 8 * (lane % 4);
      if (T::kDv % 32 == 0 || column < T::kDv) store_columns<kPartial>(row, column, x, out.policy);
    }
  }
}

/// The larger magnitude; NaN if either is.
FSA_DEVICE float max_magnitude(float x, float y) {
  float larger;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(larger) : "f"(x), "f"(fabsf(y)));
  return larger;
}

/// The largest magnitude of a row, which four lanes share.
template <int kTiles>
FSA_DEVICE float largest_of_row(const float (&o)[kTiles][4], int half) {
  float tops[4] = {};
#pragma unroll
  for (int i = 0; i < 2 * kTiles; ++i) tops[i % 4] = max_magnitude(tops[i % 4], o[i / 2][2 * half + i % 2]);
  float top = max_magnitude(max_magnitude(tops[0], tops[1]), max_magnitude(tops[2], tops[3]));
  top = max_magnitude(top, __shfl_xor_sync(~0u, top, 1));
  return max_magnitude(top, __shfl_xor_sync(~0u, top, 2));
}

/// Stores both rows as 12-bit integers of which kLargest12 stands for the row's largest.
template <class T>
FSA_DEVICE void store_packed_rows(const float (&o)[T::kDv / 8][4], const float (&largest)[2], const PartialRows<T>& out, int lane) {
  constexpr int kGroups = T::kDv / 32;
  static_assert(kGroups == 2 || kGroups == 4, "a lane's share of a row is three pieces of 8 or 16 bytes");
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float scale = largest[half] > 0 ? cuda::kLargest12 * cuda::reciprocal_fast(largest[half]) : 0;
    unsigned words[3 * kGroups];
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
      float x[8];
      unsigned packed[3];
#pragma unroll
      for (int i = 0; i < 8; ++i) x[i] = o[group * 4 + i / 2][2 * half + i % 2];
      cuda::pack12(packed, x, scale);
#pragma unroll
      for (int i = 0; i < 3; ++i) words[group * 3 + i] = packed[i];
    }
    if (half * 8 < out.rows_left) {
      char* const row = out.first + cuda::row_offset12<T::kDv, T::kGroup>(out.item_row + half * 8) + lane % 4 * kGroups * 4;
#pragma unroll
      for (int piece = 0; piece < 3; ++piece)
        cuda::store_words<kGroups>(row + piece * cuda::piece_pitch12<T::kDv, T::kGroup>(), words + piece * kGroups, out.policy);
    }
  }
}

/// One tile of 64 rows, 16 of them this warp's: from scores to stored partials.
template <Shape kShape, Config kConfig>
class Warpgroup {
  using T = Plan<kShape, kConfig>;

 public:
  FSA_DEVICE Warpgroup(const Params& p, const Item& item, unsigned k_tile, unsigned v_tile, float output_scale, int lane)
      : p_(p),
        item_(item),
        keys_(T::KTile::depth_major(k_tile)),
        values_(T::VTile::column_major(v_tile)),
        scale_log2_(p.scale * cuda::kLog2E),
        output_scale_(output_scale),
        policy_(cuda::evict_first_policy()),
        lane_(lane) {}

  /// Orders this thread's writes of K and V before the products that read them; a barrier follows.
  static FSA_DEVICE void publish_block() { cuda::hopper::fence_async_proxy(); }

  /// `start_next` starts the copy of the tile that takes this one's place.
  template <class StartNext>
  FSA_DEVICE void run(const QueryTiles<T>& queries, int row0, int stage, StartNext start_next) const {
    QueryOperands<T> q;
    float s[T::kKeyTiles][4];
    q.load(queries.tile(stage), lane_);
    const int* const tokens = queries.tokens(stage);
    const int limits[2] = {tokens[lane_ / 4] + item_.limit_shift, tokens[lane_ / 4 + 8] + item_.limit_shift};
    const int first_limit = tokens[0] + item_.limit_shift;  // the smallest: tokens ascend
    __syncwarp();
    q.start_scores(s, keys_);
    start_next();
    cuda::hopper::wgmma_wait<0>();
    cuda::hopper::pin(s);
    if (first_limit < item_.keys - 1 || item_.keys < T::kKeys)
      mask<T>(s, min(limits[0], item_.keys - 1), min(limits[1], item_.keys - 1), lane_);
    RowSum rows[2] = {exponentiate<T>(s, 0, scale_log2_), exponentiate<T>(s, 1, scale_log2_)};
    multiply_and_store(s, rows, row0, queries.rows());
  }

 private:
  static constexpr bool kPacked = kConfig.partial == Partial::kI12;

  FSA_DEVICE void multiply_and_store(const float (&s)[T::kKeyTiles][4], RowSum (&rows)[2], int row0, int item_rows) const {
    unsigned probabilities[T::kKeyTiles / 2][4];
#pragma unroll
    for (int k = 0; k < T::kKeyTiles / 2; ++k)
#pragma unroll
      for (int i = 0; i < 4; ++i) probabilities[k][i] = cuda::pack2<true>(s[2 * k + i / 2][2 * (i % 2)], s[2 * k + i / 2][2 * (i % 2) + 1]);
    const long long item_first = static_cast<long long>(item_.first_entry) * T::kGroup, first_row = item_first + row0;
    const int row = row0 + lane_ / 4;
    const PartialRows<T> out{static_cast<char*>(p_.partial_o) + (item_first + (kPacked ? 0 : row)) * row_bytes(), row, item_rows - row,
                             policy_};
    float factor[2];
#pragma unroll
    for (int pass = 0; pass < T::kVColumns; pass += T::kPassColumns) {
      float o[T::kPassColumns / 8][4];
      cuda::hopper::wgmma_fence();
#pragma unroll
      for (int k = 0; k < T::kKeyTiles / 2; ++k)
        cuda::hopper::wgmma<true, true>(o, probabilities[k], values_ + T::VTile::rows_on(2 * k) + T::VTile::panels_on(pass / 64), k > 0);
      cuda::hopper::wgmma_commit();
      if (pass == 0) finish_rows(rows, factor, first_row, item_rows - row0);
      cuda::hopper::wgmma_wait<0>();
      cuda::hopper::pin(o);
      if constexpr (kPacked)
        store_packed(o, factor, out, first_row);
      else
        store_rows<T, kConfig.partial>(o, factor, out, pass, lane_);
    }
  }

  static FSA_DEVICE long long row_bytes() { return kPacked ? T::kDv / 2 * 3 : T::kDv * (kConfig.partial == Partial::kF32 ? 4 : 2); }

  /// Sums up the rows' exponentials, stores their LSEs, and gives what turns products into stored numbers.
  FSA_DEVICE void finish_rows(RowSum (&rows)[2], float (&factor)[2], long long first_row, int rows_left) const {
    float lse[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float sum = cuda::quad_sum(rows[half].sum);
      factor[half] = sum == 0 ? 0 : cuda::reciprocal_fast(sum);
      lse[half] = sum == 0 ? cuda::negative_infinity() : (rows[half].shift + cuda::log2_fast(sum)) * cuda::kLn2;
      // bf16 values carry the scale themselves.
      if (T::kF16 && !kPacked) factor[half] *= output_scale_;
    }
    const int row = lane_ / 4 + 8 * (lane_ % 2);
    if (lane_ % 4 >= 2 || row >= rows_left) return;
    p_.partial_lse[first_row + row] = lane_ % 2 ? lse[1] : lse[0];
    if (!kPacked && (first_row + row) % T::kGroup == 0) p_.entry_scale[(first_row + row) / T::kGroup] = output_scale_;
  }

  template <int kTiles>
  FSA_DEVICE void store_packed(const float (&o)[kTiles][4], const float (&factor)[2], const PartialRows<T>& out,
                               long long first_row) const {
    const float largest[2] = {largest_of_row(o, 0), largest_of_row(o, 1)};
    store_packed_rows<T>(o, largest, out, lane_);
    const int half = lane_ % 2;
    if (lane_ % 4 >= 2 || half * 8 >= out.rows_left) return;
    // The step of the row's integers; over cuda::kHeadroom12, so that the reduction's sums stay finite for any finite V.
    const float step = (half ? largest[1] * factor[1] : largest[0] * factor[0]) * (cuda::kUnits12 / cuda::kLargest12 / cuda::kHeadroom12);
    p_.entry_scale[first_row + lane_ / 4 + 8 * half] =
        T::kF16 ? step : step * __uint_as_float((254u << 23) - __float_as_uint(output_scale_));
  }

  const Params& p_;
  const Item& item_;
  unsigned long long keys_, values_;
  float scale_log2_, output_scale_;
  unsigned long long policy_;
  int lane_;
};

}  // namespace fsa::selected_block_major
