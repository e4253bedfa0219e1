#pragma once
// Owns the products of selected_block_major by wgmma: four warps, 16 gathered rows each, against K and V in shared memory.
#include "cuda/hopper/mbarrier.cuh"
#include "cuda/hopper/wgmma.cuh"
#include "cuda/mma.cuh"
#include "cuda/packed12.cuh"
#include "cuda/row_maxima.cuh"
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

/// Exponentials of one row of a tile (`half` as in softmax) in place; `top` is the row's highest logit. Four chains for the sum: a warp
/// has few neighbours to wait behind. A row whose keys are all masked, which no valid index has, gets the mean of V and
/// an LSE of -1e30 times the softmax scale, which no other partial's weight notices.
template <class T>
FSA_DEVICE RowSum exponentiate(float (&s)[T::kKeyTiles][4], int half, float top, float scale_log2) {
  const auto at = [&](int i) -> float& { return s[i / 2][2 * half + i % 2]; };
  const float shift = top * scale_log2;
  float sums[4];
#pragma unroll
  for (int i = 0; i < 2 * T::kKeyTiles; ++i) {
    at(i) = cuda::exp2_fast(fmaf(at(i), scale_log2, -shift));
    sums[i % 4] = i < 4 ? at(i) : sums[i % 4] + at(i);
  }
  return {shift, (sums[0] + sums[1]) + (sums[2] + sums[3])};
}

/// Where a lane's two rows of partials go, and whether the item has them.
struct PartialRows {
  char* rows[2];
  bool exist[2];
};

/// Stores both of a lane's rows of `o`, each times its factor.
template <class T, Partial kPartial, int kTiles>
FSA_DEVICE void store_rows(const float (&o)[kTiles][4], const float (&factor)[2], const PartialRows& out, int pass, int lane,
                           unsigned long long policy) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    if (!out.exist[half]) continue;
#pragma unroll
    for (int n = 0; n < kTiles; n += 4) {
      float x[8];
#pragma unroll
      for (int i = 0; i < 8; ++i) x[i] = o[n + i / 2][2 * half + i % 2] * factor[half];
      const int column = pass + n * 8;
      if (T::kDv % 32 == 0 || column + 8 * (lane % 4) < T::kDv) store_columns<kPartial>(out.rows[half], column, x, policy);
    }
  }
}

/// The larger magnitude; NaN if either is.
FSA_DEVICE float max_magnitude(float x, float y) {
  float larger;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(larger) : "f"(x), "f"(fabsf(y)));
  return larger;
}

/// The largest magnitude of a row, which four lanes share: not 0, so that it has an inverse.
template <int kTiles>
FSA_DEVICE float largest_of_row(const float (&o)[kTiles][4], int half) {
  float tops[2] = {1e-30f, 1e-30f};
#pragma unroll
  for (int i = 0; i < 2 * kTiles; ++i) tops[i % 2] = max_magnitude(tops[i % 2], o[i / 2][2 * half + i % 2]);
  float top = max_magnitude(tops[0], tops[1]);
  top = max_magnitude(top, __shfl_xor_sync(~0u, top, 1));
  return max_magnitude(top, __shfl_xor_sync(~0u, top, 2));
}

