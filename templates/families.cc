#include "templates/families.h"

#include <array>

#include "codegen/make_family.h"
#include "templates/block_index/family.h"
#include "templates/compress_kv/family.h"
#include "templates/compressed_attention/family.h"
#include "templates/compressed_sequences/family.h"
#include "templates/gated_combine/family.h"
#include "templates/multiply_add_peak/family.h"
#include "templates/partial_reduce/family.h"
#include "templates/select_blocks/family.h"
#include "templates/selected_block_major/family.h"
#include "templates/selected_query_major/family.h"
#include "templates/shared_blocks/family.h"
#include "templates/shared_reduce/family.h"
#include "templates/sliding_window/family.h"

namespace fsa {

std::span<const Family> all_families() {
  static const std::array families{
      make_family<BlockIndexFamily>(),          make_family<SelectedBlockMajorFamily>(),  make_family<PartialReduceFamily>(),
      make_family<SelectedQueryMajorFamily>(),  make_family<SharedBlocksFamily>(),        make_family<SharedReduceFamily>(),
      make_family<CompressedSequencesFamily>(), make_family<CompressKvFamily>(),          make_family<GatedCombineFamily>(),
      make_family<SelectBlocksFamily>(),        make_family<CompressedAttentionFamily>(), make_family<SlidingWindowFamily>(),
      make_family<MultiplyAddPeakFamily>(),
  };
  return families;
}

const Family* find_family(std::string_view name) {
  for (const Family& family : all_families())
    if (family.name == name) return &family;
  return nullptr;
}

}  // namespace fsa
