#pragma once
// Owns what the CUDA kernels of selected_block_major share: a work item, its K and V block, its gathered query rows.
#include "cuda/memory.cuh"
#include "cuda/numeric.cuh"
#include "cuda/sequences.cuh"
#include "cuda/smem_tile.h"
#include "selected_block_major/config.h"
#include "selected_block_major/params.h"
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#include "cuda/hopper/wgmma.cuh"
#endif

namespace fsa::selected_block_major {

/// The largest divisor of `columns` up to `limit` that is whole groups of 32, or whole periods of the tile's swizzle.
FSA_HOST_DEVICE constexpr int pass_columns(int columns, int limit) {
  const int step = columns % 64 == 0 ? 64 : 32;
  int pass = limit;
  while (columns % pass != 0) pass -= step;
  return pass;
}

/// K and V in shared memory as the instruction reads them.
template <Shape kShape, Config kConfig, Mma kMma = kConfig.mma>
struct BlockTiles {
  using Keys = cuda::SmemTile<Config::k_columns(kShape)>;
  using Values = cuda::SmemTile<kConfig.v_columns(kShape)>;
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
template <Shape kShape, Config kConfig>
struct BlockTiles<kShape, kConfig, Mma::kWarpgroup> {
  using Keys = cuda::hopper::PanelTile<kShape.block_size, Config::k_columns(kShape)>;
  using Values = cuda::hopper::PanelTile<kShape.block_size, kConfig.v_columns(kShape)>;
};
#endif

/// What a kernel's shape and config fix at compile time.
template <Shape kShape, Config kConfig>
struct Plan {
  static_assert(kShape.block_size % 16 == 0, "keys come in steps of 16");
  static_assert(kShape.head_dim % 8 == 0 && kShape.head_dim_v % 8 == 0, "rows are read and written in 16-byte pieces");

