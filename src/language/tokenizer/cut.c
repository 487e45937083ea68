/* Cutting a stretch of normalized text into the pieces that are merged one by one. */
#include <string.h>

#include "base/memory.h"
#include "language/tokenizer/tokenizer.h"

static kd_status push(kd__pieces *to, const kd__piece *piece, int64_t from, int64_t behind)
{
    if (from == behind) return KD_OK;
    KD_TRY(KD_RESERVE(to->context, &to->piece, &to->room, to->count + 1));
    to->piece[to->count++] = kd__piece_part(piece, from, behind);
    return KD_OK;
}

/* The parts of one piece come in order, matches and what lies between, and are joined as the
 * behavior says. A match may be empty: it is a place to cut. */
typedef struct {
    kd__pieces *to;
    const kd__piece *piece;
    int32_t behavior;
    int64_t pending, pending_end; /* what may still grow; pending -1: nothing */
    int pending_match;
} joiner;

static kd_status flush(joiner *j)
{
    const int64_t from = j->pending;
    j->pending = -1;
    return from < 0 ? KD_OK : push(j->to, j->piece, from, j->pending_end);
}

static int grows(const joiner *j, int match)
{
    if (j->pending < 0) return 0;
    if (j->behavior == KD__CONTIGUOUS) return match == j->pending_match;
    return j->behavior == KD__MERGED_WITH_PREVIOUS ? match && !j->pending_match
                                                   : !match && j->pending_match;
}

static kd_status part(joiner *j, int64_t from, int64_t behind, int match)
{
    if (j->behavior == KD__REMOVED && match) return KD_OK;
    if (j->behavior == KD__REMOVED || j->behavior == KD__ISOLATED)
        return push(j->to, j->piece, from, behind);
    if (!grows(j, match)) {
        KD_TRY(flush(j));
        j->pending = from;
    }
    j->pending_end = behind;
    j->pending_match = match;
    return KD_OK;
}

static kd_status split(const kd__step *step, kd__regex_state *state, const kd__piece *piece,
                       kd__pieces *to)
{
    joiner j = { .to = to, .piece = piece, .behavior = step->option, .pending = -1 };
    kd__regex_scan scan = kd__regex_scan_begin(state, piece->at, piece->bytes);
    const char *from, *behind;
    int64_t at = 0;
    for (;;) {
        KD_TRY(kd__regex_next(&scan, &from, &behind));
        if (!from) break;
        if (from > piece->at + at) KD_TRY(part(&j, at, from - piece->at, step->inverted));
        at = behind - piece->at;
        KD_TRY(part(&j, from - piece->at, at, !step->inverted));
    }
    if (at < piece->bytes) KD_TRY(part(&j, at, piece->bytes, step->inverted));
    return flush(&j);
}

static kd_status split_digits(const kd_tokenizer *t, const kd__step *step, const kd__piece *piece,
                              kd__pieces *to)
{
    const char *at = piece->at, *end = at + piece->bytes;
    int64_t from = 0;
    int last = 0;
    while (at < end) {
        const int64_t before = at - piece->at;
        const int number = (kd__unicode_value(t->unicode, kd__utf8_next(&at)) & KD__NUMBER) != 0;
        if (before > from && (number != last || (number && step->option))) {
            KD_TRY(push(to, piece, from, before));
            from = before;
        }
        last = number;
    }
    return push(to, piece, from, piece->bytes);
}

/* White space goes, each punctuation stands alone. */
static kd_status split_bert(const kd_tokenizer *t, const kd__piece *piece, kd__pieces *to)
{
    int64_t from = 0;
    for (const char *at = piece->at, *end = at + piece->bytes; at < end;) {
        const int64_t before = at - piece->at;
        const uint8_t value = kd__unicode_bert_class(t->unicode, kd__utf8_next(&at));
        if (!(value & (KD__BERT_PUNCTUATION | KD__BERT_SPACE))) continue;
        KD_TRY(push(to, piece, from, before));
        from = at - piece->at;
        if (value & KD__BERT_PUNCTUATION) KD_TRY(push(to, piece, before, from));
    }
    return push(to, piece, from, piece->bytes);
}

/* Pieces that were written into one text, one after the other: each was given its size, and gets
 * its place. */
static void place(kd__pieces *p, const kd__traced *made)
{
    for (int64_t i = 0, at = 0; i < p->count; at += p->piece[i++].bytes) {
        p->piece[i].at = made->text.bytes + at;
        p->piece[i].ends = made->is_traced ? made->ends + at : NULL;
    }
    kd__traced_free(&p->text);
    p->text = *made;
}

/* `to` before a piece that does not begin with it, where the step says so. */
static kd_status prepend(const kd__step *step, const kd__piece *piece, kd__traced *to)
{
    const int begins = piece->bytes >= step->to_bytes &&
                       !memcmp(piece->at, step->to, (size_t)step->to_bytes);
    if (!begins && (step->option == KD__ALL_PIECES || piece->leading))
        KD_TRY(kd__traced_put(to, piece, 0, 0, step->to, step->to_bytes));
    return kd__traced_keep(to, piece, 0, piece->bytes);
}

static kd_status rewrite_piece(const kd_tokenizer *t, const kd__step *step, const kd__piece *piece,
                               kd__traced *to)
{
    return step->type == KD__STEP_PREPEND ? prepend(step, piece, to)
                                          : kd__replace(t, step, piece, to);
}

static kd_status rewrite_all(const kd_tokenizer *t, const kd__step *step, kd__pieces *p)
{
    kd__traced made = { .text.context = p->context, .is_traced = p->text.is_traced };
    kd_status status = KD_OK;
    for (int64_t i = 0; i < p->count && status == KD_OK; i++) {
        const int64_t before = made.text.size, leading = made.leading;
        status = rewrite_piece(t, step, &p->piece[i], &made);
        p->piece[i].bytes = made.text.size - before;
        p->piece[i].leading = made.leading - leading;
    }
    if (status == KD_OK) place(p, &made);
    else kd__traced_free(&made);
    return status;
}

static kd_status split_all(const kd_tokenizer *t, const kd__step *step, const kd__pieces *from,
                           kd__pieces *to)
{
    kd__regex_state state = { .regex = step->regex, .unicode = t->unicode };
    kd_status status = KD_OK;
    to->count = 0;
    for (int64_t i = 0; i < from->count && status == KD_OK; i++) {
        const kd__piece *piece = &from->piece[i];
        status = step->type == KD__STEP_DIGITS     ? split_digits(t, step, piece, to)
                 : step->type == KD__STEP_BERT_CUT ? split_bert(t, piece, to)
                                                   : split(step, &state, piece, to);
    }
    kd__regex_state_free(&state);
    return status;
}

static void exchange(kd__pieces *a, kd__pieces *b)
{
    const kd__pieces before = *a;
    a->piece = b->piece, a->count = b->count, a->room = b->room;
    b->piece = before.piece, b->count = before.count, b->room = before.room;
}

kd_status kd__cut(const kd_tokenizer *t, const kd__piece *whole, kd__pieces *to, kd__pieces *spare)
{
    to->count = 0;
    KD_TRY(push(to, whole, 0, whole->bytes));
    for (int64_t i = 0; i < t->cuts.count; i++) {
        const kd__step *step = &t->cuts.step[i];
        if (step->type == KD__STEP_PREPEND || step->type == KD__STEP_REPLACE) {
            KD_TRY(rewrite_all(t, step, to));
            continue;
        }
        KD_TRY(split_all(t, step, to, spare));
        exchange(to, spare);
    }
    return KD_OK;
}
