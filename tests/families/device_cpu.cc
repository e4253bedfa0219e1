#include "tests/families/conformance.h"

const char* fsa::test::device_under_test() { return "cpu"; }
