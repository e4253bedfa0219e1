/* A user's dlpack.h, included before fsa_c.h, is the one that counts. */
/* clang-format off */
#include "dlpack_elsewhere/dlpack/dlpack.h"
#include <fsa/fsa_c.h>
/* clang-format on */

#ifndef USERS_OWN_DLPACK
#error "the user's dlpack.h was not taken"
#endif

size_t size_of_tensor_when_first(void);
size_t size_of_tensor_when_first(void) { return sizeof(DLTensor); }
