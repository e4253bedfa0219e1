#pragma once
// Owns the CUDA kernel of selected attention in block-major order: one K and V block against the queries that chose it.
#include "cuda/mma.cuh"
#include "cuda/numeric.cuh"
#include "cuda/sequences.cuh"
#include "selected_block_major/config.h"
#include "selected_block_major/params.h"

namespace fsa::selected_block_major {

/// What a kernel's shape and config fix at compile time.
template <Shape kShape, Config kConfig>
struct Plan {
  static_assert(kShape.block_size % 16 == 0, "keys come in steps of 16");
  static_assert(kShape.head_dim % 8 == 0 && kShape.head_dim_v % 8 == 0, "rows are read and written in 16-byte pieces");
  static_assert(kConfig.row_tiles == 1 || kConfig.row_tiles == 2, "a lane holds one row's token");

  static constexpr bool kF16 = kShape.element == Element::kF16;
  static constexpr int kWarps = kConfig.warps, kStages = kConfig.stages, kRowTiles = kConfig.row_tiles, kRows = kConfig.rows();
  static constexpr int kGroup = kShape.group, kKeys = kShape.block_size, kD = kShape.head_dim, kDv = kShape.head_dim_v;
  static constexpr int kKeyTiles = kKeys / 8;
  using KTile = cuda::SmemTile<Config::k_columns(kShape)>;
  using VTile = cuda::SmemTile<kConfig.v_columns(kShape)>;
  static constexpr int kVColumns = kConfig.v_columns(kShape);
  /// Output columns accumulated at once: 64 registers per lane.
  static constexpr int kPassColumns = kVColumns < 128 / kRowTiles ? kVColumns : 128 / kRowTiles;
};

/// A work item with its K and V block.
struct Item {
  int head, first_entry, entries;
  int key_begin;        // row of K and V of the block's first key
  int keys;             // keys that the item's last query sees; the rest of the block counts as zeros
  int limit_shift;      // query `token` sees the block's keys up to token + limit_shift
  int first_column;     // of the output columns of this thread block
};

template <class T>
FSA_DEVICE Item load_item(const Params& p, int lane) {
  const int4 work = __ldg(reinterpret_cast<const int4*>(p.work_items) + blockIdx.x);
  const auto cell_of = [&](int b) { return cuda::first_cell<T::kKeys>(__ldg(p.cu_k + b), b); };
  const int b = max(0, cuda::warp_last_not_above(p.num_seqs, work.y, lane, cell_of));
  const cuda::Sequence s = cuda::load_sequence(p.cu_q, p.cu_k, b);
  const int block_begin = (work.y - cuda::first_cell<T::kKeys>(s.k_begin, b)) * T::kKeys;
  Item item{work.x, work.z, work.w, s.k_begin + block_begin, 0, s.position(0) - block_begin, static_cast<int>(blockIdx.y) * T::kVColumns};
  const int last_token = __ldg(p.entry_token + item.first_entry + item.entries - 1);
  const int in_sequence = min(s.k_end, p.total_k) - item.key_begin;
  item.keys = item.key_begin < 0 ? 0 : max(0, min(min(T::kKeys, in_sequence), last_token + item.limit_shift + 1));
  return item;
}

/// Starts the copy of K [keys, D]; keys past the item's and columns past D are zeros.
template <class T>
FSA_DEVICE void copy_keys(const Params& p, const Item& item, unsigned k_tile) {
  constexpr int kChunks = T::kD / 8, kThreads = 32 * T::kWarps;
  const char* k = static_cast<const char*>(p.k) + (item.key_begin * p.k_stride.token + item.head * p.k_stride.head) * 2;
#pragma unroll 4
  for (int i = threadIdx.x; i < T::kKeys * kChunks; i += kThreads) {
    const int row = i / kChunks, chunk = i % kChunks;
    const bool seen = row < item.keys;
    cuda::copy16_async_or_zero(k_tile + T::KTile::offset(row, chunk), seen ? k + row * p.k_stride.token * 2 + chunk * 16 : p.k, seen);
  }
  if constexpr (kChunks < T::KTile::kChunks)
    for (int row = threadIdx.x; row < T::kKeys; row += kThreads) cuda::store_smem16_zero(k_tile + T::KTile::offset(row, kChunks));
}

/// Loads V [keys, Dv] by registers and returns this lane's largest magnitude (bits). Within each group of 32 columns the
/// tile holds column 8t + 2i + e where the product expects 8i + 2t + e: lane t of a quad then accumulates 8 neighbouring
/// columns and stores them as 16 bytes.
template <class T>
FSA_DEVICE unsigned load_values(const Params& p, const Item& item, unsigned v_tile, int warp, int lane) {
  constexpr int kAllGroups = ceil_div(T::kDv, 32), kRowGroups = T::kKeys / 8;
  constexpr int kPerWarp = ceil_div(kAllGroups * kRowGroups, T::kWarps), kAhead = kPerWarp < 4 ? kPerWarp : 4;
  const char* v = static_cast<const char*>(p.v) + (item.key_begin * p.v_stride.token + item.head * p.v_stride.head) * 2;
  const int t = lane % 4;
  unsigned largest = 0;
  for (int first = warp; first < kAllGroups * kRowGroups; first += kAhead * T::kWarps) {
    uint4 piece[kAhead];
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int unit = first + u * T::kWarps, row = unit % kRowGroups * 8 + lane / 4, column = unit / kRowGroups * 32 + 8 * t;
      piece[u] = make_uint4(0, 0, 0, 0);
      if (row < item.keys && column < T::kDv && unit < kAllGroups * kRowGroups)
        piece[u] = __ldg(reinterpret_cast<const uint4*>(v + row * p.v_stride.token * 2 + column * 2));
    }
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int unit = first + u * T::kWarps, row = unit % kRowGroups * 8 + lane / 4;
      const int chunk = unit / kRowGroups * 4 - item.first_column / 8;
      const unsigned words[4] = {piece[u].x, piece[u].y, piece[u].z, piece[u].w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        largest = max(largest, cuda::max_magnitude2(words[i]));
        if (chunk >= 0 && chunk < T::VTile::kChunks && unit < kAllGroups * kRowGroups)
          cuda::store_smem(v_tile + T::VTile::offset(row, chunk + i) + 4 * t, words[i]);
      }
    }
  }
  // Columns past Dv are never stored, but the product reads them; with several splits the last may own none at all.
  if constexpr (kAllGroups * 32 % T::kVColumns != 0) {
    const int filled = max(0, kAllGroups * 32 - item.first_column);
    if (filled < T::kVColumns)
      for (int i = threadIdx.x; i < T::kKeys * T::VTile::kChunks; i += 32 * T::kWarps)
        if (i % T::VTile::kChunks * 8 >= filled) cuda::store_smem16_zero(v_tile + T::VTile::offset(i / T::VTile::kChunks, i % T::VTile::kChunks));
  }
  return largest;
}

