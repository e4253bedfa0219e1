/* Owns the C interface of libfsa: engines, plans, forward calls on DLPack tensors, tuning. C99 and C++. A whole program:
 *
 *   #include <stdio.h>
 *   #include <stdlib.h>
 *   #include <fsa/fsa_c.h>
 *
 *   enum { T = 256, HQ = 4, HKV = 1, D = 64, BLOCK = 32, TOPK = 4 };
 *   static float q[T * HQ * D], k[T * HKV * D], v[T * HKV * D], o[T * HQ * D], lse[HQ * T];
 *   static int32_t blocks[HKV * T * TOPK], cu[2] = {0, T};
 *
 *   static DLTensor tensor(void* data, uint8_t code, int32_t ndim, int64_t* shape) {
 *     DLTensor t = {0};
 *     t.data = data, t.device.device_type = kDLCPU, t.dtype.code = code, t.dtype.bits = 32, t.dtype.lanes = 1, t.ndim = ndim, t.shape = shape;
 *     return t;
 *   }
 *   static int failed(fsa_status status) {
 *     if (status != FSA_OK) fprintf(stderr, "%s: %s\n", fsa_status_name(status), fsa_last_error_message());
 *     return status != FSA_OK;
 *   }
 *
 *   int main(void) {
 *     fsa_engine* engine = NULL;
 *     fsa_plan* plan = NULL;
 *     if (failed(fsa_engine_create("cpu", NULL, &engine))) return 1;
 *     if (failed(fsa_plan_create(engine, "selected_attention",
 *                                "{\"dtype\": \"f32\", \"head_dim\": 64, \"head_dim_v\": 64, \"heads_q\": 4, \"heads_kv\": 1, "
 *                                "\"block_size\": 32, \"topk\": 4, \"total_q\": 256, \"total_k\": 256}", &plan))) return 1;
 *     for (int i = 0; i < T * D; ++i) k[i] = 0.25f, v[i] = 1.0f;
 *     for (int i = 0; i < T * TOPK; ++i) blocks[i] = i % TOPK == 0 ? i / TOPK / BLOCK : -1;  // every query selects its own block
 *
 *     int64_t q_shape[] = {T, HQ, D}, k_shape[] = {T, HKV, D}, index_shape[] = {HKV, T, TOPK}, cu_shape[] = {2}, lse_shape[] = {HQ, T};
 *     DLTensor tensors[] = {tensor(q, kDLFloat, 3, q_shape), tensor(k, kDLFloat, 3, k_shape), tensor(v, kDLFloat, 3, k_shape),
 *                           tensor(blocks, kDLInt, 3, index_shape), tensor(cu, kDLInt, 1, cu_shape), tensor(cu, kDLInt, 1, cu_shape),
 *                           tensor(o, kDLFloat, 3, q_shape), tensor(lse, kDLFloat, 2, lse_shape)};
 *     const DLTensor* order[8];
 *     for (int i = 0; i < 8; ++i) order[i] = &tensors[i];
 *
 *     fsa_plan_info info = {.size = sizeof info};
 *     if (failed(fsa_plan_get_info(plan, &info))) return 1;
 *     char* memory = malloc(info.workspace_bytes + 256);  // the caller owns all memory; 256-byte aligned:
 *     void* workspace = memory + (256 - (uintptr_t)memory % 256);
 *     if (failed(fsa_plan_forward(plan, order, 8, workspace, info.workspace_bytes, NULL))) return 1;
 *     printf("%s kernels, o[0] = %g\n", info.variant, o[0]);
 *     free(memory), fsa_plan_destroy(plan), fsa_engine_destroy(engine);
 *     return 0;
 *   }
 *
 * Every function that can fail returns an fsa_status. No exception leaves the library, it never prints and never aborts.
 * Handles are opaque; a null handle, or a pointer that is no live handle as far as a mark in it tells, is
 * FSA_INVALID_ARGUMENT. Using a destroyed handle is undefined all the same. Structs begin with `size`: set it to sizeof the
 * struct and the rest to zero; later versions append members, whose zero means what was so before. */
#ifndef FSA_FSA_C_H_
#define FSA_FSA_C_H_

#include <stddef.h>
#include <stdint.h>

#include "fsa/dlpack.h"

