/* What this machine attains: products alone, whole steps of a small language model, its disk. */
#include <kdistill/data.h>
#include <kdistill/loss.h>
#include <kdistill/model.h>
#include <kdistill/optimizer.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/context.h"
#include "base/file.h"
#include "base/os.h"
#include "base/memory.h"
#include "math/random.h"
#include "measure/plan/plan.h"

static const char small_llama[] =
    "{\"model_type\":\"llama\",\"vocab_size\":4096,\"hidden_size\":288,\"intermediate_size\":768,"
    "\"num_hidden_layers\":6,\"num_attention_heads\":6,\"num_key_value_heads\":6,"
    "\"max_position_embeddings\":256}";
enum { TEXTS = 2, LENGTH = 256, TOKENS = TEXTS * LENGTH, CLASSES = 4096 };
#define MOST_STEPS 200
#define MOVED 28 /* bytes of a parameter that AdamW reads and writes: four read, three written */

/* ---- steps ---- */

typedef struct {
    kd_context *context;
    kd_model *model;
    kd_batch *batch;
    kd_loss *loss;
    kd_optimizer *optimizer;
} loop;

static kd_status fill_batch(loop *l)
{
    int64_t tokens[TOKENS], offsets[TEXTS + 1];
    const kd_array ids = KD_ARRAY_1D(tokens, KD_INT64, TOKENS),
                   bounds = KD_ARRAY_1D(offsets, KD_INT64, TEXTS + 1);
    for (int64_t i = 0; i <= TEXTS; i++) offsets[i] = i * LENGTH;
    for (uint64_t i = 0; i < TOKENS; i++) tokens[i] = (int64_t)(kd__mix(i) % CLASSES);
    KD_TRY(kd_batch_create(&l->batch, l->context, NULL));
    KD_TRY(kd_batch_begin_packed(l->batch, &bounds));
    KD_TRY(kd_batch_set(l->batch, "tokens", &ids, NULL));
    return kd_batch_set(l->batch, "label", &ids, NULL);
}

static kd_status make_loop(loop *l)
{
    KD_TRY(kd_model_create(&l->model, l->context, small_llama, NULL));
    KD_TRY(fill_batch(l));
    KD_TRY(kd_loss_create(&l->loss, l->context, NULL));
    KD_TRY(kd_loss_add(l->loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
    KD_TRY(kd_optimizer_create(&l->optimizer, l->context, KD_OPTIMIZER_ADAMW, NULL));
    return kd_optimizer_add_model(l->optimizer, l->model);
}

static void free_loop(loop *l)
{
    kd_optimizer_free(l->optimizer);
    kd_loss_free(l->loss);
    kd_batch_free(l->batch);
    kd_model_free(l->model);
}

/* Seconds of the passes and of the update. */
static kd_status step(loop *l, double *passes, double *update)
{
    const double start = kd__os_now();
    KD_TRY(kd_model_forward(l->model, l->batch, KD_MODE_TRAIN));
    KD_TRY(kd_loss_backward(l->loss, l->model, l->batch, NULL, NULL, NULL));
    const double middle = kd__os_now();
    KD_TRY(kd_optimizer_step(l->optimizer, 1e-4));
    *passes = middle - start;
    *update = kd__os_now() - middle;
    return KD_OK;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_size);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* Medians: a run of hours has the machine's usual step, not its best. */
static kd_status time_steps(loop *l, double seconds, double *passes, double *update)
{
    double of_passes[MOST_STEPS], of_updates[MOST_STEPS];
    int count = 0;
    KD_TRY(step(l, passes, update)); /* the first one allocates */
    const double end = kd__os_now() + seconds;
    while (count < MOST_STEPS && (count < 2 || kd__os_now() < end)) {
        KD_TRY(step(l, &of_passes[count], &of_updates[count]));
        count++;
    }
    *passes = median(of_passes, count);
    *update = median(of_updates, count);
    return KD_OK;
}

static kd_status measure_steps(kd_context *context, double seconds, kd_plan_machine *m)
{
    loop l = { .context = context };
    kd__work work;
    double passes = 0, update = 0;
    KD_TRY(kd__work_of(context, small_llama, "the small model", LENGTH, 0, &work));
    kd_status status = make_loop(&l);
    if (status == KD_OK) status = time_steps(&l, seconds, &passes, &update);
    free_loop(&l);
    KD_TRY(status);
    const double flops = 3 * (work.layers + work.attention + work.head) * TOKENS;
    if (update > 0) m->update_bytes = MOVED * (double)work.parameters / update;
    m->efficiency = 1;
    if (passes <= 0) return KD_OK;
    /* passes that were faster than products: these were measured in a bad moment */
    if (flops / passes > m->flops) m->flops = flops / passes;
    m->efficiency = flops / passes / m->flops;
    return KD_OK;
}

/* ---- disk ---- */

enum { PIECE = 1 << 20, PIECES = 64 };

static kd_status write_pieces(kd__output *output, const char *piece)
{
    for (int i = 0; i < PIECES; i++) KD_TRY(kd__output_write(output, piece, PIECE));
    return kd__output_commit(output);
}

static kd_status measure_disk(kd_context *context, const char *folder, kd_plan_machine *m)
{
    kd__output output;
    char *path = NULL, *piece = NULL;
    kd_status status = KD_NEW(context, &piece, PIECE);
    for (int64_t i = 0; i < PIECE && status == KD_OK; i++)
        piece[i] = (char)(kd__mix((uint64_t)i) >> 56);
    if (status == KD_OK) status = kd__path_join(context, &path, folder, "kdistill-plan");
    if (status == KD_OK) {
        const double start = kd__os_now();
        status = kd__output_open(&output, context, path, 1);
        if (status == KD_OK) status = write_pieces(&output, piece);
        m->disk_bytes = (double)PIECE * PIECES / (kd__os_now() - start);
        if (status == KD_OK) kd__os_remove(path);
        else kd__output_abandon(&output);
    }
    kd__release(context, piece);
    kd__release(context, path);
    return status;
}

/* ---- the call ---- */

kd_status kd_plan_measure_machine(kd_context *context, const char *folder, double seconds,
                                  kd_plan_machine *machine)
{
    kd_plan_machine made = { .struct_size = sizeof made };
    kd_context_info info = { .struct_size = sizeof info };
    double float32 = 0, bfloat16 = 0;
    KD_NEED(context);
    KD_NEED(machine);
    KD_FAIL_IF(!(seconds >= 0 && seconds <= 60), KD_ERR_RANGE, "seconds: expected 0 to 60, got %g",
               seconds);
    const double start = kd__os_now();
    KD_TRY(kd_context_get_info(context, &info));
    if (folder) KD_TRY(measure_disk(context, folder, &made)); /* a wrong folder is told at once */
    KD_TRY(kd_context_measure_matmul(context, &float32, &bfloat16));
    made.threads = info.threads;
    made.flops = info.matmul_precision == KD_PRECISION_BFLOAT16 ? bfloat16 : float32;
    KD_TRY(measure_steps(context, seconds, &made));
    made.seconds = kd__os_now() - start;
    return kd__info_write(machine, &made, sizeof made, "kd_plan_machine");
}