/// One warp's buffers of gathered query rows.
template <class T>
class QueryTiles {
 public:
  FSA_DEVICE QueryTiles(const Params& p, const Item& item, unsigned q_tiles, int* tokens, int lane)
      : p_(p), item_(item), tiles_(q_tiles), tokens_(tokens), lane_(lane), rows_(item.entries * T::kGroup) {}

  /// Zeros the columns past D once: no copy touches them.
  FSA_DEVICE void zero_padding() const {
    if constexpr (T::kD / 8 < T::KTile::kChunks)
      for (int row = lane_; row < T::kRows; row += 32)
        for (int s = 0; s < T::kStages; ++s) cuda::store_smem16_zero(tile(s) + T::KTile::offset(row, T::kD / 8));
  }

  /// Token of this lane's row of tile `index`; rows past the item repeat its last one.
  FSA_DEVICE int load_token(int index) const { return __ldg(p_.entry_token + item_.first_entry + row(index) / T::kGroup); }

  /// Starts the copy of tile `index` to buffer `stage`; `token` is what load_token gave.
  FSA_DEVICE void copy(int index, int stage, int token) const {
    constexpr int kChunks = T::kD / 8;
    const long long offset = token * p_.q_stride.token + (item_.head * T::kGroup + row(index) % T::kGroup) * p_.q_stride.head;
    const char* const mine = static_cast<const char*>(p_.q) + offset * 2;
    if (lane_ < T::kRows) tokens_[stage * T::kRows + lane_] = token;
#pragma unroll
    for (int i = 0; i < ceil_div(T::kRows * kChunks, 32); ++i) {
      const int piece = i * 32 + lane_, row = piece / kChunks, chunk = piece % kChunks;
      const auto source = __shfl_sync(~0u, reinterpret_cast<unsigned long long>(mine), row & (T::kRows - 1));
      if (T::kRows * kChunks % 32 == 0 || piece < T::kRows * kChunks)
        cuda::copy16_async(tile(stage) + T::KTile::offset(row, chunk), reinterpret_cast<const char*>(source) + chunk * 16);
    }
  }