#define FSA_C_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* Who has to act. Everything but FSA_INTERNAL can be mended outside the library. */
typedef enum fsa_status {
  FSA_OK = 0,
  FSA_INVALID_ARGUMENT = 1, /* the caller passed something inconsistent: wrong shape, dtype, device, pointer, option */
  FSA_UNSUPPORTED = 2,      /* consistent, but no kernel of this library covers it */
  FSA_NOT_FOUND = 3,        /* a file, cache entry or packed kernel does not exist */
  FSA_UNAVAILABLE = 4,      /* no device, driver, compiler, memory or permission on this machine */
  FSA_COMPILE = 5,          /* a compiler rejected generated source */
  FSA_DEVICE = 6,           /* the device reported a failure at run time */
  FSA_IO = 7,               /* reading or writing a file failed */
  FSA_CORRUPT = 8,          /* data was read but fails its checksum or format */
  FSA_TIMEOUT = 9,          /* a time limit passed */
  FSA_CANCELLED = 10,       /* the caller stopped it */
  FSA_INTERNAL = 11         /* an invariant of the library is broken: please report it */
} fsa_status;

typedef struct fsa_engine fsa_engine; /* one device with its kernels; thread-safe */
typedef struct fsa_plan fsa_plan;     /* an operator's forward bound to its kernels; immutable, thread-safe; outlives its engine */

/* ---- The library ---- */

/* "0.1.0". Static. */
FSA_C_API const char* fsa_version(void);
/* "ok", "invalid_argument", ...; "unknown" for a number that is none. Static. */
FSA_C_API const char* fsa_status_name(fsa_status status);
/* What the last failing call of this thread had to say: what was given, what is supported, how to mend it. Never null;
 * "" before the first failure; a call that succeeds leaves it. Valid until this thread's next failing call. */
FSA_C_API const char* fsa_last_error_message(void);
/* The operators that plans can be made for: index 0, 1, ... until NULL. Static. */
FSA_C_API const char* fsa_operator_name(size_t index);

/* ---- Engines ---- */

typedef enum fsa_log_level { FSA_LOG_DEBUG = 0, FSA_LOG_INFO = 1, FSA_LOG_WARNING = 2 } fsa_log_level;
/* Receives one line without a newline. Called from any thread, never from fsa_plan_forward(). Must not throw. */
typedef void (*fsa_log_fn)(void* context, fsa_log_level level, const char* line);

typedef struct fsa_engine_options {
  size_t size;
  int32_t from_environment; /* 1: start from the FSA_* variables that README.md lists; what is set here goes before them */
  int32_t num_threads;      /* worker threads of the CPU device; 0: one for each core this process may use */
  int32_t no_cache;         /* 1: neither read nor write the cache folder */
  int32_t freeze;           /* 1: a kernel that would have to be compiled is an error */
  const char* cache_dir;    /* tuning results and compiled kernels; NULL: $XDG_CACHE_HOME/fsa or ~/.cache/fsa */
  const char* template_dir; /* a checkout's templates/ to compile in place of the embedded ones; NULL: embedded */
  const char* pack;         /* an export pack to take kernels and choices from before anything else; NULL: none */
  const char* nvrtc_path;   /* the libnvrtc to load, or its folder; NULL: the system's */
  fsa_log_fn log;           /* NULL: silent */
  void* log_context;        /* passed to log; has to live as long as the engine and its plans */
} fsa_engine_options;

typedef struct fsa_engine_info {
  size_t size;
  const char* device;      /* "cpu", "cuda:0" */
  const char* device_name; /* for people: name and driver */
  const char* target;      /* what kernels are compiled for: "sm_90a", "x86-64-v4" */
} fsa_engine_info;

/* Opens "cpu", "cuda" (the first GPU) or "cuda:N". `options` may be null: defaults, no environment. Strings are copied.
 * Errors: FSA_INVALID_ARGUMENT (unknown device, malformed variable), FSA_UNAVAILABLE (what this machine lacks), FSA_IO, FSA_CORRUPT
 * and FSA_NOT_FOUND (of the pack). On an error *engine is NULL. */
FSA_C_API fsa_status fsa_engine_create(const char* device, const fsa_engine_options* options, fsa_engine** engine);
/* NULL is fine. Plans of the engine stay usable. */
FSA_C_API fsa_status fsa_engine_destroy(fsa_engine* engine);
/* Fills the members that info->size covers. The strings are the engine's own and live as long as it. */
FSA_C_API fsa_status fsa_engine_get_info(const fsa_engine* engine, fsa_engine_info* info);

/* ---- Plans ---- */

/* How the memory of a tensor may be laid out. */
typedef enum fsa_layout {
  FSA_LAYOUT_PACKED = 0, /* contiguous; aligned to the element */
  FSA_LAYOUT_ROWS = 1,   /* [tokens, heads, dim]: token and head strides free multiples of 16 bytes, dim contiguous; 16-byte aligned */
  FSA_LAYOUT_SCALARS = 2 /* [tokens, heads, n]: token and head strides free, 0 included, n contiguous; aligned to the element */
} fsa_layout;

