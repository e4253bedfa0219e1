/* Owns DLTensor for those who have no dlpack.h: the same layout as in DLPack 0.8 and later (github.com/dmlc/dlpack), no more.
 *
 * A dlpack.h of your own comes first: include it before this file, or have <dlpack/dlpack.h> on the include path. */
#ifndef FSA_DLPACK_H_
#define FSA_DLPACK_H_

#if !defined(DLPACK_DLPACK_H_) && defined(__has_include)
#if __has_include(<dlpack/dlpack.h>)
#include <dlpack/dlpack.h>
#endif
#endif

#ifndef DLPACK_DLPACK_H_
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
typedef enum : int32_t {
#else
typedef enum {
#endif
  kDLCPU = 1,
  kDLCUDA = 2,
  kDLCUDAHost = 3,     /* pinned host memory */
  kDLCUDAManaged = 13  /* memory that host and GPUs share */
} DLDeviceType;

typedef struct {
  DLDeviceType device_type;
  int32_t device_id;
} DLDevice;

typedef enum { kDLInt = 0U, kDLUInt = 1U, kDLFloat = 2U, kDLBfloat = 4U } DLDataTypeCode;

typedef struct {
  uint8_t code;   /* a DLDataTypeCode */
  uint8_t bits;
  uint16_t lanes; /* 1 */
} DLDataType;

typedef struct {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;     /* in elements; NULL: rows packed without gaps */
  uint64_t byte_offset; /* added to data */
} DLTensor;

#ifdef __cplusplus
}
#endif
#endif /* DLPACK_DLPACK_H_ */
#endif /* FSA_DLPACK_H_ */