  static constexpr bool kF16 = kShape.element == Element::kF16, kWarpgroup = kConfig.mma == Mma::kWarpgroup;
  static constexpr int kWarps = kConfig.warps, kStages = kConfig.stages, kRowTiles = kConfig.row_tiles, kRows = kConfig.rows();
  static constexpr int kTokens = kConfig.item_tokens + Config::kSpareTokens;
  static constexpr int kGroup = kShape.group, kKeys = kShape.block_size, kD = kShape.head_dim, kDv = kShape.head_dim_v;
  static constexpr int kKeyTiles = kKeys / 8;
  using QTile = cuda::SmemTile<Config::k_columns(kShape)>;
  using KTile = typename BlockTiles<kShape, kConfig>::Keys;
  using VTile = typename BlockTiles<kShape, kConfig>::Values;
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
          T::kVColumns < T::kDv ? static_cast<int>(blockIdx.y) * T::kVColumns : 0};
  return true;
}

/// Starts the copy of K [keys, D]; keys past the item's and columns past D are zeros.
template <class T>
FSA_DEVICE void copy_keys(const Params& p, const Item& item, unsigned k_tile) {
  constexpr int kChunks = T::kD / 8, kThreads = 32 * T::kWarps;
  const char* const k = static_cast<const char*>(p.k) + (item.key_begin * p.k_stride.token + item.head * p.k_stride.head) * 2;
  if constexpr (kThreads % kChunks == 0) {
    // A thread copies a column of pieces, every kRows-th row of it.
    constexpr int kRows = kThreads / kChunks;
    const int first = threadIdx.x / kChunks, chunk = threadIdx.x % kChunks;
    const char* from = k + first * p.k_stride.token * 2 + chunk * 16;
#pragma unroll
    for (int row = 0; row < T::kKeys; row += kRows) {
      if (T::kKeys % kRows != 0 && first + row >= T::kKeys) break;
      const bool seen = first + row < item.keys;
      cuda::copy16_async_or_zero(k_tile + T::KTile::offset(first + row, chunk), seen ? from : p.k, seen);
      from += kRows * p.k_stride.token * 2;
    }
  } else {
#pragma unroll 4
    for (int i = threadIdx.x; i < T::kKeys * kChunks; i += kThreads) {
      const int row = i / kChunks, chunk = i % kChunks;
      const bool seen = row < item.keys;
      cuda::copy16_async_or_zero(k_tile + T::KTile::offset(row, chunk), seen ? k + row * p.k_stride.token * 2 + chunk * 16 : p.k, seen);
    }
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

  static constexpr int kKeyUnits = T::kKeys / 8;
  static constexpr bool kEven = kKeyUnits % T::kWarps == 0;  // a warp's units differ by what the compiler knows

  FSA_DEVICE int unit(int u) const { return warp_ + u * T::kWarps; }
  FSA_DEVICE int row(int u) const { return (kEven ? warp_ + u * T::kWarps % kKeyUnits : unit(u) % kKeyUnits) * 8 + lane_ / 4; }
  FSA_DEVICE int group(int u) const { return kEven ? u * T::kWarps / kKeyUnits : unit(u) / kKeyUnits; }

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
    if ((!kEven && unit(u) >= kUnits) || chunk < 0 || chunk >= T::VTile::kChunks) return;
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

/// The tokens of an item's entries in shared memory; past the item its last one is repeated, for tiles that end there.
template <class T>
class Tokens {
 public:
  FSA_DEVICE explicit Tokens(unsigned list) : list_(list) {}

  /// Starts the copy of all; by all threads.
  FSA_DEVICE void copy(const Params& p, const Item& item) const {
    const int* const first = p.entry_token + item.first_entry;
    const int all = min(item.entries + Config::kSpareTokens, T::kTokens);
    for (int i = threadIdx.x; i < all; i += 32 * T::kWarps) cuda::copy4_async(list_ + 4 * i, first + min(i, item.entries - 1));
  }

  /// Of an entry of the item.
  FSA_DEVICE unsigned operator[](int entry) const { return cuda::load_smem(list_ + entry * 4); }
  /// Of kCount entries from the `first` on, a multiple of kCount.
  template <int kCount>
  FSA_DEVICE void load(unsigned (&tokens)[kCount], int first) const {
    if constexpr (kCount % 4 == 0) {
#pragma unroll
      for (int i = 0; i < kCount; i += 4) {
        const uint4 four = cuda::load_smem16(list_ + (first + i) * 4);
        tokens[i] = four.x, tokens[i + 1] = four.y, tokens[i + 2] = four.z, tokens[i + 3] = four.w;
      }
    } else {
#pragma unroll
      for (int i = 0; i < kCount; ++i) tokens[i] = (*this)[first + i];
    }
  }

 private:
  unsigned list_;
};

/// One warp's buffers of gathered query rows.
template <class T>
class QueryTiles {
 public:
  FSA_DEVICE QueryTiles(const Params& p, const Item& item, const Tokens<T>& tokens, unsigned q_tiles, int lane)
      : tokens_(tokens),
        tiles_(q_tiles),
        lane_(lane),
        rows_(item.entries * T::kGroup),
        token_pieces_(static_cast<unsigned>(p.q_stride.token / 8)),
        head_pieces_(static_cast<unsigned>(p.q_stride.head / 8)),
        q_(static_cast<const char*>(p.q) + item.head * T::kGroup * p.q_stride.head * 2) {}

  /// Zeros the columns past D once: no copy touches them.
  FSA_DEVICE void zero_padding() const {
    if constexpr (T::kD / 8 < T::QTile::kChunks)
      for (int row = lane_; row < T::kRows; row += 32)
        for (int s = 0; s < T::kStages; ++s) cuda::store_smem16_zero(tile(s) + T::QTile::offset(row, T::kD / 8));
  }

  /// Starts the copy of tile `index` to buffer `stage`.
  FSA_DEVICE void copy(int index, int stage) const {
    if constexpr (kEvenSteps)
      copy_entries(index, stage);
    else
      copy_rows(index, stage);
  }

  FSA_DEVICE unsigned tile(int stage) const { return tiles_ + stage * cuda::tile_bytes(T::kRows, T::QTile::kChunks * 8); }
  /// Token of row `row` of tile `index`.
  FSA_DEVICE int token(int index, int row) const {
    return static_cast<int>(tokens_[kWholeEntries ? index * kEntries + row / T::kGroup : (index * T::kRows + row) / T::kGroup]);
  }
  FSA_DEVICE int rows() const { return rows_; }
  /// Tiles of the item; the warps of a warpgroup work in step, so that the last of them may lie past its rows.
  FSA_DEVICE int tiles() const { return round_up(ceil_div(rows_, T::kRows), T::kWarpgroup ? 4 : 1); }

 private:
  static constexpr int kChunks = T::kD / 8, kStepRows = 32 % kChunks == 0 ? 32 / kChunks : T::kRows + 1;
  /// A tile holds whole entries; a step of the copy, one piece of 16 bytes per lane, whole rows of one entry.
  static constexpr bool kWholeEntries = T::kRows % T::kGroup == 0, kEvenSteps = kWholeEntries && T::kGroup % kStepRows == 0;
  static constexpr int kEntries = kWholeEntries ? T::kRows / T::kGroup : 1;

  /// Where a piece of q_ begins. Pieces are numbered in 32 bits: tensors span less than 64 GiB.
  FSA_DEVICE const char* piece(unsigned number) const { return q_ + number * 16ull; }

  FSA_DEVICE void copy_entries(int index, int stage) const {
    const unsigned row = lane_ / kChunks, chunk = lane_ % kChunks, in_entry = row * head_pieces_ + chunk;
    unsigned tokens[kEntries];
    tokens_.load(tokens, index * kEntries);
#pragma unroll
    for (int first = 0; first < T::kRows; first += kStepRows)
      cuda::copy16_async(tile(stage) + T::QTile::offset(first + row, chunk),
                         piece(tokens[first / T::kGroup] * token_pieces_ + in_entry + first % T::kGroup * head_pieces_));
  }

  FSA_DEVICE void copy_rows(int index, int stage) const {
#pragma unroll 4
    for (int i = lane_; i < T::kRows * kChunks; i += 32) {
      const int row = i / kChunks, chunk = i % kChunks;
      const unsigned in_entry = (kWholeEntries ? row : index * T::kRows + row) % T::kGroup;
      cuda::copy16_async(tile(stage) + T::QTile::offset(row, chunk),
                         piece(token(index, row) * token_pieces_ + in_entry * head_pieces_ + chunk));
    }
  }

  Tokens<T> tokens_;
  unsigned tiles_;
  int lane_, rows_;
  unsigned token_pieces_, head_pieces_;  // from one token, one head to the next, in pieces of 16 bytes
  const char* q_;                        // row 0 of token 0 of the item's heads
};

/// Masks the keys after each row's query.
template <class T>
FSA_DEVICE void mask(float (&s)[T::kKeyTiles][4], int limit_low, int limit_high, int lane) {
#pragma unroll
  for (int n = 0; n < T::kKeyTiles; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      if (n * 8 + 2 * (lane % 4) + e % 2 > (e < 2 ? limit_low : limit_high)) s[n][e] = cuda::kMasked;
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

}  // namespace fsa::selected_block_major