  FSA_DEVICE unsigned tile(int stage) const { return tiles_ + stage * cuda::tile_bytes(T::kRows, T::KTile::kChunks * 8); }
  FSA_DEVICE const int* tokens(int stage) const { return tokens_ + stage * T::kRows; }
  FSA_DEVICE int rows() const { return rows_; }

 private:
  FSA_DEVICE int row(int index) const { return min(index * T::kRows + lane_ % T::kRows, rows_ - 1); }

  const Params& p_;
  const Item& item_;
  unsigned tiles_;
  int* tokens_;
  int lane_, rows_;
};

/// s = Q K^T, unscaled.
template <class T>
FSA_DEVICE void score(float (&s)[T::kRowTiles][T::kKeyTiles][4], unsigned q_tile, unsigned k_tile, int lane) {
  using Tile = typename T::KTile;
#pragma unroll
  for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
    for (int n = 0; n < T::kKeyTiles; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) s[r][n][e] = 0;
  const unsigned q = q_tile + cuda::left_operand_offset<Tile>(lane), k = k_tile + cuda::right_operand_offset<Tile>(lane);
#pragma unroll
  for (int d = 0; d < Tile::kChunks; d += 2) {
    unsigned a[T::kRowTiles][4];
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r) cuda::load_matrices(a[r], Tile::advance(q, d) + r * 16 * Tile::kPitch);
#pragma unroll
    for (int n = 0; n < T::kKeyTiles; n += 2) {
      unsigned b[4];
      cuda::load_matrices(b, Tile::advance(k, d) + n * 8 * Tile::kPitch);
#pragma unroll
      for (int r = 0; r < T::kRowTiles; ++r) {
        cuda::mma<T::kF16>(s[r][n], a[r], b[0], b[1]);
        cuda::mma<T::kF16>(s[r][n + 1], a[r], b[2], b[3]);
      }
    }
  }
}

