#pragma once
// Owns the changes that tests make to random inputs.
#include "templates/reference/random_problem.h"

namespace fsa::test {

/// Puts negative, future, past-the-end and extreme numbers into some of the slots.
void add_illegal_blocks(reference::SelectedInputs& inputs);

/// Makes every q.k * scale equal to `logit`, as near as the element type allows.
void set_all_logits(reference::SelectedInputs& inputs, double logit);

/// Draws v anew with this standard deviation.
void scale_values(reference::SelectedInputs& inputs, double deviation);

/// Makes the last `count` queries of each sequence select block 0 alone, so that nobody sees the newest keys, which stand
/// in blocks that earlier queries do select.
void hide_newest_keys(reference::SelectedInputs& inputs, int count);

/// Writes `value` over k and v of every (key, kv head) that no row sees.
void spoil_unseen_keys(reference::SelectedInputs& inputs, float value);

}  // namespace fsa::test
