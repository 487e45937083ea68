/* Texts against references. Words and n-grams are hashes; what two bags have in common is counted
 * over their sorted lists. */
#include <kdistill/compare.h>

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"
#include "math/random.h"
#include "measure/compare/subsequence.h"

typedef struct {
    kd_context *context;
    uint64_t *of;
    int64_t count, room;
} bag;

static kd_status add(bag *b, uint64_t hash)
{
    KD_TRY(KD_RESERVE(b->context, &b->of, &b->room, b->count + 1));
    b->of[b->count++] = hash;
    return KD_OK;
}

static int by_hash(const void *x, const void *y)
{
    const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

/* Sorts both; how many stand in both, as often as in the one that has fewer. */
static int64_t in_common(bag *a, bag *b)
{
    int64_t i = 0, j = 0, same = 0;
    if (!a->count || !b->count) return 0;
    qsort(a->of, (size_t)a->count, sizeof *a->of, by_hash);
    qsort(b->of, (size_t)b->count, sizeof *b->of, by_hash);
    while (i < a->count && j < b->count) {
        if (a->of[i] == b->of[j]) same++, i++, j++;
        else if (a->of[i] < b->of[j]) i++;
        else j++;
    }
    return same;
}

static kd_status ngrams(const bag *words, int32_t n, bag *to)
{
    to->count = 0;
    for (int64_t i = 0; i + n <= words->count; i++) {
        uint64_t hash = 0;
        for (int32_t k = 0; k < n; k++) hash = kd__mix(hash * 31 + words->of[i + k]);
        KD_TRY(add(to, hash));
    }
    return KD_OK;
}

typedef struct {
    kd_context *context;
    bag a, b, x, y; /* words of text and reference; scratch */
    kd__text line, other;
} work;

static void end(work *w)
{
    bag *const bags[] = { &w->a, &w->b, &w->x, &w->y };
    for (int i = 0; i < 4; i++) kd__release(w->context, bags[i]->of);
    kd__text_free(&w->line);
    kd__text_free(&w->other);
}

static kd_status split(const char *text, bag *to)
{
    to->count = 0;
    while (*text) {
        uint64_t hash = 0xcbf29ce484222325ULL;
        text += strspn(text, " \t\r\n\v\f");
        if (!*text) break;
        for (; *text && !strchr(" \t\r\n\v\f", *text); text++)
            hash = (hash ^ (unsigned char)*text) * 0x100000001b3ULL;
        KD_TRY(add(to, kd__mix(hash)));
    }
    return KD_OK;
}

/* ---- BLEU: the tokens of mteval-v13a ---- */

static int is_digit(char c) { return c >= '0' && c <= '9'; }
static int is_sign(char c)
{
    return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') ||
           (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
}

static kd_status unescape(const char *from, kd__text *to)
{
    static const char *const marks[][2] = {
        { "&quot;", "\"" }, { "&amp;", "&" }, { "&lt;", "<" }, { "&gt;", ">" }
    };
    to->size = 0;
    KD_TRY(kd__text_append(to, " ", 1));
    while (*from) {
        size_t i = 0;
        while (i < 4 && strncmp(from, marks[i][0], strlen(marks[i][0]))) i++;
        if (i < 4) {
            KD_TRY(kd__text_append(to, marks[i][1], 1));
            from += strlen(marks[i][0]);
        } else if (from[0] == '-' && from[1] == '\n') from += 2;
        else {
            KD_TRY(kd__text_append(to, *from == '\n' ? " " : from, 1));
            from++;
        }
    }
    return kd__text_append(to, " ", 1);
}

/* One of the three rules about two neighbors: a space between them and behind (1), before and
 * between (2), between and behind (3). */
static kd_status part(const kd__text *from, kd__text *to, int rule)
{
    to->size = 0;
    KD_TRY(kd__text_append(to, "", 0));
    for (int64_t i = 0; i < from->size; i++) {
        const char a = from->bytes[i], b = i + 1 < from->size ? from->bytes[i + 1] : 0;
        const int stop_a = a == '.' || a == ',', stop_b = b == '.' || b == ',';
        const int hit = i + 1 < from->size && (rule == 1   ? !is_digit(a) && stop_b
                                               : rule == 2 ? stop_a && !is_digit(b)
                                                           : is_digit(a) && b == '-');
        if (!hit) {
            KD_TRY(kd__text_append(to, &a, 1));
            continue;
        }
        KD_TRY(rule == 2 ? kd__text_format(to, " %c %c", a, b)
                         : kd__text_format(to, "%c %c ", a, b));
        i++;
    }
    return KD_OK;
}

static kd_status words_13a(work *w, const char *text, bag *to)
{
    KD_TRY(unescape(text, &w->line));
    w->other.size = 0;
    for (int64_t i = 0; i < w->line.size; i++) {
        const char c = w->line.bytes[i];
        KD_TRY(is_sign(c) ? kd__text_format(&w->other, " %c ", c)
                          : kd__text_append(&w->other, &c, 1));
    }
    KD_TRY(part(&w->other, &w->line, 1));
    KD_TRY(part(&w->line, &w->other, 2));
    KD_TRY(part(&w->other, &w->line, 3));
    return split(w->line.bytes, to);
}

static kd_status bleu(work *w, const char *const *texts, const char *const *references,
                      int64_t count, double *value)
{
    int64_t same[4] = { 0 }, all[4] = { 0 }, length = 0, reference = 0;
    for (int64_t i = 0; i < count; i++) {
        KD_TRY(words_13a(w, texts[i], &w->a));
        KD_TRY(words_13a(w, references[i], &w->b));
        length += w->a.count;
        reference += w->b.count;
        for (int32_t n = 1; n <= 4; n++) {
            KD_TRY(ngrams(&w->a, n, &w->x));
            KD_TRY(ngrams(&w->b, n, &w->y));
            all[n - 1] += w->x.count;
            same[n - 1] += in_common(&w->x, &w->y);
        }
    }
    double sum = 0, smooth = 1;
    *value = 0;
    /* an order without a match counts as half of the one before it that had none: "exp"
     * smoothing */
    for (int n = 0; n < 4; n++) {
        if (!all[n] || !same[0]) return KD_OK;
        if (!same[n]) smooth *= 2;
        sum += log(same[n] ? (double)same[n] / (double)all[n] : 1 / (smooth * (double)all[n]));
    }
    const double brevity = length < reference ? 1 - (double)reference / (double)length : 0;
    *value = 100 * exp(sum / 4 + brevity);
    return KD_OK;
}

/* ---- chrF ---- */

static kd_status characters(const char *text, bag *to)
{
    to->count = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        uint64_t c = *p++;
        while ((*p & 0xc0) == 0x80) c = c << 8 | *p++;
        if (c == ' ' || (c >= '\t' && c <= '\r')) continue;
        KD_TRY(add(to, kd__mix(c)));
    }
    return KD_OK;
}

static kd_status chrf(work *w, const char *const *texts, const char *const *references,
                      int64_t count, double *value)
{
    int64_t same[6] = { 0 }, said[6] = { 0 }, wanted[6] = { 0 };
    double precision = 0, recall = 0;
    int orders = 0;
    for (int64_t i = 0; i < count; i++) {
        KD_TRY(characters(texts[i], &w->a));
        KD_TRY(characters(references[i], &w->b));
        for (int32_t n = 1; n <= 6; n++) {
            KD_TRY(ngrams(&w->a, n, &w->x));
            KD_TRY(ngrams(&w->b, n, &w->y));
            /* a reference too short for n-grams says nothing about them */
            said[n - 1] += w->y.count ? w->x.count : 0;
            wanted[n - 1] += w->y.count;
            same[n - 1] += in_common(&w->x, &w->y);
        }
    }
    for (int n = 0; n < 6; n++) {
        if (!said[n] || !wanted[n]) continue;
        precision += (double)same[n] / (double)said[n];
        recall += (double)same[n] / (double)wanted[n];
        orders++;
    }
    *value = 0;
    if (!orders || precision + recall == 0) return KD_OK;
    precision /= orders;
    recall /= orders;
    *value = 100 * 5 * precision * recall / (4 * precision + recall); /* b = 2 */
    return KD_OK;
}

/* ---- words without signs ---- */

/* Small letters; signs are gaps, or (squad) nothing; squad leaves articles out. */
static kd_status plain_words(work *w, const char *text, int squad, bag *to)
{
    w->line.size = 0;
    KD_TRY(kd__text_append(&w->line, "", 0));
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        const char small = c >= 'A' && c <= 'Z' ? (char)(c + 32) : *text;
        if (c >= 0x80 || (c >= '0' && c <= '9') || (small >= 'a' && small <= 'z'))
            KD_TRY(kd__text_append(&w->line, &small, 1));
        else if (!squad || c <= ' ') KD_TRY(kd__text_append(&w->line, " ", 1));
    }
    if (!squad) return split(w->line.bytes, to);
    w->other.size = 0;
    KD_TRY(kd__text_append(&w->other, "", 0));
    for (const char *at = w->line.bytes; *at;) {
        at += strspn(at, " ");
        const size_t n = strcspn(at, " ");
        const int article = (n == 1 && *at == 'a') || (n == 2 && !memcmp(at, "an", 2)) ||
                            (n == 3 && !memcmp(at, "the", 3));
        if (!article) {
            KD_TRY(kd__text_append(&w->other, at, n));
            KD_TRY(kd__text_append(&w->other, " ", 1));
        }
        at += n;
    }
    return split(w->other.bytes, to);
}

