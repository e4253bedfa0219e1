#pragma once
// Owns the CUDA driver library: loads libcuda on demand and holds the functions that are used of it.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "fsa/base/result.h"

namespace fsa {

/// The driver's C interface. Declared here, not included, so that a build needs no CUDA and a binary starts without a
/// driver. Signatures: CUDA Driver API reference, the same in CUDA 12 and 13.
struct CudaDriver {
  using Status = int;
  using DeviceHandle = int;
  using Pointer = std::uint64_t;  ///< CUdeviceptr
  using Context = struct CudaContextHandle*;
  using Library = struct CudaLibraryHandle*;
  using KernelHandle = struct CudaKernelHandle*;
  using ModuleHandle = struct CudaModuleHandle*;
  using Function = struct CudaFunctionHandle*;
  using Stream = struct CudaStreamHandle*;
  using Event = struct CudaEventHandle*;
  using Graph = struct CudaGraphHandle*;
  using GraphExec = struct CudaGraphExecHandle*;

  static constexpr Status kSuccess = 0, kInvalidValue = 1, kOutOfMemory = 2, kNoDevice = 100, kInvalidImage = 200, kNoBinaryForGpu = 209,
                          kUnsupportedPtxVersion = 222, kNotFound = 500, kCaptureImplicit = 906;
  enum DeviceAttribute : int {
    kClockKHz = 13,
    kMultiprocessorCount = 16,
    kMemoryClockKHz = 36,
    kMemoryBusBits = 37,
    kL2Bytes = 38,
    kMajor = 75,
    kMinor = 76,
    kSmemPerMultiprocessor = 81
  };
  enum FunctionAttribute : int { kNumRegisters = 4, kMaxDynamicSmemBytes = 8 };
  enum PointerAttribute : int { kMemoryType = 2, kIsManaged = 8, kDeviceOrdinal = 9 };
  /// One of a launch's attributes, as the driver lays it out.
  struct LaunchAttribute {
    alignas(8) int id;
    union {
      int flag;
      alignas(8) char bytes[64];
    } value;
  };
  struct LaunchConfig {
    unsigned grid[3], block[3], smem;
    Stream stream;
    LaunchAttribute* attributes;
    unsigned num_attributes;
  };
  static constexpr int kProgrammaticSerialization = 6;
  enum CaptureMode : int { kCaptureGlobal = 0, kCaptureThreadLocal = 1, kCaptureRelaxed = 2 };
  static constexpr unsigned kStreamNonBlocking = 1, kEventRecordExternal = 1, kEventDisableTiming = 2;
  static constexpr int kMemoryTypeDevice = 2;
  static constexpr int kTensorMapUint16 = 1, kTensorMapSwizzle128 = 3, kTensorMapPromote256 = 3;

  Status (*get_error_name)(Status, const char**) = nullptr;
  Status (*get_error_string)(Status, const char**) = nullptr;
  Status (*init)(unsigned flags) = nullptr;
  Status (*driver_get_version)(int*) = nullptr;
  Status (*device_get_count)(int*) = nullptr;
  Status (*device_get)(DeviceHandle*, int ordinal) = nullptr;
  Status (*device_get_name)(char*, int length, DeviceHandle) = nullptr;
  Status (*device_get_attribute)(int*, DeviceAttribute, DeviceHandle) = nullptr;
  Status (*primary_context_retain)(Context*, DeviceHandle) = nullptr;
  Status (*primary_context_release)(DeviceHandle) = nullptr;
  Status (*context_get_current)(Context*) = nullptr;
  Status (*context_push)(Context) = nullptr;
  Status (*context_pop)(Context*) = nullptr;
  Status (*context_synchronize)() = nullptr;
  Status (*library_load_data)(Library*, const void*, int*, void**, unsigned, int*, void**,
                              unsigned) = nullptr;  ///< null before 12.0, with the next three
  Status (*library_unload)(Library) = nullptr;
  Status (*library_get_kernel)(KernelHandle*, Library, const char*) = nullptr;
  Status (*kernel_get_function)(Function*, KernelHandle) = nullptr;
  Status (*module_load_data)(ModuleHandle*, const void*) = nullptr;
  Status (*module_unload)(ModuleHandle) = nullptr;
  Status (*module_get_function)(Function*, ModuleHandle, const char*) = nullptr;
  Status (*function_get_attribute)(int*, FunctionAttribute, Function) = nullptr;
  Status (*function_set_attribute)(Function, FunctionAttribute, int) = nullptr;
  Status (*launch_kernel)(Function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned smem, Stream,
                          void** params, void** extra) = nullptr;
  Status (*launch_kernel_with_attributes)(const LaunchConfig*, Function, void** params, void** extra) = nullptr;  ///< null before 11.8
  Status (*tensor_map_encode_tiled)(void* map, int type, unsigned rank, void* address, const std::uint64_t* extents,
                                    const std::uint64_t* strides, const unsigned* box, const unsigned* steps, int interleave, int swizzle,
                                    int promotion, int fill) = nullptr;  ///< null before 12.0
  Status (*memory_allocate)(Pointer*, std::size_t) = nullptr;
  Status (*memory_free)(Pointer) = nullptr;
  Status (*copy_to_device)(Pointer, const void*, std::size_t) = nullptr;
  Status (*copy_to_host)(void*, Pointer, std::size_t) = nullptr;
  Status (*fill_bytes)(Pointer, unsigned char, std::size_t) = nullptr;
  Status (*pointer_get_attribute)(void*, PointerAttribute, Pointer) = nullptr;
  Status (*stream_create)(Stream*, unsigned flags) = nullptr;
  Status (*stream_destroy)(Stream) = nullptr;
  Status (*stream_synchronize)(Stream) = nullptr;
  Status (*stream_is_capturing)(Stream, int* status) = nullptr;
  /// Status (0: none) and number of the capture; the rest of what it can tell is not asked for.
  Status (*stream_get_capture_info)(Stream, int* status, std::uint64_t* id, Graph*, const void**, std::size_t*) = nullptr;
  Status (*stream_wait_event)(Stream, Event, unsigned flags) = nullptr;
  Status (*stream_begin_capture)(Stream, CaptureMode) = nullptr;
  Status (*stream_end_capture)(Stream, Graph*) = nullptr;
  Status (*exchange_capture_mode)(CaptureMode*) = nullptr;
  Status (*event_create)(Event*, unsigned flags) = nullptr;
  Status (*event_destroy)(Event) = nullptr;
  Status (*event_record)(Event, Stream) = nullptr;
  Status (*event_record_with_flags)(Event, Stream, unsigned flags) = nullptr;
  Status (*event_synchronize)(Event) = nullptr;
  Status (*event_elapsed_ms)(float*, Event, Event) = nullptr;
  Status (*graph_instantiate)(GraphExec*, Graph, unsigned long long flags) = nullptr;
  Status (*graph_launch)(GraphExec, Stream) = nullptr;
  Status (*graph_destroy)(Graph) = nullptr;
  Status (*graph_exec_destroy)(GraphExec) = nullptr;

  /// Loads libcuda and initialises it; cheap when it is loaded already. It stays loaded until the process ends.
  /// Errors: kUnavailable without a driver, without a GPU, or when the driver refuses to start.
  static Result<std::shared_ptr<const CudaDriver>> load();

  bool has_libraries() const { return library_load_data && library_unload && library_get_kernel && kernel_get_function; }
  /// "CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)".
  std::string describe(Status status) const;
  /// Success, or a kDevice error that says what `action` was under way.
  Result<void> check(Status status, std::string_view action, std::source_location where = std::source_location::current()) const;
};

}  // namespace fsa
