/* Outputs by name: which a network has, which of them an evaluating pass keeps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "core/model/model.h"

/* ---- names ---- */

static int32_t slot_of(const kd__network *net, const char *name)
{
    kd__output_facts facts;
    for (int32_t s = 0; kd__network_describe(net, s, &facts); s++)
        if (*facts.name && !strcmp(facts.name, name)) return s;
    return -1;
}

/* "hidden.11": what stands before and after the number, and the number; 0: it has none. */
static int cut_number(const char *name, int *before, long *number, const char **after)
{
    const char *digits = strpbrk(name, "0123456789");
    char *end;
    if (!digits) return 0;
    *before = (int)(digits - name);
    *number = strtol(digits, &end, 10);
    *after = end;
    return 1;
}

/* The last output of a row of names that differ by their numbers alone. */
static void last_of_row(const kd__network *net, const char *first, char last[KD_NAME_BYTES])
{
    int before, other;
    long number;
    const char *after, *others;
    kd__output_facts facts;
    snprintf(last, KD_NAME_BYTES, "%s", first);
    if (!cut_number(first, &before, &number, &after)) return;
    for (int32_t s = 0; kd__network_describe(net, s, &facts); s++)
        if (cut_number(facts.name, &other, &number, &others) && other == before &&
            !strncmp(first, facts.name, (size_t)before) && !strcmp(after, others))
            snprintf(last, KD_NAME_BYTES, "%s", facts.name);
}

/* "hidden, logits, hidden.0 .. hidden.11": all names, rows of them by their ends. */
static void list_names(const kd__network *net, char *to, size_t room)
{
    kd__output_facts facts;
    char last[KD_NAME_BYTES];
    size_t at = 0;
    for (int32_t s = 0; kd__network_describe(net, s, &facts) && at < room; s++) {
        int before;
        long number = 0;
        const char *after;
        cut_number(facts.name, &before, &number, &after);
        if (!*facts.name || number) continue; /* the row's first stands for it */
        last_of_row(net, facts.name, last);
        const int alone = !strcmp(last, facts.name);
        at += (size_t)snprintf(to + at, room - at, "%s%s%s%s", at ? ", " : "", facts.name,
                               alone ? "" : " .. ", alone ? "" : last);
    }
}

/* transformers counts what enters layer 0 too. */
static void explain_count(const kd__network *net, const char *name, char *to, size_t room)
{
    const int64_t layers = net->engine->layers ? net->engine->layers(net) : 0;
    char next[KD_NAME_BYTES];
    snprintf(next, sizeof next, "hidden.%lld", (long long)layers);
    *to = 0;
    if (layers && !strcmp(name, next))
        snprintf(to, room,
                 "; transformers' hidden_states[%lld] is hidden.%lld here, or hidden where the "
                 "family norms it",
                 (long long)layers, (long long)layers - 1);
}

static kd_status no_output(const kd__network *net, const char *name)
{
    char names[400], count[160];
    list_names(net, names, sizeof names);
    explain_count(net, name, count, sizeof count);
    return kd__fail(KD_ERR_NOT_FOUND, "the model has no output '%.60s' but %s%s", name, names,
                    count);
}

kd_status kd__network_slot(const kd__network *net, int32_t slots, const char *name, int32_t *slot)
{
    *slot = slot_of(net, name);
    return *slot < 0 || *slot >= slots ? no_output(net, name) : KD_OK;
}

kd_status kd__model_slot(const kd_model *model, const char *name, int32_t *slot)
{
    KD_FAIL_IF(!name || !*name, KD_ERR_INVALID, "output: expected a name, got %s",
               name ? "an empty one" : "NULL");
    return kd__network_slot(&model->net, model->net.slots, name, slot);
}

int32_t kd__model_unit(const kd_model *model, int32_t slot)
{
    kd__output_facts facts;
    kd__network_describe(&model->net, slot, &facts);
    return facts.unit;
}

kd__attention_facts kd__model_attention(const kd_model *model, int32_t slot)
{
    kd__output_facts facts;
    kd__network_describe(&model->net, slot, &facts);
    return facts.attention;
}

/* ---- what is kept ---- */

kd_status kd__network_keep(kd__network *net, const char *pattern, int32_t on)
{
    kd__output_facts facts;
    int64_t matched = 0;
    for (int32_t s = 0; kd__network_describe(net, s, &facts); s++) {
        if (!*facts.name || !kd__matches(pattern, facts.name)) continue;
        net->asked[s] = on != 0;
        matched++;
    }
    return matched ? KD_OK : no_output(net, pattern);
}

kd_status kd__network_keep_all(kd__network *net, const char *patterns)
{
    char pattern[KD_NAME_BYTES];
    for (const char *at = patterns; at && *at;) {
        const size_t length = strcspn(at, ",");
        KD_FAIL_IF(!length || length >= sizeof pattern, KD_ERR_INVALID,
                   "keep: expected names of 1 to %d letters with commas between, got '%.60s'",
                   KD_NAME_BYTES - 1, at);
        snprintf(pattern, sizeof pattern, "%.*s", (int)length, at);
        KD_TRY(kd__network_keep(net, pattern, 1));
        at += length;
        KD_FAIL_IF(*at && !at[1], KD_ERR_INVALID, "keep: '%.60s' ends with a comma", patterns);
        at += *at == ',';
    }
    return KD_OK;
}

kd_status kd_model_keep(kd_model *model, const char *pattern, int32_t on)
{
    kd_head head = KD_HEAD_INIT;
    KD_NEED(model);
    KD_FAIL_IF(!pattern || !*pattern, KD_ERR_INVALID, "the pattern is empty");
    KD_TRY(kd__network_keep(&model->net, pattern, on));
    for (int32_t s = 0; s < model->net.slots; s++) {
        /* what a head multiplies is kept with the product */
        const int32_t from = model->net.asked[s] ? kd__model_head(model, s, 0, &head) : -1;
        if (from >= 0) model->net.asked[from] = 1;
    }
    return KD_OK;
}

kd_status kd_model_get_output_info(kd_model *model, const char *name, kd_output_info *info)
{
    kd__output_facts facts;
    int32_t slot;
    KD_NEED(model);
    KD_NEED(info);
    KD_TRY(kd__model_slot(model, name, &slot));
    kd__network_describe(&model->net, slot, &facts);
    const kd_output_info now = { .unit = facts.unit,
                                 .dtype = KD_FLOAT32,
                                 .is_kept = model->net.asked[slot],
                                 .width = facts.width,
                                 .row_bytes = facts.width * (int64_t)sizeof(float) };
    return kd__info_write(info, &now, sizeof now, "kd_output_info");
}