/// Stores a row as 12-bit integers: its numbers times `scale`.
template <class T>
FSA_DEVICE void store_packed_row(const float (&o)[T::kDv / 8][4], int half, float scale, const PartialRows& out,
                                 unsigned long long policy) {
  constexpr int kGroups = T::kDv / 32;
  static_assert(kGroups == 2 || kGroups == 4, "a lane's share of a row is three pieces of 8 or 16 bytes");
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
#pragma unroll
  for (int piece = 0; piece < 3; ++piece)
    cuda::store_words_if<kGroups>(out.exist[half], out.rows[half] + piece * cuda::piece_pitch12<T::kDv, T::kGroup>(),
                                  words + piece * kGroups, policy);
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
        lane_(lane),
        first_row_(static_cast<long long>(item.first_entry) * T::kGroup),
        out_(static_cast<char*>(p.partial_o) + first_row_ * kRowBytes + offset_in_item(lane / 4) + lane % 4 * kLaneBytes) {}

  /// Orders this thread's writes of K and V before the products that read them; a barrier follows.
  static FSA_DEVICE void publish_block() { cuda::hopper::fence_async_proxy(); }

  /// `start_next` starts the copy of the tile that takes the place of tile `index`.
  template <class StartNext>
  FSA_DEVICE void run(const QueryTiles<T>& queries, int index, int stage, StartNext start_next) const {
    QueryOperands<T> q;
    float s[T::kKeyTiles][4];
    q.load(queries.tile(stage), lane_);
    __syncwarp();
    q.start_scores(s, keys_);
    start_next();
    const int first_limit = queries.token(index, 0) + item_.limit_shift;  // the smallest: tokens ascend
    cuda::hopper::wgmma_wait<0>();
    cuda::hopper::pin(s);
    if (first_limit < item_.keys - 1 || item_.keys < T::kKeys)
      mask<T>(s, min(queries.token(index, lane_ / 4) + item_.limit_shift, item_.keys - 1),
              min(queries.token(index, lane_ / 4 + 8) + item_.limit_shift, item_.keys - 1), lane_);
    float top[2];
    cuda::find_row_maxima<true>(s, top);
    RowSum rows[2] = {exponentiate<T>(s, 0, top[0], scale_log2_), exponentiate<T>(s, 1, top[1], scale_log2_)};
    multiply_and_store(s, rows, index, queries.rows());
  }

 private:
  static constexpr bool kPacked = kConfig.partial == Partial::kI12;
  static constexpr int kNumberBytes = kConfig.partial == Partial::kF32 ? 4 : 2;
  static constexpr int kRowBytes = kPacked ? T::kDv / 2 * 3 : T::kDv * kNumberBytes;
  static constexpr int kLaneBytes = kPacked ? T::kDv / 8 : 8 * kNumberBytes;  // from a lane's first piece of a row to its neighbour's

  static FSA_DEVICE int offset_in_item(int row) { return kPacked ? cuda::row_offset12<T::kDv, T::kGroup>(row) : row * kRowBytes; }

  /// Where the lane's rows of tile `index` go.
  FSA_DEVICE PartialRows partial_rows(int index, int item_rows) const {
    PartialRows out;
    const int row = index * T::kRows + lane_ / 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      out.exist[half] = row + 8 * half < item_rows;
      // From tile to tile as from the first row of the first one, where tiles are of whole entries.
      if constexpr (T::kRows % T::kGroup == 0)
        out.rows[half] = out_ + index * static_cast<long long>(T::kRows * kRowBytes) +
                         (8 % T::kGroup == 0 || !kPacked ? half * 8 * kRowBytes : half * 8 * (T::kDv / 2));
      else
        out.rows[half] = out_ - offset_in_item(lane_ / 4) + offset_in_item(row + 8 * half);
    }
    return out;
  }

  FSA_DEVICE void multiply_and_store(const float (&s)[T::kKeyTiles][4], RowSum (&rows)[2], int index, int item_rows) const {
    unsigned probabilities[T::kKeyTiles / 2][4];
#pragma unroll
    for (int k = 0; k < T::kKeyTiles / 2; ++k)
#pragma unroll
      for (int i = 0; i < 4; ++i) probabilities[k][i] = cuda::pack2<true>(s[2 * k + i / 2][2 * (i % 2)], s[2 * k + i / 2][2 * (i % 2) + 1]);
    float factor[2] = {};
#pragma unroll
    for (int pass = 0; pass < T::kVColumns; pass += T::kPassColumns) {
      float o[T::kPassColumns / 8][4];
      cuda::hopper::wgmma_fence();
#pragma unroll
      for (int k = 0; k < T::kKeyTiles / 2; ++k)
        cuda::hopper::wgmma<true, true>(o, probabilities[k], values_ + T::VTile::rows_on(2 * k) + T::VTile::panels_on(pass / 64), k > 0);
      cuda::hopper::wgmma_commit();
      // Always true, which the compiler does not know: nothing moves out of the branch, before the products' start or behind their end.
      float own_lse = 0;
      if (pass == 0 && p_.total_q > 0) own_lse = finish_rows(rows, factor, index, item_rows);
      cuda::hopper::wgmma_wait<0>();
      cuda::hopper::pin(o);
      const PartialRows out = partial_rows(index, item_rows);
      if constexpr (kPacked)
        store_packed(o, factor, own_lse, out, index, item_rows);
      else
        store_rows<T, kConfig.partial>(o, factor, out, pass, lane_, policy_);
    }
  }

  /// The row, of the tile's 16, whose LSE and step this lane stores: of two lanes of a quad one row each.
  FSA_DEVICE int own_row() const { return lane_ / 4 + 8 * (lane_ % 2); }
  FSA_DEVICE bool stores_row(int row_in_item, int item_rows) const { return lane_ % 4 < 2 && row_in_item < item_rows; }

  /// Sums up the rows' exponentials and gives what turns products into stored numbers. Returns the LSE of the row of which this lane
  /// stores it, and stores it where rows are not packed.
  FSA_DEVICE float finish_rows(RowSum (&rows)[2], float (&factor)[2], int index, int item_rows) const {
    float lse[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float sum = cuda::quad_sum(rows[half].sum);
      factor[half] = cuda::reciprocal_fast(sum);
      lse[half] = (rows[half].shift + cuda::log2_fast(sum)) * cuda::kLn2;
      // bf16 values carry the scale themselves.
      if (T::kF16 && !kPacked) factor[half] *= output_scale_;
    }
    const int row = index * T::kRows + own_row();
    const float own = lane_ % 2 ? lse[1] : lse[0];
    if (kPacked || !stores_row(row, item_rows)) return own;
    p_.partial_lse[first_row_ + row] = own;
    if ((first_row_ + row) % T::kGroup == 0) p_.entry_scale[(first_row_ + row) / T::kGroup] = output_scale_;
    return own;
  }

  template <int kTiles>
  FSA_DEVICE void store_packed(const float (&o)[kTiles][4], const float (&factor)[2], float own_lse, const PartialRows& out, int index,
                               int item_rows) const {
    const float largest[2] = {largest_of_row(o, 0), largest_of_row(o, 1)};
#pragma unroll
    for (int half = 0; half < 2; ++half)
      store_packed_row<T>(o, half, cuda::kLargest12 * cuda::reciprocal_fast(largest[half]), out, policy_);
    // The step of the row's integers; over cuda::kHeadroom12, so that the reduction's sums stay finite for any finite V.
    const bool odd = lane_ % 2;
    const float step = (odd ? largest[1] * factor[1] : largest[0] * factor[0]) * (cuda::kUnits12 / cuda::kLargest12 / cuda::kHeadroom12);
    const int row = index * T::kRows + own_row();
    cuda::store2_if(stores_row(row, item_rows), p_.partial_lse + 2 * (first_row_ + row), own_lse,
                    T::kF16 ? step : step * __uint_as_float((254u << 23) - __float_as_uint(output_scale_)));
  }

  const Params& p_;
  const Item& item_;
  unsigned long long keys_, values_;
  float scale_log2_, output_scale_;
  unsigned long long policy_;
  int lane_;
  long long first_row_;  // the item's, of all partial rows
  char* out_;            // this lane's first piece of its first row of the item
};

}  // namespace fsa::selected_block_major
