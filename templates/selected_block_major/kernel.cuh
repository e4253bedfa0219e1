#pragma once
// Owns the CUDA kernel of selected attention in block-major order: one K and V block against the queries that chose it.
#include "cuda/mma.cuh"
#include "cuda/numeric.cuh"
#include "cuda/sequences.cuh"
#include "selected_block_major/config.h"
#include "selected_block_major/params.h"

namespace fsa::selected_block_major {

/// The largest divisor of `columns` up to `limit` that is whole groups of 32, or whole periods of the tile's swizzle.
FSA_HOST_DEVICE constexpr int pass_columns(int columns, int limit) {
  const int step = columns % 64 == 0 ? 64 : 32;
  int pass = limit;
  while (columns % pass != 0) pass -= step;
  return pass;
}

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
  /// Output columns accumulated at once: at most 64 registers per lane.
  static constexpr int kPassColumns = pass_columns(kVColumns, 128 / kRowTiles);
};

/// A work item with its K and V block.
struct Item {
  int head, first_entry, entries;
  int key_begin;     // row of K and V of the block's first key
  int key_room;      // keys of the block within its sequence and K
  int limit_shift;   // query `token` sees the block's keys up to token + limit_shift
  int keys;          // keys that the item's last query sees; the rest of the block counts as zeros
  int first_column;  // of the output columns of this thread block

  FSA_DEVICE void set_last_token(int token, int block_size) { keys = max(0, min(min(block_size, key_room), token + limit_shift + 1)); }
};

/// The sequence that `cell` belongs to. `mine` is sequence `lane`, loaded before the cell was known: up to 32 sequences
/// need no further trip to memory.
template <class T>
FSA_DEVICE int sequence_of(const Params& p, int cell, int lane, cuda::Sequence& mine) {
  const auto first_cell = [&](int b) { return cuda::first_cell<T::kKeys>(__ldg(p.cu_k + b), b); };
  if (p.num_seqs > 32) {
    const int b = max(0, cuda::warp_last_not_above(p.num_seqs, cell, lane, first_cell));
    mine = cuda::load_sequence(p.cu_q, p.cu_k, b);
    return b;
  }
  const bool below = lane < p.num_seqs && cuda::first_cell<T::kKeys>(mine.k_begin, lane) <= cell;
  const int b = max(0, __popc(__ballot_sync(~0u, below)) - 1);
  mine = {__shfl_sync(~0u, mine.q_begin, b), __shfl_sync(~0u, mine.q_end, b), __shfl_sync(~0u, mine.k_begin, b),
          __shfl_sync(~0u, mine.k_end, b)};
  return b;
}