static double f1(double same, double a, double b)
{
    return same > 0 ? 2 * same / (a + b) : a == 0 && b == 0;
}

static kd_status mean_f1(work *w, int32_t kind, const char *const *texts,
                         const char *const *references, int64_t count, double *value)
{
    double sum = 0;
    const int squad = kind == KD_TEXT_F1;
    for (int64_t i = 0; i < count; i++) {
        int64_t same;
        KD_TRY(plain_words(w, texts[i], squad, &w->a));
        KD_TRY(plain_words(w, references[i], squad, &w->b));
        if (squad) same = in_common(&w->a, &w->b);
        else
            KD_TRY(kd__longest_common(w->context, w->a.of, w->a.count, w->b.of, w->b.count, &same));
        sum += f1((double)same, (double)w->a.count, (double)w->b.count);
    }
    *value = sum / (double)count;
    return KD_OK;
}

/* ---- whole texts ---- */

typedef struct {
    const char *at;
    size_t bytes;
    int is_text, is_right;
} label;

/* A text without the white space at its ends. */
static label label_of(const char *text)
{
    label l = { .at = text + strspn(text, " \t\r\n\v\f") };
    l.bytes = strlen(l.at);
    while (l.bytes && strchr(" \t\r\n\v\f", l.at[l.bytes - 1])) l.bytes--;
    return l;
}

