#pragma once
// Owns the reading of golden .safetensors files in tests.
#include <map>
#include <string>
#include <vector>

#include "fsa/base/result.h"
#include "fsa/base/tensor_view.h"
#include "templates/reference/selected_reference.h"
#include "templates/selected_problem.h"

namespace fsa::test {

/// A golden file in memory.
class Golden {
 public:
  /// `name` without folder and extension, e.g. "g1_d128".
  static Result<Golden> load(const std::string& name);

  /// Precondition: the file holds it.
  TensorView tensor(const std::string& name) const { return tensors_.at(name); }
  bool has(const std::string& name) const { return tensors_.contains(name); }
  /// The tensor's elements, in order. Precondition: the file holds it.
  std::vector<double> values(const std::string& name) const;
  /// A whole number of the metadata, e.g. "kernel_size". Precondition: the file holds it.
  int number(const std::string& name) const { return std::stoi(metadata_.at(name)); }
  /// An entry of the file's metadata. Precondition: the file holds it.
  const std::string& metadata(const std::string& name) const { return metadata_.at(name); }
  float scale() const { return scale_; }
  /// The problem of the file's tensors and metadata, as kernels are planned for it.
  SelectedProblem problem() const;
  reference::SelectedOperands operands() const;
  /// The outputs of one branch, o_<branch> and lse_<branch>: "sel", "cmp" or "win".
  reference::SelectedOutputs expected(const std::string& branch = "sel") const;

 private:
  std::vector<char> bytes_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
  int block_size_ = 0;
  float scale_ = 0;
};

/// Every golden file's name.
const std::vector<std::string>& golden_names();

}  // namespace fsa::test
