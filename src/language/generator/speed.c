/* What a language model weighs, and how fast it writes. */
#include <kdistill/generator.h>

#include <math.h>

#include "base/measure.h"
#include "language/generator/generate.h"

static const kd_speed_options defaults = KD_SPEED_OPTIONS_INIT;
void kd_speed_options_init(kd_speed_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

/* One run: when every sequence had its first token, and what was written from then on in whole
 * steps (from one token of the last sequence to its next), up to the step in which a sequence comes
 * to its end. */
typedef struct {
    kd_context *context;
    int64_t first, last; /* requests: the first, and the one that began last */
    int32_t *counts;     /* tokens of each sequence */
    int32_t sequences, new_tokens;
    int32_t begun; /* sequences that have a token */
    int64_t peak;
    double ready_at, end_at;
    int64_t pending, counted; /* tokens since ready_at, and up to end_at */
    int32_t ended, closed;    /* a sequence came to its end; its step was counted */
    double *steps;            /* times between the first one's tokens, of all runs */
    int64_t step_count;
    double step_at;
} watch;

static int32_t see_token(void *user, int64_t request, int32_t sample, int32_t token,
                         const char *text)
{
    watch *w = user;
    const double at = kd__os_now();
    const int64_t held = (int64_t)atomic_load(&w->context->bytes);
    const int32_t count = ++w->counts[request - w->first];
    (void)sample;
    (void)token;
    (void)text;
    if (held > w->peak) w->peak = held;
    if (request == w->first) {
        if (count > 1) w->steps[w->step_count++] = at - w->step_at;
        w->step_at = at;
    }
    if (w->begun < w->sequences) {
        if (count == 1 && ++w->begun == w->sequences) w->ready_at = at, w->last = request;
        return 0;
    }
    w->pending++;
    if (count == w->new_tokens) w->ended = 1;
    if (request == w->last && !w->closed)
        w->counted = w->pending, w->end_at = at, w->closed = w->ended;
    return 0;
}

static double part_of(double *values, int64_t n, double share)
{
    if (!n) return NAN;
    kd__sort_doubles(values, n);
    return kd__percentile(values, n, share);
}

static kd_status add_prompts(kd_generator *g, const kd_speed_options *o, int32_t *prompt, watch *w)
{
    const int64_t vocabulary = kd__trunk_config_of(g->model)->vocabulary;
    kd_sampling s = KD_SAMPLING_INIT;
    s.max_tokens = o->new_tokens;
    s.token = see_token;
    s.user = w;
    for (int32_t i = 0; i < o->sequences; i++) {
        int64_t request;
        for (int32_t j = 0; j < o->prompt_tokens; j++)
            prompt[j] = (int32_t)(((int64_t)i * 7919 + (int64_t)j * 104729 + 1) % vocabulary);
        KD_TRY(kd_generator_add(g, prompt, o->prompt_tokens, &s, &request));
        if (i == 0) w->first = request;
        w->counts[i] = 0;
    }
    return KD_OK;
}

/* Runs until everything is given out. */
static kd_status drain(kd_generator *g)
{
    kd_generated text = { .struct_size = sizeof text };
    kd_status status;
    while ((status = kd_generator_next(g, &text)) == KD_OK) continue;
    return status == KD_END ? KD_OK : status;
}

/* Seconds to the last sequence's first token, and of a token after it; NaN where each has but
 * one. */
static kd_status measure_once(kd_generator *g, const kd_speed_options *o, int32_t *prompt, watch *w,
                              double *first, double *token)
{
    kd__cache_forget(&g->cache);
    w->begun = 0;
    w->pending = w->counted = 0;
    w->ended = w->closed = 0;
    const double begin = kd__os_now();
    KD_TRY(add_prompts(g, o, prompt, w));
    KD_TRY(drain(g));
    *first = w->ready_at - begin;
    *token = w->counted ? (w->end_at - w->ready_at) / (double)w->counted : NAN;
    return KD_OK;
}

static kd_status measure(kd_generator *g, const kd_speed_options *o, kd_speed *speed)
{
    kd_context *context = g->object.context;
    watch w = { .context = context, .sequences = o->sequences, .new_tokens = o->new_tokens };
    int32_t *prompt = NULL;
    double *times = NULL;
    kd_status status = KD_NEW(context, &prompt, o->prompt_tokens);
    if (status == KD_OK) status = KD_NEW(context, &w.counts, o->sequences);
    if (status == KD_OK) status = KD_NEW(context, &times, 2 * o->repeats);
    if (status == KD_OK)
        status = KD_NEW(context, &w.steps, (int64_t)(o->repeats + 1) * o->new_tokens);
    for (int32_t i = -1; i < o->repeats && status == KD_OK; i++) { /* the first one warms up */
        double first, token;
        status = measure_once(g, o, prompt, &w, &first, &token);
        if (i < 0) {
            w.step_count = 0;
            continue;
        }
        times[i] = first;
        times[o->repeats + i] = token;
    }
    if (status == KD_OK) {
        speed->time_to_first_token = part_of(times, o->repeats, 0.5);
        speed->prompt_tokens_per_second = (double)o->sequences * o->prompt_tokens /
                                          speed->time_to_first_token;
        speed->tokens_per_second = 1 / part_of(times + o->repeats, o->repeats, 0.5);
        speed->token_p50 = part_of(w.steps, w.step_count, 0.5);
        speed->token_p99 = part_of(w.steps, w.step_count, 0.99);
        speed->peak_bytes = w.peak;
    }
    kd__release(context, prompt);
    kd__release(context, w.counts);
    kd__release(context, times);
    kd__release(context, w.steps);
    return status;
}

static kd_status check_run(const kd_model *model, const kd_speed_options *o)
{
    KD_FAIL_IF(o->sequences < 1 || o->sequences > 65536, KD_ERR_RANGE,
               "sequences: expected 1 to 65536, got %d", o->sequences);
    KD_FAIL_IF(o->prompt_tokens < 1 || o->new_tokens < 1, KD_ERR_RANGE,
               "prompt_tokens and new_tokens: expected at least 1, got %d and %d", o->prompt_tokens,
               o->new_tokens);
    KD_FAIL_IF(o->repeats < 1 || o->repeats > 10000, KD_ERR_RANGE,
               "repeats: expected 1 to 10000, got %d", o->repeats);
    KD_FAIL_IF(!kd__is_decoder(model), KD_ERR_UNSUPPORTED,
               "speed: the model is not a language model");
    const int64_t positions = kd__trunk_config_of(model)->positions;
    KD_FAIL_IF((int64_t)o->prompt_tokens + o->new_tokens > positions, KD_ERR_RANGE,
               "speed: %d + %d tokens: the model has %lld positions", o->prompt_tokens,
               o->new_tokens, (long long)positions);
    return KD_OK;
}

/* A generator whose cache holds all sequences at their full length. */
static kd_status make_generator(kd_generator **out, kd_model *model, const kd_speed_options *o)
{
    kd_generator_options options = KD_GENERATOR_OPTIONS_INIT;
    const int64_t tokens = kd__round_up((int64_t)o->prompt_tokens + o->new_tokens, 64) + 64;
    options.max_sequences = o->sequences;
    options.weights = o->weights;
    options.cache = o->cache ? o->cache : KD_FLOAT32;
    options.cache_tokens = o->sequences * tokens;
    return kd_generator_create(out, model, &options);
}

kd_status kd_model_measure_speed(kd_model *model, const kd_speed_options *options, kd_speed *speed)
{
    kd_speed_options o = defaults;
    kd_generator *g = NULL;
    kd_speed found = { 0 };
    KD_NEED(model);
    KD_NEED(speed);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_speed_options"));
    KD_TRY(check_run(model, &o));
    KD_TRY(make_generator(&g, model, &o));
    found.sequences = o.sequences;
    found.cache_bytes = g->info.cache_bytes;
    found.parameter_bytes =
        g->packed ? kd__packed_bytes(kd__trunk_config_of(model), kd__packed_weights(g->packed))
                  : 4 * model->net.parameters;
    const kd_status status = measure(g, &o, &found);
    kd_generator_free(g);
    return status == KD_OK ? kd__info_write(speed, &found, sizeof found, "kd_speed") : status;
}

/* ---- weight ---- */