/// Masks the keys after each row's query.
template <class T>
FSA_DEVICE void mask(float (&s)[T::kKeyTiles][4], int limit_low, int limit_high, int lane) {
#pragma unroll
  for (int n = 0; n < T::kKeyTiles; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      if (n * 8 + 2 * (lane % 4) + e % 2 > (e < 2 ? limit_low : limit_high)) s[n][e] = cuda::kMasked;
}

/// Softmax of one row of a tile (`half` 0: row lane/4, 1: that + 8) in place, times `scale`; returns the row's LSE.
template <class T>
FSA_DEVICE float softmax(float (&s)[T::kKeyTiles][4], int half, float scale_log2, float scale) {
  float top = cuda::kMasked;
#pragma unroll
  for (int n = 0; n < T::kKeyTiles; ++n) top = fmaxf(top, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
  top = cuda::quad_max(top);
  // Where every key is masked the shift is 0, so that all exponentials vanish.
  const float shift = top == cuda::kMasked ? 0 : top * scale_log2;
  float sum = 0;
#pragma unroll
  for (int n = 0; n < T::kKeyTiles; ++n)
#pragma unroll
    for (int e = 2 * half; e < 2 * half + 2; ++e) {
      s[n][e] = cuda::exp2_fast(fmaf(s[n][e], scale_log2, -shift));
      sum += s[n][e];
    }
  sum = cuda::quad_sum(sum);
  // Normalised before the product with V: |output| then stays below the largest |V|, which float always holds.
  const float normaliser = sum == 0 ? 0 : __fdividef(scale, sum);
#pragma unroll
  for (int n = 0; n < T::kKeyTiles; ++n) {
    s[n][2 * half] *= normaliser;
    s[n][2 * half + 1] *= normaliser;
  }
  return sum == 0 ? cuda::negative_infinity() : (shift + cuda::log2_fast(sum)) * cuda::kLn2;
}

/// Stores 8 neighbouring columns of a partial row.
template <Partial kPartial>
FSA_DEVICE void store_columns(void* row, int column, const float (&x)[8], unsigned long long policy) {
  if constexpr (kPartial == Partial::kF32) {
    char* at = static_cast<char*>(row) + column * 4;
    cuda::store16(at, make_uint4(__float_as_uint(x[0]), __float_as_uint(x[1]), __float_as_uint(x[2]), __float_as_uint(x[3])), policy);
    cuda::store16(at + 16, make_uint4(__float_as_uint(x[4]), __float_as_uint(x[5]), __float_as_uint(x[6]), __float_as_uint(x[7])), policy);
  } else {
    constexpr bool kF16 = kPartial == Partial::kF16;
    cuda::store16(static_cast<char*>(row) + column * 2,
                  make_uint4(cuda::pack2<kF16>(x[0], x[1]), cuda::pack2<kF16>(x[2], x[3]), cuda::pack2<kF16>(x[4], x[5]), cuda::pack2<kF16>(x[6], x[7])),
                  policy);
  }
}

/// P V for every row of the tile, stored column group by column group. `row0` is the tile's first row within the item.
template <class T, Partial kPartial>
FSA_DEVICE void accumulate_and_store(const Params& p, const Item& item, const unsigned (&probabilities)[T::kRowTiles][T::kKeyTiles / 2][4],
                                     unsigned v_tile, int row0, int rows, unsigned long long policy, int lane) {
  using Tile = typename T::VTile;
  constexpr int kPartialBytes = kPartial == Partial::kF32 ? 4 : 2;
  const unsigned v = v_tile + cuda::right_operand_transposed_offset<Tile>(lane);
  const long long first_row = static_cast<long long>(item.first_entry) * T::kGroup + row0 + lane / 4;
  char* const out = static_cast<char*>(p.partial_o) + (first_row * T::kDv + item.first_column) * kPartialBytes;
#pragma unroll
  for (int pass = 0; pass < T::kVColumns; pass += T::kPassColumns) {
    constexpr int kTiles = T::kPassColumns / 8;
    float o[T::kRowTiles][kTiles][4] = {};
#pragma unroll
    for (int k = 0; k < T::kKeyTiles / 2; ++k)
#pragma unroll
      for (int n = 0; n < kTiles; n += 2)
        if (pass + n * 8 < T::kVColumns) {
          unsigned b[4];
          cuda::load_matrices_transposed(b, Tile::advance(v, pass / 8 + n) + k * 16 * Tile::kPitch);
#pragma unroll
          for (int r = 0; r < T::kRowTiles; ++r) {
            cuda::mma<T::kF16>(o[r][n], probabilities[r][k], b[0], b[1]);
            cuda::mma<T::kF16>(o[r][n + 1], probabilities[r][k], b[2], b[3]);
          }
        }
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int n = 0; n < kTiles; n += 4) {
          const int row = r * 16 + half * 8, column = pass + n * 8 + 8 * (lane % 4);
          float x[8];
#pragma unroll
          for (int i = 0; i < 8; ++i) x[i] = n + i / 2 < kTiles ? o[r][n + i / 2][2 * half + i % 2] : 0;
          if (row0 + row + lane / 4 < rows && column < T::kVColumns && item.first_column + column < T::kDv)
            store_columns<kPartial>(out + static_cast<long long>(row) * T::kDv * kPartialBytes, column, x, policy);
        }
  }
}

/// Power of two that keeps outputs up to the largest |V| in range of the partial type.
template <class T, Partial kPartial>
FSA_DEVICE float output_scale(const unsigned* magnitudes) {
  unsigned bits = 0;
#pragma unroll
  for (int w = 0; w < T::kWarps; ++w) bits = max(bits, magnitudes[w]);
  const unsigned exponent = __float_as_uint(cuda::magnitude<T::kF16>(bits)) >> 23;  // largest |V| < 2^(exponent - 126)
  constexpr unsigned kLimit = kPartial == Partial::kF16 ? 127 + 14 : 127 + 125;       // outputs < 2^15 fit f16, < 2^126 the others
  return exponent > kLimit ? __uint_as_float((127 + kLimit - min(exponent, 254u)) << 23) : 1.0f;
}

/// Grid: x work items at most, y v_splits.
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  using T = Plan<kShape, kConfig>;
  extern __shared__ __align__(128) unsigned char smem[];
  if (static_cast<int>(blockIdx.x) >= __ldg(p.work_count)) return;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const Item item = load_item<T>(p, lane);
  const unsigned k_tile = cuda::smem_address(smem), v_tile = k_tile + kConfig.v_offset(kShape);
  int* const tokens = reinterpret_cast<int*>(smem + kConfig.token_offset(kShape)) + warp * T::kStages * T::kRows;
  unsigned* const magnitudes = reinterpret_cast<unsigned*>(smem + kConfig.magnitude_offset(kShape));

  // Load: the first Q tiles and K in the background, V by registers meanwhile.
  const QueryTiles<T> queries(p, item, k_tile + kConfig.q_offset(kShape) + warp * T::kStages * kConfig.q_bytes(kShape), tokens, lane);
  const int tiles = ceil_div(queries.rows(), T::kRows);
  queries.zero_padding();
  copy_keys<T>(p, item, k_tile);
#pragma unroll
  for (int s = 0; s < T::kStages; ++s) {
    const int index = warp + s * T::kWarps;
    if (index < tiles) queries.copy(index, s, queries.load_token(index));
    cuda::commit_copies();
  }
  const unsigned largest = __reduce_max_sync(~0u, load_values<T>(p, item, v_tile, warp, lane));
  if (lane == 0) magnitudes[warp] = largest;
  cuda::wait_copies<T::kStages - 1>();
  __syncthreads();
  const float output_scale = selected_block_major::output_scale<T, kConfig.partial>(magnitudes);
  const float scale_log2 = p.scale * cuda::kLog2E;
  const unsigned long long policy = cuda::evict_first_policy();

  int stage = 0;
  for (int index = warp; index < tiles; index += T::kWarps) {
    const int next = index + T::kStages * T::kWarps;
    const int next_token = next < tiles ? queries.load_token(next) : 0;
    cuda::wait_copies<T::kStages - 1>();
    __syncwarp();

    float s[T::kRowTiles][T::kKeyTiles][4];
    score<T>(s, queries.tile(stage), k_tile, lane);
    int limits[T::kRowTiles][2];
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
      for (int half = 0; half < 2; ++half) limits[r][half] = queries.tokens(stage)[r * 16 + half * 8 + lane / 4] + item.limit_shift;
    const int first_limit = queries.tokens(stage)[0] + item.limit_shift;  // the smallest: tokens ascend
    __syncwarp();
    if (next < tiles) queries.copy(next, stage, next_token);
    cuda::commit_copies();
    stage = stage + 1 == T::kStages ? 0 : stage + 1;

    const int row0 = index * T::kRows;
    unsigned probabilities[T::kRowTiles][T::kKeyTiles / 2][4];
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r) {
      if (first_limit < item.keys - 1 || item.keys < T::kKeys) mask<T>(s[r], min(limits[r][0], item.keys - 1), min(limits[r][1], item.keys - 1), lane);
      float lse[2];
#pragma unroll
      for (int half = 0; half < 2; ++half) lse[half] = softmax<T>(s[r], half, scale_log2, output_scale);
#pragma unroll
      for (int k = 0; k < T::kKeyTiles / 2; ++k)
#pragma unroll
        for (int i = 0; i < 4; ++i) probabilities[r][k][i] = cuda::pack2<T::kF16>(s[r][2 * k + i / 2][2 * (i % 2)], s[r][2 * k + i / 2][2 * (i % 2) + 1]);
      const int row = row0 + r * 16 + lane / 4 + 8 * (lane % 2);
      if (lane % 4 < 2 && row < queries.rows() && blockIdx.y == 0) {
        p.partial_lse[static_cast<long long>(item.first_entry) * T::kGroup + row] = lane % 2 ? lse[1] : lse[0];
        if (row % T::kGroup == 0) p.entry_scale[item.first_entry + row / T::kGroup] = output_scale;
      }
    }
    accumulate_and_store<T, kConfig.partial>(p, item, probabilities, v_tile, row0, queries.rows(), policy, lane);
  }
}

}  // namespace fsa::selected_block_major
