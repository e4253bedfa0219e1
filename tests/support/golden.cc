#include "tests/support/golden.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "codegen/base/json.h"
#include "templates/reference/numeric.h"

namespace fsa::test {
namespace {

Result<std::vector<char>> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return make_error(ErrorKind::kNotFound, {.given = "golden file '" + path + "'"});
  return std::vector<char>(std::istreambuf_iterator<char>(in), {});
}

/// The folder of the golden files: that of the sources, or FSA_GOLDEN_DIR where a test program runs on another machine.
std::string golden_dir() {
  const char* moved = std::getenv("FSA_GOLDEN_DIR");
  return moved ? moved : FSA_GOLDEN_DIR;
}

TensorView view_of(const Json& entry, const char* data) {
  const auto shape = entry.at("shape").get<std::vector<std::int64_t>>();
  return TensorView::contiguous(data + entry.at("data_offsets").at(0).get<std::size_t>(), parse_dtype(entry.at("dtype").get<std::string>()).value(), shape);
}

}  // namespace

Result<Golden> Golden::load(const std::string& name) {
  Golden golden;
  FSA_ASSIGN_OR_RETURN(golden.bytes_, read_file(golden_dir() + "/" + name + ".safetensors"));
  std::uint64_t header_size;
  std::memcpy(&header_size, golden.bytes_.data(), sizeof(header_size));
  const char* header = golden.bytes_.data() + sizeof(header_size);
  const Json json = Json::parse(header, header + header_size);
  for (const auto& [key, entry] : json.items())
    if (key != "__metadata__") golden.tensors_[key] = view_of(entry, header + header_size);
  golden.metadata_ = json.at("__metadata__").get<std::map<std::string, std::string>>();
  golden.block_size_ = golden.number("block_size");
  golden.scale_ = std::stof(golden.metadata_.at("scale"));
  return golden;
}

std::vector<double> Golden::values(const std::string& name) const {
  std::vector<float> values(static_cast<std::size_t>(tensor(name).num_elements()));
  reference::load_elements(tensor(name), 0, values);
  return {values.begin(), values.end()};
}

reference::SelectedOperands Golden::operands() const {
  return {.q = tensor("q"),
          .k = tensor("k"),
          .v = tensor("v"),
          .block_indices = tensor("block_indices"),
          .cu_q = tensor("cu_q"),
          .cu_k = tensor("cu_k"),
          .block_size = block_size_,
          .scale = scale_};
}

SelectedProblem Golden::problem() const {
  const auto x = operands();
  return {.element = Element::kBF16,
          .head_dim = static_cast<int>(x.q.shape[2]),
          .head_dim_v = static_cast<int>(x.v.shape[2]),
          .group = static_cast<int>(x.q.shape[1] / x.k.shape[1]),
          .block_size = block_size_,
          .topk = static_cast<int>(x.block_indices.shape[2]),
          .heads_kv = static_cast<int>(x.k.shape[1]),
          .num_seqs = static_cast<int>(x.cu_q.shape[0]) - 1,
          .total_q = x.q.shape[0],
          .total_k = x.k.shape[0],
          .scale = scale_};
}

reference::SelectedOutputs Golden::expected(const std::string& branch) const {
  return {.o = values("o_" + branch), .lse = values("lse_" + branch)};
}

const std::vector<std::string>& golden_names() {
  static const std::vector<std::string> names{"g16_d64_varlen",       "g1_d128",        "g2_d128_suffix", "g2_d64_large_logits",
                                              "g3_d96_dv64_compress", "g4_d64_compress"};
  return names;
}

}  // namespace fsa::test
