#pragma once
// Owns Table: rows of text in aligned columns.
#include <string>
#include <vector>

namespace fsa::cli {

/// The first column is aligned left, the others right, unless `left` names them.
class Table {
 public:
  explicit Table(std::vector<std::string> header, std::vector<std::size_t> left = {0});
  void add(std::vector<std::string> row);
  std::string to_string() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> left_;
};

}  // namespace fsa::cli
