/* A host application in C: what it knows of the library is fsa_c.h and fsa::fsa. */
#include <fsa/fsa_c.h>

#include <stdio.h>
#include <string.h>

int main(void) {
  fsa_engine* engine = NULL;
  fsa_engine_info info;
  if (fsa_engine_create("cpu", NULL, &engine) != FSA_OK) {
    fprintf(stderr, "%s\n", fsa_last_error_message());
    return 1;
  }
  memset(&info, 0, sizeof info);
  info.size = sizeof info;
  if (fsa_engine_get_info(engine, &info) != FSA_OK) return 1;
  printf("fsa %s on %s (%s)\n", fsa_version(), info.device, info.target);
  return fsa_engine_destroy(engine) == FSA_OK ? 0 : 1;
}
