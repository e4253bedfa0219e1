#pragma once
// Owns the comparison of a kernel's outputs with the oracle's: the error measures and their limits.
#include <span>
#include <string>

#include "fsa/base/tensor_view.h"
#include "templates/reference/selected_reference.h"

namespace fsa::reference {

inline constexpr double kOutputTolerance = 2.0e-3;  ///< ||out - ref|| / ||ref|| of bf16 and f16 problems
inline constexpr double kLseTolerance = 1.0e-5;     ///< |LSE - ref| / max(1, |ref|)

/// How far outputs are from the oracle's. Every measure is infinite where a NaN stands or one side alone is infinite.
struct Comparison {
  double output = 0;     ///< ||out - ref|| / ||ref|| over all rows; infinite if ref is 0 throughout and out is not
  double worst_row = 0;  ///< the largest ||row - ref|| / max(||ref row||, root mean square of all ||ref row||): shows a single wrong row
  double lse = 0;        ///< the largest |LSE - ref| / max(1, |ref|); equal infinities differ by 0

  /// True within the tolerances; a row may be 5 times as far off as all rows together.
  bool within(double output_tolerance = kOutputTolerance, double lse_tolerance = kLseTolerance) const;
  /// "output 1.2e-03, worst row 2.1e-03, LSE 3e-07".
  std::string describe() const;
};

/// Compares o [Tq, Hq, Dv] (bf16, f16 or f32, any strides) and lse f32 [Hq, Tq], both in host memory, with every row's reference.
Comparison compare(const TensorView& o, const TensorView& lse, const SelectedOutputs& expected);

/// Compares o [rows, heads, columns] alone, any strides, with `expected`, which may have fewer rows: the first ones are compared.
Comparison compare_output(const TensorView& o, std::span<const double> expected);

/// The same for the rows of the sampled form.
Comparison compare_rows(const TensorView& o, const TensorView& lse, std::span<const Row> rows, const SelectedOutputs& expected);

}  // namespace fsa::reference