typedef struct fsa_tensor_info {
  size_t size;
  const char* name;     /* "q", "block_indices", ... */
  const int64_t* shape; /* [ndim] */
  int32_t ndim;
  DLDataType dtype;
  fsa_layout layout;
  int32_t written; /* 1: an output; 0: an input, which is left as it is */
} fsa_tensor_info;

typedef struct fsa_plan_info {
  size_t size;
  const char* op;             /* "selected_attention" */
  const char* variant;        /* the loop order that was chosen: "block_major", "query_major", "hybrid", ... */
  const char* report_text;    /* for people, some lines: variant, where the choice came from and why, where kernels came from */
  const char* report_json;    /* the same: {"op","variant","source","why","configs","compiled","from_cache","from_pack","already_loaded","seconds"} */
  size_t num_tensors;         /* that forward takes */
  size_t workspace_bytes;     /* that forward needs; the memory has to be 256-byte aligned, on the plan's device */
  DLDevice device;            /* of tensors and workspace */
} fsa_plan_info;

/* Chooses and loads kernels for one problem: milliseconds when cached, some hundred milliseconds per kernel otherwise. Not while
 * a CUDA stream of this thread captures. `problem_json` is an object with the fields of the operator's problem, dtypes as "bf16",
 * "f16" or "f32" (f32: CPU only); missing fields have defaults, unknown ones are errors. For "selected_attention":
 *   dtype, head_dim D, head_dim_v Dv, heads_q Hq, heads_kv Hkv, block_size, topk T, num_seqs B, total_q Tq, total_k Tk, scale
 * with the tensors, in this order,
 *   q [Tq,Hq,D], k [Tk,Hkv,D], v [Tk,Hkv,Dv], block_indices i32 [Hkv,Tq,T], cu_q i32 [B+1], cu_k i32 [B+1]; o [Tq,Hq,Dv], lse f32 [Hq,Tq].
 * The branches of Native Sparse Attention on their own (kernel_size l and stride s of compressed keys, Tc rows of them: at least
 * what the sequences have; heads are never guessed):
 *   "compressed_attention": dtype, head_dim, head_dim_v, heads_q, heads_kv, kernel_size, stride, num_seqs, total_q, total_k, total_c Tc, scale;
 *     q, ck [Tc,Hkv,D], cv [Tc,Hkv,Dv], cu_q, cu_k; o, lse
 *   "select_blocks": dtype, head_dim, heads_q, heads_kv, kernel_size, stride, block_size, topk, init_blocks, local_blocks, num_seqs, total_q,
 *     total_k, total_c, scale; q, ck, lse f32 [Hq,Tq] of compressed_attention, cu_q, cu_k; block_indices i32 [Hkv,Tq,T]
 *   "sliding_window": dtype, head_dim, head_dim_v, heads_q, heads_kv, window, num_seqs, total_q, total_k, scale; q, k, v, cu_q, cu_k; o, lse
 *   "compress_kv": dtype, mode ("mean", "weighted", "linear"), positional (1: with pe; linear only), head_dim, heads_kv, kernel_size, stride,
 *     num_seqs, total_k, total_c (0: total_k / stride); x [Tk,Hkv,D], w (weighted: [Hkv,l]; linear: [Hkv,l*D,D]; absent of mean),
 *     pe [Hkv,l,D], cu_k; y [Tc,Hkv,D], of which rows past the last compressed key are left as they are
 * Errors: FSA_INVALID_ARGUMENT and FSA_UNSUPPORTED (also an unknown operator) say what to change; FSA_UNAVAILABLE (no compiler),
 * FSA_COMPILE, FSA_DEVICE. On an error *plan is NULL. */
FSA_C_API fsa_status fsa_plan_create(const fsa_engine* engine, const char* op, const char* problem_json, fsa_plan** plan);
/* NULL is fine. No call of the plan may be under way in another thread. Kernels are unloaded with the last of their engine and its
 * plans: by then work enqueued on a GPU must have finished. */
FSA_C_API fsa_status fsa_plan_destroy(fsa_plan* plan);
/* Fills the members that info->size covers. The strings are the plan's own and live as long as it. */
FSA_C_API fsa_status fsa_plan_get_info(const fsa_plan* plan, fsa_plan_info* info);
/* Tensor `index` of forward. Name and shape are the plan's own. FSA_INVALID_ARGUMENT past the last. */
FSA_C_API fsa_status fsa_plan_get_tensor(const fsa_plan* plan, size_t index, fsa_tensor_info* info);

