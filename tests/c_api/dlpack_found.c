/* A user's <dlpack/dlpack.h> on the include path is the one that counts. */
#include <fsa/fsa_c.h>

#ifndef USERS_OWN_DLPACK
#error "the user's dlpack.h was not taken"
#endif

size_t size_of_tensor_when_found(void);
size_t size_of_tensor_when_found(void) { return sizeof(DLTensor); }