/// Loads this thread block's work item, all but its last token; false where there is none.
template <class T>
FSA_DEVICE bool load_item(const Params& p, int lane, Item& item) {
  // The grid is as long as work_items, so an item past the count is safe to load, and its load need not wait.
  const int4 work = __ldg(reinterpret_cast<const int4*>(p.work_items) + blockIdx.x);
  const int count = __ldg(p.work_count);
  cuda::Sequence s = lane < p.num_seqs ? cuda::load_sequence(p.cu_q, p.cu_k, lane) : cuda::Sequence{};
  if (static_cast<int>(blockIdx.x) >= count) return false;
  const int b = sequence_of<T>(p, work.y, lane, s);
  const int block_begin = (work.y - cuda::first_cell<T::kKeys>(s.k_begin, b)) * T::kKeys;
  const int key_begin = s.k_begin + block_begin;
  item = {work.x,
          work.z,
          work.w,
          key_begin,
          key_begin < 0 ? 0 : min(s.k_end, p.total_k) - key_begin,
          s.position(0) - block_begin,
          0,
          static_cast<int>(blockIdx.y) * T::kVColumns};
  return true;
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

/// The way of V [keys, Dv] to shared memory, by registers. Probabilities are multiplied as f16: bf16's 8 bits would add as
/// much error as the rounding of the output does. So bf16 values become f16 too, times a power of two that takes the
/// block's largest below 2^15: exact down to 2^-29 of that one, and nothing overflows for any finite V.
///
/// Within each group of 32 columns the tile holds column 8t + 2i + e where the product expects 8i + 2t + e: lane t of a
/// quad then accumulates 8 neighbouring columns and stores them as 16 bytes.
template <class T>
class Values {
 public:
  FSA_DEVICE Values(const Params& p, const Item& item, int warp, int lane)
      : first_(static_cast<const char*>(p.v) + (item.key_begin * p.v_stride.token + item.head * p.v_stride.head) * 2),
        row_bytes_(p.v_stride.token * 2),
        keys_(item.keys),
        first_column_(item.first_column),
        warp_(warp),
        lane_(lane) {}

  /// Loads what registers hold, and returns the largest magnitude (bits) of the lane's share of the block.
  FSA_DEVICE unsigned load() {
    unsigned largest = 0;
#pragma unroll
    for (int u = 0; u < kHeld; ++u) held_[u] = piece(u);
#pragma unroll
    for (int u = 0; u < kHeld; ++u) largest = max(largest, largest_of(held_[u]));
    for (int u = kHeld; u < kPerWarp; ++u) largest = max(largest, largest_of(piece(u)));
    return largest;
  }

  /// Stores the block times `scale`; loads again what registers did not hold.
  FSA_DEVICE void store(unsigned v_tile, float scale) const {
#pragma unroll
    for (int u = 0; u < kHeld; ++u) store(v_tile, u, held_[u], scale);
    for (int u = kHeld; u < kPerWarp; ++u) store(v_tile, u, piece(u), scale);
    // The product reads all columns of the tile; the last splits of V may have nothing in some.
    const int filled = max(0, kGroups * 32 - first_column_);
    if constexpr (kGroups * 32 % T::kVColumns != 0 || kSplit)
      for (int i = threadIdx.x; i < T::kKeys * T::VTile::kChunks; i += 32 * T::kWarps)
        if (i % T::VTile::kChunks * 8 >= filled)
          cuda::store_smem16_zero(v_tile + T::VTile::offset(i / T::VTile::kChunks, i % T::VTile::kChunks));
  }

 private:
  // A unit is 8 keys by 32 columns: one 16-byte piece per lane, stored to all banks at once.
  static constexpr int kGroups = ceil_div(T::kDv, 32), kUnits = kGroups * (T::kKeys / 8);
  static constexpr int kPerWarp = ceil_div(kUnits, T::kWarps), kHeld = kPerWarp < 8 ? kPerWarp : 8;
  static constexpr bool kSplit = kGroups * 32 > T::kVColumns;

  FSA_DEVICE int unit(int u) const { return warp_ + u * T::kWarps; }
  FSA_DEVICE int row(int u) const { return unit(u) % (T::kKeys / 8) * 8 + lane_ / 4; }
  FSA_DEVICE int group(int u) const { return unit(u) / (T::kKeys / 8); }

  FSA_DEVICE uint4 piece(int u) const {
    const int column = group(u) * 32 + 8 * (lane_ % 4);
    if (row(u) >= keys_ || column >= T::kDv) return make_uint4(0, 0, 0, 0);
    return __ldg(reinterpret_cast<const uint4*>(first_ + row(u) * row_bytes_ + column * 2));
  }
  FSA_DEVICE static unsigned largest_of(uint4 x) {
    return max(max(cuda::max_magnitude2(x.x), cuda::max_magnitude2(x.y)), max(cuda::max_magnitude2(x.z), cuda::max_magnitude2(x.w)));
  }
  FSA_DEVICE static unsigned to_f16(unsigned word, float scale) {
    if constexpr (T::kF16) return word;
    const float2 pair = cuda::unpack2<false>(word);
    return cuda::pack2<true>(pair.x * scale, pair.y * scale);
  }
  FSA_DEVICE void store(unsigned v_tile, int u, uint4 x, float scale) const {
    const int chunk = group(u) * 4 - first_column_ / 8;
    if (unit(u) >= kUnits || chunk < 0 || chunk >= T::VTile::kChunks) return;
    const unsigned words[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) cuda::store_smem(v_tile + T::VTile::offset(row(u), chunk + i) + 4 * (lane_ % 4), to_f16(words[i], scale));
  }

  const char* first_;
  long long row_bytes_;
  int keys_, first_column_, warp_, lane_;
  uint4 held_[kHeld];
};

/// Power of two that takes the block's largest |V| below 2^15, within 2^-120 .. 2^120. f16 values are only ever halved.
template <class T>
FSA_DEVICE float value_scale(const unsigned* magnitudes) {
  unsigned bits = 0;
#pragma unroll
  for (int w = 0; w < T::kWarps; ++w) bits = max(bits, magnitudes[w]);
  const int exponent = static_cast<int>(__float_as_uint(cuda::magnitude<T::kF16>(bits)) >> 23);  // largest |V| < 2^(exponent - 126)
  const int scale = 127 + (126 + 15) - exponent;
  return __uint_as_float(static_cast<unsigned>(T::kF16 ? min(scale, 127) : min(max(scale, 7), 247)) << 23);
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
#pragma unroll 4
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
  unsigned q = q_tile + cuda::left_operand_offset<Tile>(lane), k = k_tile + cuda::right_operand_offset<Tile>(lane);
  constexpr int kPanel = Tile::kChunks % 8 == 0 ? 8 : Tile::kChunks;
#pragma unroll 1
  for (int panel = 0; panel < Tile::kChunks; panel += kPanel) {
#pragma unroll
    for (int d = 0; d < kPanel; d += 2) {
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
    q += kPanel * 16;
    k += kPanel * 16;
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
                  make_uint4(cuda::pack2<kF16>(x[0], x[1]), cuda::pack2<kF16>(x[2], x[3]), cuda::pack2<kF16>(x[4], x[5]),
                             cuda::pack2<kF16>(x[6], x[7])),
                  policy);
  }
}

/// The address `columns` further on in the same row of a tile, from that of any multiple of `columns`.
template <class Tile, int kColumns>
FSA_DEVICE unsigned step_columns(unsigned address) {
  static_assert(!Tile::kSwizzled || kColumns % 64 == 0, "the swizzle repeats every 64 columns");
  return address + kColumns * 2;
}

/// P V for every row of the tile, stored column group by column group. `row0` is the tile's first row within the item.
template <class T, Partial kPartial>
FSA_DEVICE void accumulate_and_store(const Params& p, const Item& item, const unsigned (&probabilities)[T::kRowTiles][T::kKeyTiles / 2][4],
                                     unsigned v_tile, int row0, int rows, unsigned long long policy, int lane) {
  using Tile = typename T::VTile;
  constexpr int kPartialBytes = kPartial == Partial::kF32 ? 4 : 2;
  const long long first_row = static_cast<long long>(item.first_entry) * T::kGroup + row0 + lane / 4;
  char* out = static_cast<char*>(p.partial_o) + (first_row * T::kDv + item.first_column + 8 * (lane % 4)) * kPartialBytes;
  unsigned v = v_tile + cuda::right_operand_transposed_offset<Tile>(lane);
  const int rows_left = rows - row0 - lane / 4;
  // A real loop: unrolled, it would only take longer to compile.
#pragma unroll 1
  for (int pass = 0; pass < T::kVColumns; pass += T::kPassColumns) {
    constexpr int kTiles = T::kPassColumns / 8;
    float o[T::kRowTiles][kTiles][4] = {};
#pragma unroll
    for (int k = 0; k < T::kKeyTiles / 2; ++k)
#pragma unroll
      for (int n = 0; n < kTiles; n += 2) {
        unsigned b[4];
        cuda::load_matrices_transposed(b, Tile::advance(v, n) + k * 16 * Tile::kPitch);
#pragma unroll
        for (int r = 0; r < T::kRowTiles; ++r) {
          cuda::mma<true>(o[r][n], probabilities[r][k], b[0], b[1]);
          cuda::mma<true>(o[r][n + 1], probabilities[r][k], b[2], b[3]);
        }
      }
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = r * 16 + half * 8;
        if (row >= rows_left) continue;
#pragma unroll
        for (int n = 0; n < kTiles; n += 4) {
          float x[8];
#pragma unroll
          for (int i = 0; i < 8; ++i) x[i] = o[r][n + i / 2][2 * half + i % 2];
          if (T::kDv % T::kVColumns == 0 || item.first_column + pass + n * 8 + 8 * (lane % 4) < T::kDv)
            store_columns<kPartial>(out + static_cast<long long>(row) * T::kDv * kPartialBytes, n * 8, x, policy);
        }
      }
    v = step_columns<Tile, T::kPassColumns>(v);
    out += T::kPassColumns * kPartialBytes;
  }
}