/* Computes the outputs. `tensors`: `count` pointers in the order of fsa_plan_get_tensor(); only read during the call.
 * Device: a CPU plan takes kDLCPU, kDLCUDAHost and kDLCUDAManaged (GPU work on it done); a CUDA plan takes kDLCUDA with its own
 * device_id and kDLCUDAManaged, but not kDLCUDAHost, which kernels would read at the speed of the bus.
 * dtype: lanes 1; bf16 {kDLBfloat,16}, f16 {kDLFloat,16}, f32 {kDLFloat,32}, i32 {kDLInt,32}. strides NULL: packed.
 * CUDA: asynchronous on `stream` (a CUstream or cudaStream_t; NULL is the default stream), no synchronisation, may be captured in a
 * graph; what cu_q, cu_k and block_indices hold is not looked at, and never makes a kernel leave its tensors. CPU: returns when
 * done, `stream` is ignored, cu_q and cu_k are checked. No lock, no allocation. Any number of threads at once, a workspace each.
 * Errors: FSA_INVALID_ARGUMENT names the tensor: count, device, dtype, shape, strides, null or misaligned pointer, workspace too
 * small; then nothing ran. FSA_DEVICE: the launch failed. */
FSA_C_API fsa_status fsa_plan_forward(const fsa_plan* plan, const DLTensor* const* tensors, size_t count, void* workspace, size_t workspace_bytes,
                                      void* stream);
/* Everything forward checks, that the pointers belong to the plan's device, and the contents of cu_q and cu_k: start at 0, never
 * decrease, end at Tq and Tk, len_q <= len_k. Waits for the device: for debugging. */
FSA_C_API fsa_status fsa_plan_validate(const fsa_plan* plan, const DLTensor* const* tensors, size_t count);

/* ---- Tuning ---- */

typedef struct fsa_progress {
  size_t size;
  const char* step;       /* "compile", "measure", "verify" or "finished" */
  const char* variant;    /* being explored; "" for the defaults and the finalists */
  const char* family;     /* the kernel being explored, or "" */
  const char* note;       /* a sentence worth a line of its own: a candidate failed, the run finished; else "" */
  double fraction;        /* done, 0 to 1 */
  double elapsed_seconds;
  double best_seconds;    /* fastest so far; NaN before there is one */
  double default_seconds; /* the default's; NaN before it was timed */
} fsa_progress;
/* Called from the thread that called fsa_tune(). Strings live during the call. Not 0: stop. Must not throw. */
typedef int (*fsa_progress_fn)(void* context, const fsa_progress* progress);

typedef struct fsa_tune_options {
  size_t size;
  double max_seconds;        /* about; 0: 120 */
  double candidate_seconds;  /* a candidate that hangs for so long is given up (with worker_command); 0: 60 */
  uint64_t max_candidates;   /* 0: 400 */
  uint64_t seed;             /* of inputs and sampling; 0: 1 */
  int32_t no_save;           /* 1: leave the tuning cache as it is */
  const char* log_path;      /* JSON Lines record, also read to resume; NULL: none */
  /* Command line of a process that calls fsa_run_tuning_worker(), ended by NULL, e.g. {"/usr/bin/fsa", "worker", NULL}: candidates run
   * there, and one that crashes costs itself alone. NULL: in this process. */
  const char* const* worker_command;
  fsa_progress_fn progress;  /* NULL: none */
  void* progress_context;
  const volatile int32_t* stop; /* looked at twenty times a second; not 0: stop, keeping what is known. NULL: never */
} fsa_tune_options;

/* Finds the fastest configuration of `op` for a problem (as for fsa_plan_create) and keeps it in the tuning cache, where later
 * plans of the same or a near problem find it. `options` may be null. *result_json, unless result_json is null: {"variant",
 * "configs","seconds","default_seconds","speedup","winner_is_default","why","kept","partial","counts",...}; to be freed with
 * fsa_string_free(). Errors: those of fsa_plan_create; FSA_CANCELLED when stopped before anything was known; FSA_DEVICE when no
 * candidate gave the right result. Stopped later it is FSA_OK with "partial" true. */
FSA_C_API fsa_status fsa_tune(const fsa_engine* engine, const char* op, const char* problem_json, const fsa_tune_options* options, char** result_json);
/* Serves the fsa_tune() of the parent process until that closes the channel. */
FSA_C_API fsa_status fsa_run_tuning_worker(void);
/* NULL is fine. */
FSA_C_API void fsa_string_free(char* string);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* FSA_FSA_C_H_ */
