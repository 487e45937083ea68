/* A plan: steps, hours, memory, network, store. Legend: N ranks, P parameters, R FLOP/s, e
 * efficiency, B bytes a second of a link, t tokens of a rank in a step. */
#include <kdistill/loss.h>
#include <kdistill/model.h>
#include <kdistill/store.h>
#include <math.h>

#include "base/numbers.h"
#include "measure/plan/plan.h"

static const kd_plan_options defaults = KD_PLAN_OPTIONS_INIT;
void kd_plan_options_init(kd_plan_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

typedef struct {
    kd_context *context;
    kd_plan_options o;
    kd__work student, teacher;
    kd_plan_info *p;
} plan;

/* ---- options ---- */

static kd_status check_number(double value, double low, double high, const char *name)
{
    KD_FAIL_IF(!(value >= low && value <= high), KD_ERR_RANGE, "%s: expected %g to %g, got %g",
               name, low, high, value);
    return KD_OK;
}

static kd_status check_data(const kd_plan_options *o)
{
    KD_TRY(check_number((double)o->samples, 1, 1e15, "samples"));
    KD_TRY(check_number((double)o->tokens, (double)o->samples, 1e15, "tokens"));
    KD_TRY(check_number(o->length_deviation, 0, 1e12, "length_deviation"));
    KD_TRY(check_number(o->answer_share, 0, 1, "answer_share"));
    KD_TRY(check_number(o->token_bytes, 0, 1e6, "token_bytes"));
    KD_TRY(check_number(o->epochs, 1e-9, 1e9, "epochs"));
    KD_TRY(check_number((double)o->batch_tokens, 1, 1e15, "batch_tokens"));
    KD_TRY(check_number((double)o->pass_tokens, 0, 1e12, "pass_tokens"));
    KD_TRY(check_number(o->ranks, 1, 1 << 20, "ranks"));
    KD_TRY(check_number(o->state_bytes, 0, 1024, "state_bytes"));
    return check_number((double)o->bucket_bytes, 0, 1e12, "bucket_bytes");
}

static kd_status check_machine(const kd_plan_options *o)
{
    KD_FAIL_IF(!(o->flops > 0), KD_ERR_RANGE,
               "flops: expected the products' operations a second, got %g: "
               "kd_plan_measure_machine tells those of this machine",
               o->flops);
    KD_TRY(check_number(o->flops, 1, 1e30, "flops"));
    KD_TRY(check_number(o->efficiency, 1e-6, 1, "efficiency"));
    KD_TRY(check_number(o->memory_bytes, 0, 1e30, "memory_bytes"));
    KD_TRY(check_number(o->disk_bytes, 1, 1e30, "disk_bytes"));
    KD_TRY(check_number(o->link_bytes, 1, 1e30, "link_bytes"));
    KD_TRY(check_number(o->latency, 0, 1e6, "latency"));
    KD_TRY(check_number(o->decode_rate, 0, 1e30, "decode_rate"));
    KD_FAIL_IF(o->wire != KD_FLOAT32 && o->wire != KD_BFLOAT16, KD_ERR_RANGE,
               "wire: expected KD_FLOAT32 or KD_BFLOAT16, got %d", o->wire);
    KD_TRY(check_number(o->failure_hours, 0, 1e12, "failure_hours"));
    return check_number(o->update_bytes, 0, 1e30, "update_bytes");
}

static kd_status check_store(const kd_plan_options *o)
{
    KD_FAIL_IF(o->kind && o->kind != KD_STORE_TOPK && o->kind != KD_STORE_COUNTS &&
                   o->kind != KD_STORE_HIDDEN && o->kind != KD_STORE_DENSE,
               KD_ERR_RANGE,
               "kind: expected 0, KD_STORE_TOPK, KD_STORE_COUNTS, KD_STORE_HIDDEN or "
               "KD_STORE_DENSE, got %d",
               o->kind);
    KD_TRY(check_number(o->bits, 3, 8, "bits"));
    KD_TRY(check_number((double)o->entries, 1, 1e9, "entries"));
    KD_FAIL_IF(o->encoding != KD_FLOAT32 && o->encoding != KD_FLOAT16 && o->encoding != KD_BFLOAT16,
               KD_ERR_RANGE, "encoding: expected KD_FLOAT32, KD_FLOAT16 or KD_BFLOAT16, got %d",
               o->encoding);
    return check_number(o->position_bytes, 0, 1e9, "position_bytes");
}

static double mean_length(const plan *w) { return (double)w->o.tokens / (double)w->o.samples; }

/* ---- work and steps ---- */

/* Share of the layers' forward pass that the backward pass makes again. */
static double made_again(const plan *w)
{
    const int64_t all = w->student.layer_count, some = w->o.recompute_layers;
    if (!w->o.recompute || !all) return 0;
    return some > 0 && some < all ? (double)some / (double)all : 1;
}

static void count_work(plan *w)
{
    kd_plan_info *p = w->p;
    const kd__work *s = &w->student;
    const double learned = w->o.answer_share, passes = 3 + made_again(w);
    p->parameters = s->parameters;
    p->keys = s->keys;
    p->forward_flops = s->layers + s->attention + s->head;
    p->train_flops = passes * (s->layers + s->attention) + 3 * learned * s->head;
    if (w->o.kind == KD_STORE_HIDDEN) /* the teacher's logits are made of what is kept */
        p->train_flops += learned * w->teacher.head;
    p->attention_share = passes * s->attention / p->train_flops;
    if (w->o.teacher)
        p->teacher_forward_flops = w->teacher.layers + w->teacher.attention + w->teacher.head;
}

/* Bytes of a rank's memory that a step moves beside its passes: an update reads and writes values
 * and states and reads gradients, of a rank's part where states are shared. Ranks pack what they
 * send, sum N parts of an N-th in its place, and unpack what comes back. */
static double moved(const plan *w)
{
    const double n = w->o.ranks, update = 12 + 2.0 * w->o.state_bytes,
                 travel = n > 1 ? 20 - 4 / n : 0;
    return (update / (w->o.shard ? n : 1) + travel) * (double)w->student.parameters;
}

static void count_steps(plan *w)
{
    kd_plan_info *p = w->p;
    const kd_plan_options *o = &w->o;
    p->ranks = o->ranks;
    p->rank_tokens = (double)o->batch_tokens / o->ranks;
    p->steps = (int64_t)ceil(o->epochs * (double)o->tokens / (double)o->batch_tokens);
    p->update_seconds = o->update_bytes > 0 ? moved(w) / o->update_bytes : 0;
    p->step_seconds = p->train_flops * p->rank_tokens / (o->efficiency * o->flops) +
                      p->update_seconds;
}

/* ---- network ---- */

/* Bytes that a rank sends for `numbers` parameters: gradients to their owners, or the owners'
 * parameters to all. */
static double travel(const plan *w, double numbers, double bytes)
{
    const double n = w->o.ranks;
    return (n - 1) / n * bytes * numbers;
}

/* Of a bucket: as kd_exchange_create makes it of its option. */
static double bucket_of(const plan *w)
{
    const double n = w->o.ranks, usual = fmax(4194304, 524288 * n),
                 wanted = w->o.bucket_bytes ? (double)w->o.bucket_bytes : usual;
    return fmin(fmax(wanted, 65536 * n), 4 * (double)w->student.parameters);
}

/* Gradients leave during the backward pass, two thirds of a step, but for those of the embedding,
 * which end last. Parameters travel after them: at once, or, where all gradients are clipped by one
 * norm, when the last gradient is there. */
static void count_network(plan *w)
{
    kd_plan_info *p = w->p;
    const kd_plan_options *o = &w->o;
    const double numbers = (double)w->student.parameters, last = (double)w->student.embedding,
                 wire = (double)kd_dtype_bytes(o->wire), buckets = ceil(4 * numbers / bucket_of(w)),
                 latency = 2 * buckets * (o->ranks - 1) * o->latency;
    const double gradients = travel(w, numbers, wire) / o->link_bytes + latency / 2,
                 parameters = travel(w, numbers, 4) / o->link_bytes + latency / 2,
                 hidden = 2.0 / 3 * (p->step_seconds - p->update_seconds);
    if (o->ranks == 1) return;
    p->sent_bytes = travel(w, numbers, wire + 4);
    p->exchange_seconds = gradients + parameters;
    p->exposed_seconds =
        o->clip ? parameters + fmax(gradients - hidden, travel(w, last, wire) / o->link_bytes)
                : fmax(gradients + parameters - hidden, travel(w, last, wire + 4) / o->link_bytes);
    p->network_share = p->exposed_seconds / (p->step_seconds + p->exposed_seconds);
    p->unhidden_share = p->exchange_seconds / p->step_seconds;
}

/* ---- memory ---- */

static kd_status model_memory(plan *w, int64_t rows)
{
    kd_plan_info *p = w->p;
    const kd_plan_options *o = &w->o;
    kd_model_memory_info m = { .struct_size = sizeof m };
    kd_model_options mo = KD_MODEL_OPTIONS_INIT;
    mo.max_rows = rows;
    mo.recompute = o->recompute;
    mo.recompute_layers = o->recompute_layers;
    mo.activations = o->activations;
    mo.shared_gradients = o->shared_gradients;
    KD_TRY(kd_model_estimate_memory(w->context, o->student, &mo, &m));
    p->parameter_bytes = m.parameter_bytes;
    p->gradient_bytes = m.gradient_bytes;
    p->activation_bytes = m.activation_bytes;
    return KD_OK;
}

/* Of a head's logits in blocks; `teacher` 1: the teacher's come from its hidden states. */
static kd_status loss_memory(plan *w, int64_t rows)
{
    const int from_hidden = w->o.kind == KD_STORE_HIDDEN;
    kd_loss *loss = NULL;
    int64_t block;
    if (!w->student.classes) return KD_OK;
    kd_status status = kd_loss_create(&loss, w->context, NULL);
    if (status == KD_OK)
        status = kd_loss_add(loss, w->o.kind ? KD_LOSS_FORWARD_KL : KD_LOSS_CROSS_ENTROPY, 1, NULL,
                             NULL);
    if (status == KD_OK)
        status = kd_loss_estimate_memory(loss, rows, w->student.classes, w->student.width,
                                         from_hidden ? w->teacher.width : 0, &w->p->loss_bytes,
                                         &block);
    kd_loss_free(loss);
    return status;
}

/* A row of the targets: ids and values, or numbers. */
static double target_row(const plan *w)
{
    switch (w->o.kind) {
    case KD_STORE_TOPK:
    case KD_STORE_COUNTS: return 8 * (double)w->o.entries + 8;
    case KD_STORE_HIDDEN: return 4 * (double)w->teacher.width;
    case KD_STORE_DENSE: return 4 * (double)w->teacher.classes;
    default: return 0;
    }
}

static kd_status count_memory(plan *w)
{
    kd_plan_info *p = w->p;
    const kd_plan_options *o = &w->o;
    const int64_t all = (int64_t)ceil(p->rank_tokens),
                  rows = o->pass_tokens ? kd__min(o->pass_tokens, all) : all;
    const double numbers = (double)w->student.parameters;
    KD_TRY(model_memory(w, rows));
    KD_TRY(loss_memory(w, rows));
    p->state_bytes = (int64_t)(o->state_bytes * numbers / (o->shard ? o->ranks : 1));
    p->target_bytes = (int64_t)(target_row(w) * (double)rows);
    /* eight buckets: three of gradients under way, sent and received, and two that come back */
    p->buffer_bytes = o->ranks > 1 ? (int64_t)(8 * bucket_of(w)) : 0;
    p->data_bytes =
        (int64_t)((5 * (double)o->tokens + (o->kind ? 120 * (double)o->samples : 0)) / o->ranks);
    p->total_bytes = p->parameter_bytes + p->gradient_bytes + p->state_bytes + p->activation_bytes +
                     p->loss_bytes + p->target_bytes + p->buffer_bytes + p->data_bytes;
    return KD_OK;
}

/* ---- store, capture, checkpoints ---- */

static void count_store(plan *w)
{
    kd_plan_info *p = w->p;
    const kd_plan_options *o = &w->o;
    const double tokens = (double)o->tokens, speed = o->efficiency * o->flops * o->ranks;
    p->text_bytes = o->token_bytes * tokens;
    p->position_bytes = kd__plan_position_bytes(o, w->teacher.classes, w->teacher.width);
    if (o->kind)
        p->store_bytes = p->position_bytes * tokens +
                         kd__plan_record_bytes(mean_length(w)) * (double)o->samples;
    if (o->kind == KD_STORE_HIDDEN)
        p->store_bytes += 2 * (double)w->teacher.classes * (double)w->teacher.width;
    p->store_read_seconds = p->store_bytes / o->ranks / o->disk_bytes;
    p->capture_hours = p->teacher_forward_flops * tokens / speed / 3600;
    if (o->decode_rate > 0)
        p->capture_hours += o->answer_share * tokens / (o->decode_rate * o->ranks) / 3600;
}

static void count_time(plan *w)
{
    kd_plan_info *p = w->p;
    const kd_plan_options *o = &w->o;
    const double step = p->step_seconds + p->exposed_seconds,
                 hours = (double)p->steps * step / 3600;
    p->tokens_per_second = (double)o->batch_tokens / step;
    p->checkpoint_bytes = (4.0 + o->state_bytes) * (double)p->parameters / o->ranks;
    p->save_seconds = p->checkpoint_bytes / o->disk_bytes;
    if (o->failure_hours > 0)
        p->save_interval = sqrt(2 * p->save_seconds * 3600 * o->failure_hours);
    p->hours = hours + (p->save_interval > 0 ? hours * p->save_seconds / p->save_interval : 0);
}

static void give_advice(plan *w)
{
    kd_plan_info *p = w->p;
    const kd_plan_options *o = &w->o;
    p->advice = (o->memory_bytes > 0 && (double)p->total_bytes > o->memory_bytes) * KD_PLAN_MEMORY |
                (p->hours > 90 * 24) * KD_PLAN_TIME | (p->network_share > 0.2) * KD_PLAN_NETWORK |
                (p->store_bytes > 100 * p->text_bytes) * KD_PLAN_STORE |
                (p->attention_share >= 1.0 / 3) * KD_PLAN_ATTENTION |
                (o->batch_tokens < o->ranks) * KD_PLAN_BATCH;
}

/* ---- the call ---- */

static kd_status read_configs(plan *w)
{
    const kd_plan_options *o = &w->o;
    KD_TRY(kd__work_of(w->context, o->student, "student", mean_length(w), o->length_deviation,
                       &w->student));
    w->teacher = w->student;
    if (!o->teacher) return KD_OK;
    return kd__work_of(w->context, o->teacher, "teacher", mean_length(w), o->length_deviation,
                       &w->teacher);
}

kd_status kd_plan_estimate(kd_context *context, const kd_plan_options *options, kd_plan_info *out)
{
    kd_plan_info made = { .struct_size = sizeof made };
    plan w = { .context = context, .o = defaults, .p = &made };
    KD_NEED(context);
    KD_NEED(out);
    KD_TRY(kd__options_read(&w.o, sizeof w.o, options, "kd_plan_options"));
    KD_FAIL_IF(!w.o.student, KD_ERR_INVALID, "student: expected a config, got NULL");
    KD_TRY(check_data(&w.o));
    KD_TRY(check_machine(&w.o));
    KD_TRY(check_store(&w.o));
    KD_TRY(read_configs(&w));
    count_work(&w);
    count_steps(&w);
    count_network(&w);
    KD_TRY(count_memory(&w));
    count_store(&w);
    count_time(&w);
    give_advice(&w);
    return kd__info_write(out, &made, sizeof made, "kd_plan_info");
}
