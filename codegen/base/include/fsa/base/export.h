#pragma once
// Owns FSA_API, which marks what libfsa.so exports; everything else in the library is hidden.

#define FSA_API __attribute__((visibility("default")))
