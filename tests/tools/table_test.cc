#include "tools/fsa/table.h"

#include <gtest/gtest.h>

namespace fsa::cli {
namespace {

TEST(Table, ColumnsAlignAndLinesHaveNoTrailingBlanks) {
  Table table({"name", "ms", "note"}, {0, 2});
  table.add({"a", "1.5", "x"});
  table.add({"longer", "12", ""});
  EXPECT_EQ(table.to_string(), "name     ms  note\na       1.5  x\nlonger   12\n");
}

}  // namespace
}  // namespace fsa::cli