static int compare_labels(const void *a, const void *b)
{
    const label *x = a, *y = b;
    const int order = memcmp(x->at, y->at, kd__min(x->bytes, y->bytes));
    return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int same_text(const char *a, const char *b)
{
    const label x = label_of(a), y = label_of(b);
    return compare_labels(&x, &y) == 0;
}

/* Over the labels that the references have; a text that is none of them is wrong and no class of
 * its own. */
static kd_status macro_f1(work *w, const char *const *texts, const char *const *references,
                          int64_t count, double *value)
{
    label *all = NULL;
    int64_t classes = 0;
    double sum = 0;
    KD_TRY(KD_NEW(w->context, &all, 2 * count));
    for (int64_t i = 0; i < count; i++) {
        all[2 * i] = label_of(references[i]);
        all[2 * i + 1] = label_of(texts[i]);
        all[2 * i].is_right = compare_labels(&all[2 * i], &all[2 * i + 1]) == 0;
        all[2 * i + 1].is_text = 1;
    }
    qsort(all, (size_t)(2 * count), sizeof *all, compare_labels);
    for (int64_t i = 0; i < 2 * count;) {
        int64_t said = 0, wanted = 0, right = 0, first = i;
        for (; i < 2 * count && compare_labels(&all[first], &all[i]) == 0; i++) {
            said += all[i].is_text;
            wanted += !all[i].is_text;
            right += all[i].is_right;
        }
        if (!wanted) continue;
        classes++;
        sum += 2 * (double)right / (double)(said + wanted);
    }
    kd__release(w->context, all);
    *value = sum / (double)classes;
    return KD_OK;
}

kd_status kd_compare_texts(kd_context *context, int32_t kind, const char *const *texts,
                           const char *const *references, int64_t count, double *value)
{
    KD_NEED(context);
    KD_NEED(texts);
    KD_NEED(references);
    KD_NEED(value);
    KD_FAIL_IF(kind < KD_TEXT_BLEU || kind > KD_TEXT_MACRO_F1, KD_ERR_RANGE,
               "text metric: expected %d to %d, got %d", KD_TEXT_BLEU, KD_TEXT_MACRO_F1, kind);
    KD_FAIL_IF(count < 1, KD_ERR_RANGE, "count: expected at least 1 text, got %lld",
               (long long)count);
    for (int64_t i = 0; i < count; i++)
        KD_FAIL_IF(!texts[i] || !references[i], KD_ERR_INVALID,
                   "%s %lld: expected a text, got NULL", texts[i] ? "reference" : "text",
                   (long long)i);
    work w = { .context = context,
               .a.context = context,
               .b.context = context,
               .x.context = context,
               .y.context = context,
               .line.context = context,
               .other.context = context };
    kd_status status = KD_OK;
    double found = 0;
    if (kind == KD_TEXT_BLEU) status = bleu(&w, texts, references, count, &found);
    else if (kind == KD_TEXT_CHRF) status = chrf(&w, texts, references, count, &found);
    else if (kind == KD_TEXT_MACRO_F1) status = macro_f1(&w, texts, references, count, &found);
    else if (kind == KD_TEXT_EXACT)
        for (int64_t i = 0; i < count; i++)
            found += same_text(texts[i], references[i]) / (double)count;
    else status = mean_f1(&w, kind, texts, references, count, &found);
    end(&w);
    if (status == KD_OK) *value = found;
    return status;
}
