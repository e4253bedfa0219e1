// The order of a tile's steps in the hybrid order of selected attention.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "templates/shared_blocks/steps.h"

namespace fsa::shared_blocks {
namespace {

/// The sets of units that a step may have, in the order of their turns.
std::vector<unsigned> sets_in_turn(int units) {
  std::vector<unsigned> sets;
  for (unsigned mask = 1; mask < 1u << units; ++mask) sets.push_back(mask);
  std::ranges::sort(sets, {}, TileShape::turn);
  return sets;
}

/// How often a unit leaves out steps between two of its own.
int interruptions(int units, int unit) {
  int runs = 0;
  bool attends = false;
  for (const unsigned mask : sets_in_turn(units)) {
    const bool has = (mask >> unit & 1) != 0;
    runs += has && !attends;
    attends = has;
  }
  return runs - 1;
}

TEST(TileShape, EverySetOfUnitsHasATurnOfItsOwn) {
  for (const int units : {2, 3}) {
    const std::vector<unsigned> sets = sets_in_turn(units);
    for (std::size_t i = 1; i < sets.size(); ++i) EXPECT_LT(TileShape::turn(sets[i - 1]), TileShape::turn(sets[i]));
  }
}

TEST(TileShape, UnitsOfTwoAreNotInterruptedAndOfThreeOneIs) {
  for (const int unit : {0, 1}) EXPECT_EQ(interruptions(2, unit), 0) << unit;
  for (const int unit : {0, 2}) EXPECT_EQ(interruptions(3, unit), 0) << unit;
  EXPECT_EQ(interruptions(3, 1), 2);
}

TEST(TileShape, NarrowHeadsHaveAThirdUnit) {
  struct Problem {
    int head_dim, head_dim_v, group;
  };
  EXPECT_EQ(TileShape::of(Problem{64, 64, 4}).tokens(), 48);
  EXPECT_EQ(TileShape::of(Problem{64, 80, 4}).tokens(), 32);
  EXPECT_EQ(TileShape::of(Problem{128, 64, 5}).tokens(), 24);
  EXPECT_EQ(TileShape::of(Problem{64, 64, 4}).step_words(), 9);
  EXPECT_EQ(TileShape::of(Problem{128, 128, 4}).step_words(), 7);
}

}  // namespace
}  // namespace fsa::shared_blocks