/// Grid: x work items at most, y v_splits.
template <Shape kShape, Config kConfig>
FSA_DEVICE void run(const Params& p) {
  using T = Plan<kShape, kConfig>;
  extern __shared__ __align__(128) unsigned char smem[];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  Item item;
  if (!load_item<T>(p, lane, item)) return;
  const unsigned k_tile = cuda::smem_address(smem), v_tile = k_tile + kConfig.v_offset(kShape);
  int* const tokens = reinterpret_cast<int*>(smem + kConfig.token_offset(kShape)) + warp * T::kStages * T::kRows;
  unsigned* const magnitudes = reinterpret_cast<unsigned*>(smem + kConfig.magnitude_offset(kShape));

  // Load: the first Q tiles and K in the background, V by registers meanwhile.
  const QueryTiles<T> queries(p, item, k_tile + kConfig.q_offset(kShape) + warp * T::kStages * kConfig.q_bytes(kShape), tokens, lane);
  const int tiles = ceil_div(queries.rows(), T::kRows);
  const int last_token = __ldg(p.entry_token + item.first_entry + item.entries - 1);
  int first_tokens[T::kStages];
#pragma unroll
  for (int s = 0; s < T::kStages; ++s) first_tokens[s] = warp + s * T::kWarps < tiles ? queries.load_token(warp + s * T::kWarps) : 0;
  item.set_last_token(last_token, T::kKeys);
  queries.zero_padding();
  copy_keys<T>(p, item, k_tile);
#pragma unroll
  for (int s = 0; s < T::kStages; ++s) {
    if (warp + s * T::kWarps < tiles) queries.copy(warp + s * T::kWarps, s, first_tokens[s]);
    cuda::commit_copies();
  }
  Values<T> values(p, item, warp, lane);
  const unsigned largest = __reduce_max_sync(~0u, values.load());
  if (lane == 0) magnitudes[warp] = largest;
  __syncthreads();
  const float output_scale = value_scale<T>(magnitudes);
  values.store(v_tile, output_scale);
  cuda::wait_copies<T::kStages - 1>();
  __syncthreads();
  // bf16 values carry the scale themselves.
  const float probability_scale = T::kF16 ? output_scale : 1.0f;
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
      if (first_limit < item.keys - 1 || item.keys < T::kKeys)
        mask<T>(s[r], min(limits[r][0], item.keys - 1), min(limits[r][1], item.keys - 1), lane);
      float lse[2];
#pragma unroll
      for (int half = 0; half < 2; ++half) lse[half] = softmax<T>(s[r], half, scale_log2, probability_scale);
#pragma unroll
      for (int k = 0; k < T::kKeyTiles / 2; ++k)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          probabilities[r][k][i] = cuda::pack2<true>(s[r][2 * k + i / 2][2 * (i % 2)], s[r][2 * k + i / 2][2 * (i % 2) + 1]);
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
