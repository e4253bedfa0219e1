/* A host application in C99: selected attention on the CPU, in two threads on one plan, with an answer that is known without
 * an oracle. */
#include <fsa/fsa_c.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kTokens = 256, kHeadsQ = 4, kHeadsKv = 2, kDim = 64, kBlock = 32, kTopk = 4, kTensors = 8, kRuns = 20 };

size_t size_of_tensor_when_first(void); /* of dlpack_first.c and dlpack_found.c */
size_t size_of_tensor_when_found(void);

/* The inputs: keys all alike, so that every visible value weighs the same; value t is t throughout; every query selects its own block
 * and the first one. */
typedef struct {
  float q[kTokens * kHeadsQ * kDim], k[kTokens * kHeadsKv * kDim], v[kTokens * kHeadsKv * kDim];
  int32_t blocks[kHeadsKv * kTokens * kTopk], cu[2];
} inputs;

typedef struct {
  const fsa_plan* plan;
  const inputs* in;
  float *o, *lse; /* [kTokens, kHeadsQ, kDim], [kHeadsQ, kTokens] */
  fsa_status status;
  char message[512];
} job;

static inputs shared; /* static arrays have the 16-byte alignment that tensors need */
static float outputs[2][kTokens * kHeadsQ * kDim], lses[2][kHeadsQ * kTokens];
static job jobs[2];

static int failed(fsa_status status, const char* what) {
  if (status == FSA_OK) return 0;
  fprintf(stderr, "%s: %s: %s\n", what, fsa_status_name(status), fsa_last_error_message());
  return 1;
}

static void fill(inputs* in) {
  int t, h, d;
  in->cu[0] = 0;
  in->cu[1] = kTokens;
  for (t = 0; t < kTokens * kHeadsQ * kDim; ++t) in->q[t] = 0.5f;
  for (t = 0; t < kTokens; ++t)
    for (h = 0; h < kHeadsKv; ++h) {
      int32_t* slots = in->blocks + (h * kTokens + t) * kTopk;
      for (d = 0; d < kDim; ++d) {
        in->k[(t * kHeadsKv + h) * kDim + d] = 0.25f;
        in->v[(t * kHeadsKv + h) * kDim + d] = (float)t;
      }
      slots[0] = t / kBlock;
      slots[1] = t / kBlock > 0 ? 0 : -1;
      slots[2] = slots[3] = -1;
    }
}

/* Describes every tensor by what the plan says of it. */
static int describe(const fsa_plan* plan, void* const* data, DLTensor* tensors) {
  size_t i;
  for (i = 0; i < kTensors; ++i) {
    fsa_tensor_info info;
    memset(&info, 0, sizeof info);
    info.size = sizeof info;
    if (fsa_plan_get_tensor(plan, i, &info) != FSA_OK) return 1;
    memset(&tensors[i], 0, sizeof tensors[i]);
    tensors[i].data = data[i];
    tensors[i].device.device_type = kDLCPU;
    tensors[i].dtype = info.dtype;
    tensors[i].ndim = info.ndim;
    tensors[i].shape = (int64_t*)info.shape;
  }
  return 0;
}

static void* run(void* argument) {
  job* mine = (job*)argument;
  const inputs* in = mine->in;
  void* data[kTensors];
  DLTensor tensors[kTensors];
  const DLTensor* order[kTensors];
  fsa_plan_info info;
  char* memory;
  int i;
  data[0] = (void*)in->q, data[1] = (void*)in->k, data[2] = (void*)in->v, data[3] = (void*)in->blocks;
  data[4] = data[5] = (void*)in->cu, data[6] = mine->o, data[7] = mine->lse;
  memset(&info, 0, sizeof info);
  info.size = sizeof info;
  mine->status = fsa_plan_get_info(mine->plan, &info);
  if (mine->status == FSA_OK && describe(mine->plan, data, tensors)) mine->status = FSA_INTERNAL;
  for (i = 0; i < kTensors; ++i) order[i] = &tensors[i];
  memory = (char*)malloc(info.workspace_bytes + 256);
  for (i = 0; i < kRuns && mine->status == FSA_OK; ++i)
    mine->status = fsa_plan_forward(mine->plan, order, kTensors, memory + (256 - (uintptr_t)memory % 256), info.workspace_bytes, NULL);
  if (mine->status != FSA_OK) strncpy(mine->message, fsa_last_error_message(), sizeof mine->message - 1);
  free(memory);
  return NULL;
}

/* Query t sees the keys of its own block up to itself, and all of block 0 if that is another. */
static double worst_error(const job* mine) {
  double worst = 0;
  int t, i;
  for (t = 0; t < kTokens; ++t) {
    const int own = t / kBlock * kBlock, seen = t - own + 1, more = own > 0 ? kBlock : 0;
    const double sum = 0.5 * (own + t) * seen + 0.5 * (kBlock - 1) * more, mean = sum / (seen + more);
    const double lse = 0.5 * 0.25 * kDim / sqrt((double)kDim) + log((double)(seen + more));
    for (i = 0; i < kHeadsQ * kDim; ++i) worst = fmax(worst, fabs(mine->o[t * kHeadsQ * kDim + i] - mean));
    for (i = 0; i < kHeadsQ; ++i) worst = fmax(worst, fabs(mine->lse[i * kTokens + t] - lse));
  }
  return worst;
}

int main(void) {
  fsa_engine* engine = NULL;
  fsa_plan* plan = NULL;
  pthread_t threads[2];
  int i, bad = 0;
  if (size_of_tensor_when_first() != sizeof(DLTensor) || size_of_tensor_when_found() != sizeof(DLTensor)) return 1;
  if (failed(fsa_engine_create("cpu", NULL, &engine), "engine")) return 1;
  if (failed(fsa_plan_create(engine, "selected_attention",
                             "{\"dtype\": \"f32\", \"head_dim\": 64, \"head_dim_v\": 64, \"heads_q\": 4, \"heads_kv\": 2, "
                             "\"block_size\": 32, \"topk\": 4, \"total_q\": 256, \"total_k\": 256}",
                             &plan),
             "plan"))
    return 1;
  if (failed(fsa_engine_destroy(engine), "destroying the engine")) return 1; /* the plan outlives it */
  fill(&shared);
  for (i = 0; i < 2; ++i) {
    jobs[i].plan = plan;
    jobs[i].in = &shared;
    jobs[i].o = outputs[i];
    jobs[i].lse = lses[i];
    if (pthread_create(&threads[i], NULL, run, &jobs[i])) return 1;
  }
  for (i = 0; i < 2; ++i) {
    double error;
    pthread_join(threads[i], NULL);
    if (jobs[i].status != FSA_OK) fprintf(stderr, "thread %d: %s: %s\n", i, fsa_status_name(jobs[i].status), jobs[i].message);
    error = worst_error(&jobs[i]);
    printf("fsa %s, thread %d: worst error %.2g\n", fsa_version(), i, error);
    bad |= jobs[i].status != FSA_OK || !(error < 1e-3);
  }
  return failed(fsa_plan_destroy(plan), "destroying the plan") || bad;
}
