#include "runtime/roofline.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/peak.h"

namespace fsa {
namespace {

struct TensorRate {
  int major, minor;
  double full;  // flops per clock and multiprocessor
  bool halved;  // on GeForce cards, with f32 sums
};

// From the vendor's architecture whitepapers: the stated dense bf16 rate over multiprocessors and boost clock.
constexpr TensorRate kTensorRates[] = {
    {8, 0, 2048, false},                        // 312 TFLOP/s, 108 at 1.41 GHz
    {8, 6, 1024, true},                         // 149.7 TFLOP/s, 84 at 1.74 GHz; GeForce 71, 82 at 1.70 GHz
    {8, 9, 1024, true},                         // 366 TFLOP/s, 142 at 2.52 GHz; GeForce 165, 128 at 2.52 GHz
    {9, 0, 4096, false},                        // 989 TFLOP/s, 132 at 1.83 GHz
    {10, 0, 8192, false}, {12, 0, 1024, true},  // GeForce 209.5 TFLOP/s, 170 at 2.41 GHz
};

}  // namespace

double Roofline::least_seconds(const Work& work) const {
  const double arithmetic = flops > 0 ? work.flops / flops : 0;
  const double memory = bytes_per_second > 0 ? work.bytes / bytes_per_second : 0;
  return std::max(arithmetic, memory);
}

double Roofline::fraction(const Work& work, double seconds) const { return seconds > 0 ? least_seconds(work) / seconds : 0; }

double tensor_flops_per_clock(const CudaLimits& arch, bool geforce) {
  const auto* rate =
      std::ranges::find_if(kTensorRates, [&](const TensorRate& r) { return r.major == arch.major && r.minor == arch.minor; });
  if (rate == std::end(kTensorRates)) return 0;
  return geforce && rate->halved ? rate->full / 2 : rate->full;
}

Roofline gpu_roofline(const Target& target, const std::string& name, int units, DeviceRates rates) {
  const double per_clock = tensor_flops_per_clock(target.cuda, name.find("GeForce") != std::string::npos);
  Roofline roofline{.flops = per_clock * units * rates.clock_hz, .bytes_per_second = rates.bytes_per_second, .basis = ""};
  if (roofline.flops > 0)
    roofline.basis = fmt::format("{:.0f} TFLOP/s dense 16-bit ({} multiprocessors, {:.0f} per clock, {:.3g} GHz)", roofline.flops / 1e12,
                                 units, per_clock, rates.clock_hz / 1e9);
  if (rates.bytes_per_second > 0)
    roofline.basis += fmt::format("{}{:.0f} GB/s", roofline.basis.empty() ? "" : ", ", rates.bytes_per_second / 1e9);
  return roofline;
}

Roofline device_roofline(const Engine::Impl& engine, const std::string& math) {
  const Device& device = *engine.device();
  if (engine.target().backend == Backend::kCuda)
    return gpu_roofline(engine.target(), device.name(), device.identity().value("units", 0), device.rates());
  const auto peak = measure_peak(engine, math);
  if (!peak) return {};
  return {.flops = peak->flops, .basis = fmt::format("{:.0f} GFLOP/s {}, measured on this machine", peak->flops / 1e9, peak->name)};
}

}  // namespace fsa
