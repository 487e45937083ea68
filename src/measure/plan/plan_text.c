/* A plan as lines for people, and as JSON: one table knows all members. */
#include <stddef.h>
#include <stdio.h>

#include "base/text.h"
#include "measure/plan/plan.h"

enum { WHOLE, WHOLE_BYTES, NUMBER, BYTES, SECONDS, HOURS, SHARE };

typedef struct {
    const char *name, *says; /* says NULL: not in the text */
    size_t at;
    int kind;
} member;

#define MEMBER(name, kind, says)                                                                   \
    {                                                                                              \
#name, says, offsetof(kd_plan_info, name), kind                                            \
    }
static const member members[] = {
    MEMBER(parameters, WHOLE, "parameters"),
    MEMBER(keys, NUMBER, "keys that a token sees"),
    MEMBER(forward_flops, NUMBER, "FLOP a token, forward"),
    MEMBER(train_flops, NUMBER, "FLOP a token, training"),
    MEMBER(attention_share, SHARE, "  of these attention"),
    MEMBER(steps, WHOLE, "steps"),
    MEMBER(rank_tokens, NUMBER, "tokens of a rank in a step"),
    MEMBER(step_seconds, SECONDS, "seconds of a step, computing"),
    MEMBER(update_seconds, SECONDS, "  of these updating"),
    MEMBER(tokens_per_second, NUMBER, "tokens a second, all ranks"),
    MEMBER(hours, HOURS, "the run"),
    MEMBER(parameter_bytes, WHOLE_BYTES, "a rank: parameters"),
    MEMBER(gradient_bytes, WHOLE_BYTES, "a rank: gradients"),
    MEMBER(state_bytes, WHOLE_BYTES, "a rank: optimizer's state"),
    MEMBER(activation_bytes, WHOLE_BYTES, "a rank: activations"),
    MEMBER(loss_bytes, WHOLE_BYTES, "a rank: loss"),
    MEMBER(target_bytes, WHOLE_BYTES, "a rank: teacher's side"),
    MEMBER(buffer_bytes, WHOLE_BYTES, "a rank: exchange"),
    MEMBER(data_bytes, WHOLE_BYTES, "a rank: tokens and index"),
    MEMBER(total_bytes, WHOLE_BYTES, "a rank, together"),
    MEMBER(sent_bytes, BYTES, "sent by a rank in a step"),
    MEMBER(exchange_seconds, SECONDS, "exchange of a step"),
    MEMBER(exposed_seconds, SECONDS, "  of these not hidden"),
    MEMBER(network_share, SHARE, "waiting for the network"),
    MEMBER(unhidden_share, SHARE, "exchange over computing"),
    MEMBER(teacher_forward_flops, NUMBER, "teacher: FLOP a token"),
    MEMBER(capture_hours, HOURS, "teacher: capturing"),
    MEMBER(position_bytes, NUMBER, "store: bytes a position"),
    MEMBER(store_bytes, BYTES, "store"),
    MEMBER(text_bytes, BYTES, "texts alone"),
    MEMBER(store_read_seconds, SECONDS, "reading the store, an epoch"),
    MEMBER(checkpoint_bytes, BYTES, "checkpoint, a rank"),
    MEMBER(save_seconds, SECONDS, "saving"),
    MEMBER(save_interval, SECONDS, "best interval of saving"),
};

static const struct {
    int32_t flag;
    const char *says;
} advices[] = {
    { KD_PLAN_MEMORY, "A rank needs more memory than it has: smaller passes (pass_tokens), "
                      "recompute, more ranks, or a smaller student." },
    { KD_PLAN_TIME, "This takes more than 90 days: more ranks, fewer tokens, or a smaller "
                    "student." },
    { KD_PLAN_NETWORK, "Ranks wait for the network for more than a fifth of the time: larger "
                       "batches, gradients as bfloat16 (wire), or a faster link." },
    { KD_PLAN_STORE, "The store has more than a hundred times the bytes of the texts: keep draws "
                     "or a top-k." },
    { KD_PLAN_ATTENTION, "Attention takes a third of the training or more: a window saves most of "
                         "that." },
    { KD_PLAN_BATCH, "A batch has fewer tokens than there are ranks." },
};

