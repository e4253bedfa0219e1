#include "tuner/progress_text.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

namespace fsa::tuner {

namespace {

constexpr int kBarColumns = 20;
constexpr std::string_view kClearLine = "\r\x1b[K";

std::string_view verb(Step step) {
  switch (step) {
    case Step::kCompile:
      return "compile";
    case Step::kMeasure:
      return "measure";
    case Step::kVerify:
      return "verify";
    case Step::kFinished:
      return "finished";
  }
  return "";
}

std::string activity(const Progress& p) {
  if (p.family.empty()) return std::string(verb(p.step));
  return fmt::format("{} {}/{}", verb(p.step), p.variant, p.family);
}

int percent(const Progress& p) { return static_cast<int>(100 * std::min(p.fraction(), 1.0)); }

std::string times(const Progress& p) {
  std::string text;
  if (!std::isnan(p.best_seconds)) text += ", best " + duration_text(p.best_seconds);
  if (!std::isnan(p.default_seconds)) text += ", default " + duration_text(p.default_seconds);
  if (p.step != Step::kFinished && !std::isnan(p.eta_seconds())) text += ", " + duration_text(p.eta_seconds()) + " left";
  return text;
}

}  // namespace

std::string duration_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.3g} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<long long>(std::lround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  return whole < 3600 ? fmt::format("{} min {} s", whole / 60, whole % 60) : fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

std::string progress_bar(const Progress& p, int width) {
  const int filled = kBarColumns * percent(p) / 100;
  std::string line = fmt::format("[{:#<{}}{:.<{}}] {:3} % {}{}", "", filled, "", kBarColumns - filled, percent(p), activity(p), times(p));
  if (width > 0 && line.size() > static_cast<std::size_t>(width)) line.resize(static_cast<std::size_t>(width));
  return line;
}

std::string progress_line(const Progress& p) { return fmt::format("tune: {} % {}{}", percent(p), activity(p), times(p)); }

std::string ProgressText::update(const Progress& p) {
  const std::string note = p.note.empty() ? std::string() : "tune: " + p.note + "\n";
  const bool finished = p.step == Step::kFinished;
  // One column stays free: a full last column makes many terminals wrap, and the redraw then leaves copies behind.
  if (terminal_) return std::string(kClearLine) + note + (finished ? std::string() : progress_bar(p, width_ - 1));
  const int tenth = percent(p) / 10;
  if (finished || tenth <= last_tenth_) return note;
  last_tenth_ = tenth;
  return note + progress_line(p) + "\n";
}

}  // namespace fsa::tuner
