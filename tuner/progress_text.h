#pragma once
// Owns the rendering of progress events as text: a bar with ETA for terminals, plain lines elsewhere. Prints nothing.
#include <string>

#include "tuner/progress.h"

namespace fsa::tuner {

/// "850 us", "1.23 ms", "42 s", "3 min 20 s".
std::string duration_text(double seconds);

/// One line of at most `width` columns, without line end: what is being done, bar, percentage, best time, ETA.
std::string progress_bar(const Progress& progress, int width);
/// The same without a bar: "tune: 40 % compile block_major/selected_block_major, best 1.23 ms, default 2.00 ms, 42 s left".
std::string progress_line(const Progress& progress);

/// Turns a run's events into the text to print. On a terminal the bar is redrawn in place; elsewhere one line per tenth
/// of the work. Notes get a line of their own in both.
class ProgressText {
 public:
  ProgressText(bool terminal, int width) : terminal_(terminal), width_(width) {}
  /// What to print for this event; may be empty.
  std::string update(const Progress& progress);

 private:
  bool terminal_;
  int width_;
  int last_tenth_ = -1;
};

}  // namespace fsa::tuner