static double value_of(const kd_plan_info *p, const member *m)
{
    const char *at = (const char *)p + m->at;
    const int whole = m->kind == WHOLE || m->kind == WHOLE_BYTES;
    return whole ? (double)*(const int64_t *)(const void *)at : *(const double *)(const void *)at;
}

/* "1.27 GB" */
static void scaled(char to[48], double value, const char *unit)
{
    static const char *const signs[] = { "", "k", "M", "G", "T", "P", "E" };
    int at = 0;
    for (; value >= 999.5 && at < 6; at++) value /= 1000;
    snprintf(to, 48, value < 100 && at ? "%.3g %s%s" : "%.0f %s%s", value, signs[at], unit);
}

static void duration(char to[48], double seconds)
{
    if (seconds < 100) snprintf(to, 48, "%.3g s", seconds);
    else if (seconds < 6000) snprintf(to, 48, "%.0f min", seconds / 60);
    else if (seconds < 48 * 3600) snprintf(to, 48, "%.1f h", seconds / 3600);
    else if (seconds < 9999.5 * 86400) snprintf(to, 48, "%.4g days", seconds / 86400);
    else snprintf(to, 48, "%.3g years", seconds / (365.25 * 86400));
}

static void shown(char to[48], double value, int kind)
{
    switch (kind) {
    case WHOLE_BYTES:
    case BYTES: scaled(to, value, "B"); return;
    case NUMBER: scaled(to, value, ""); return;
    case SECONDS: duration(to, value); return;
    case HOURS: duration(to, 3600 * value); return;
    case SHARE: snprintf(to, 48, "%.1f %%", 100 * value); return;
    default: snprintf(to, 48, "%.0f", value);
    }
}

static kd_status write_lines(kd__text *t, const kd_plan_info *p)
{
    char value[48];
    KD_TRY(kd__text_format(t, "%-30s %d\n", "ranks", p->ranks));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const double number = value_of(p, &members[i]);
        if (number == 0 && members[i].kind != WHOLE) continue; /* there is no such thing here */
        shown(value, number, members[i].kind);
        KD_TRY(kd__text_format(t, "%-30s %s\n", members[i].says, value));
    }
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
        if (p->advice & advices[i].flag) KD_TRY(kd__text_format(t, "- %s\n", advices[i].says));
    return KD_OK;
}

static kd_status write_json(kd__text *t, const kd_plan_info *p)
{
    KD_TRY(kd__text_format(t, "{\"ranks\":%d,\"advice\":%d", p->ranks, p->advice));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        KD_TRY(kd__text_format(t, ",\"%s\":", members[i].name));
        KD_TRY(kd__text_number(t, value_of(p, &members[i])));
    }
    return kd__text_format(t, "}");
}

typedef kd_status write_function(kd__text *t, const kd_plan_info *p);

static kd_status write_text(kd_context *context, const kd_plan_info *plan, char **text,
                            write_function *write)
{
    kd_plan_info p = { .struct_size = sizeof p };
    KD_NEED(context);
    KD_NEED(plan);
    KD_NEED(text);
    KD_TRY(kd__options_read(&p, sizeof p, plan, "kd_plan_info"));
    kd__text t = { .context = context };
    const kd_status status = write(&t, &p);
    if (status == KD_OK) *text = t.bytes;
    else kd__text_free(&t);
    return status;
}

kd_status kd_plan_to_text(kd_context *context, const kd_plan_info *plan, char **text)
{
    return write_text(context, plan, text, write_lines);
}

kd_status kd_plan_to_json(kd_context *context, const kd_plan_info *plan, char **json)
{
    return write_text(context, plan, json, write_json);
}
