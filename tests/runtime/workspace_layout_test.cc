#include "runtime/workspace_layout.h"

#include <gtest/gtest.h>

#include <random>

namespace fsa {
namespace {

TEST(WorkspaceLayout, NothingTakesNothing) { EXPECT_EQ(lay_out({}, 256).bytes, 0u); }

TEST(WorkspaceLayout, TensorsThatNeverMeetShareMemory) {
  const Lifetime tensors[] = {{1000, 0, 1}, {1000, 2, 3}, {1000, 4, 4}};
  const WorkspaceLayout layout = lay_out(tensors, 256);
  EXPECT_EQ(layout.bytes, 1024u);
  EXPECT_EQ(layout.offsets, (std::vector<std::size_t>{0, 0, 0}));
}

TEST(WorkspaceLayout, AKernelsOwnInputAndOutputMeet) {
  const Lifetime tensors[] = {{512, 0, 1}, {512, 1, 2}};
  EXPECT_EQ(lay_out(tensors, 256).bytes, 1024u);
}

TEST(WorkspaceLayout, ASmallTensorFillsTheGapThatALargeOneLeft) {
  const Lifetime tensors[] = {{256, 0, 9}, {4096, 0, 2}, {512, 3, 5}, {512, 3, 5}};
  const WorkspaceLayout layout = lay_out(tensors, 256);
  EXPECT_EQ(layout.bytes, 4096u + 256u);
}

TEST(WorkspaceLayout, NoTwoLivingTensorsOverlapWhateverTheirSizes) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Lifetime> tensors(random() % 12);
    for (Lifetime& t : tensors) {
      t.bytes = random() % 5000;
      t.first = static_cast<int>(random() % 8);
      t.last = t.first + static_cast<int>(random() % 4);
    }
    const WorkspaceLayout layout = lay_out(tensors, 256);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      ASSERT_EQ(layout.offsets[i] % 256, 0u);
      ASSERT_LE(layout.offsets[i] + tensors[i].bytes, layout.bytes);
      for (std::size_t j = 0; j < i; ++j) {
        if (tensors[i].first > tensors[j].last || tensors[j].first > tensors[i].last) continue;
        ASSERT_TRUE(layout.offsets[i] + tensors[i].bytes <= layout.offsets[j] || layout.offsets[j] + tensors[j].bytes <= layout.offsets[i])
            << "round " << round;
      }
    }
  }
}

}  // namespace
}  // namespace fsa
