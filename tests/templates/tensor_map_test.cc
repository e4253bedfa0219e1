// The descriptions of K that packing leaves in the parameters, where launches say.
#include "templates/tensor_map.h"

#include <gtest/gtest.h>

#include <cstring>

#include "templates/cuda/host_kernel.h"
#include "templates/families.h"

namespace fsa {
namespace {

const Target kHopper = Target::parse("sm_90a").value();

/// Addresses that nobody reads, different ones and multiples of 256.
void* address(std::size_t i) { return reinterpret_cast<void*>((i + 1) << 20); }

/// The description of K in the parameters, and the addresses that K and Q have.
struct Packed {
  BoxedTensor tensor;
  const void* k;
  const void* q;
};

/// What the family's kernel packs, tensor `name` with these strides, where its last launch says.
Packed pack(const char* family, const Json& problem, const Json& patch, const char* name, std::int64_t row_stride,
            std::int64_t head_stride) {
  const Kernel& kernel = *find_family(family)->cuda;
  if (const auto checked = kernel.check(problem, kHopper); !checked) ADD_FAILURE() << checked.error().message();
  const auto config = kernel.complete_config(problem, patch, kHopper);
  if (!config) ADD_FAILURE() << config.error().message();
  std::vector<TensorView> views;
  Packed packed{};
  for (const TensorSpec& spec : kernel.tensors(problem, *config)) {
    views.push_back(packed_view(spec));
    views.back().data = address(views.size());
    if (spec.name == name) {
      views.back().stride[0] = row_stride, views.back().stride[1] = head_stride;
      packed.k = views.back().data;
    }
    if (spec.name == "q") packed.q = views.back().data;
  }
  ParamBlock params;
  kernel.packer(problem, *config)->pack(views, params);
  const int offset = kernel.launches(problem, *config).back().tensor_map;
  EXPECT_GE(offset, 0);
  EXPECT_EQ(offset % 64, 0);
  EXPECT_LE(static_cast<std::size_t>(offset) + sizeof(TensorMap), params.size());
  if (offset >= 0) std::memcpy(&packed.tensor, static_cast<const std::byte*>(params.data()) + offset, sizeof(packed.tensor));
  return packed;
}

Json window(int heads_kv, std::int64_t rows) {
  return {{"element", "bf16"},    {"output", "bf16"}, {"head_dim", 72}, {"head_dim_v", 64}, {"group", 4},   {"window", 512},
          {"heads_kv", heads_kv}, {"num_seqs", 1},    {"total_q", 300}, {"total_k", rows},  {"scale", 0.1}, {"scaled", 0}};
}
const Json kByWarpgroups{{"mma", "wgmma"}, {"warps", 8},  {"row_tiles", 1}, {"keys", 80},
                         {"stages", 2},    {"blocks", 1}, {"pingpong", 0},  {"stream", 0}};

TEST(TensorMaps, DescribeKAsItIsStrided) {
  const Packed packed = pack("sliding_window", window(3, 1000), kByWarpgroups, "k", 1024, 104);
  EXPECT_EQ(packed.tensor.data, packed.k);
  EXPECT_EQ(packed.tensor.row_stride, 2048u);
  EXPECT_EQ(packed.tensor.head_stride, 208u);
  EXPECT_EQ(packed.tensor.columns, 72u);
  EXPECT_EQ(packed.tensor.rows, 1000u);
  EXPECT_EQ(packed.tensor.heads, 3u);
  EXPECT_EQ(packed.tensor.box_rows, 80u);
}

TEST(TensorMaps, HeadsMayBeFartherApartThanRows) {
  const Packed packed = pack("sliding_window", window(3, 1000), kByWarpgroups, "k", 72, 72 * 1000 + 8);
  EXPECT_EQ(packed.tensor.row_stride, 144u);
  EXPECT_EQ(packed.tensor.head_stride, 144u * 1000 + 16);
}

TEST(TensorMaps, StridesOfOneHeadAndOneRowMatterToNobody) {
  const Packed packed = pack("sliding_window", window(1, 1), kByWarpgroups, "k", 7, -3);
  EXPECT_EQ(packed.tensor.row_stride, 144u);
  EXPECT_EQ(packed.tensor.head_stride, 144u);
}

TEST(TensorMaps, WhereKHasNoRowARowOfQStandsIn) {
  const Packed packed = pack("sliding_window", window(3, 0), kByWarpgroups, "k", 1024, 104);
  EXPECT_EQ(packed.tensor.data, packed.q);
  EXPECT_EQ(packed.tensor.rows, 1u);
  EXPECT_EQ(packed.tensor.heads, 1u);
  EXPECT_EQ(packed.tensor.columns, 72u);
  EXPECT_EQ(packed.tensor.row_stride, 144u);
}

TEST(TensorMaps, CompressedAttentionDescribesCk) {
  const Json problem{{"element", "f16"},  {"output", "f16"}, {"head_dim", 128}, {"head_dim_v", 128}, {"group", 4},
                     {"kernel_size", 32}, {"stride", 16},    {"heads_kv", 2},   {"num_seqs", 1},     {"total_q", 1000},
                     {"total_k", 1000},   {"total_c", 61},   {"scale", 0.1},    {"scaled", 0}};
  const Packed packed = pack("compressed_attention", problem, kByWarpgroups, "ck", 256, 128);
  EXPECT_EQ(packed.tensor.data, packed.k);
  EXPECT_EQ(packed.tensor.rows, 61u);
  EXPECT_EQ(packed.tensor.heads, 2u);
}

TEST(TensorMaps, OfTheHybridOrderHaveBoxesOfAPart) {
  const Json problem{{"element", "bf16"}, {"output", "bf16"},  {"head_dim", 128}, {"head_dim_v", 128},
                     {"group", 4},        {"block_size", 128}, {"topk", 8},       {"heads_kv", 2},
                     {"num_seqs", 2},     {"total_q", 1000},   {"total_k", 1001}, {"scale", 0.1}};
  const Packed packed = pack("shared_reduce", problem, Json::object(), "k", 512, 136);
  EXPECT_EQ(packed.tensor.data, packed.k);
  EXPECT_EQ(packed.tensor.rows, 1001u);
  EXPECT_EQ(packed.tensor.row_stride, 1024u);
  EXPECT_EQ(packed.tensor.head_stride, 272u);
  EXPECT_EQ(packed.tensor.box_rows, 64u);
}

TEST(TensorMaps, AreForWarpgroupsAndNoPass) {
  const Kernel& kernel = *find_family("sliding_window")->cuda;
  const Json problem = window(3, 1000);
  const auto of = [&](const Json& patch) { return kernel.launches(problem, kernel.complete_config(problem, patch, kHopper).value()); };
  EXPECT_EQ(of(kByWarpgroups).front().tensor_map, -1);
  const Json by_warps{{"mma", "mma.sync"}, {"warps", 4},  {"row_tiles", 1}, {"keys", 32},
                      {"stages", 2},       {"blocks", 1}, {"pingpong", 0},  {"stream", 0}};
  for (const Launch& launch : of(by_warps)) EXPECT_EQ(launch.tensor_map, -1);
}

}  // namespace
}  // namespace fsa
