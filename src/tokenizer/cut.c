/* Normalising a stretch of text, and cutting it into the pieces that are merged one by one. */
#include <string.h>

#include "tokenizer/tokenizer.h"

/* ---- normalising ---- */

static const char *skip_spaces(const kd__unicode *u, const char *at, const char *end)
{
    while (at < end) {
        const char *next = at;
        if (!(kd__unicode_value(u, kd__utf8_next(&next)) & KD__SPACE)) break;
        at = next;
    }
    return at;
}

static const char *back_spaces(const kd__unicode *u, const char *begin, const char *end)
{
    while (end > begin) {
        const char *at = kd__utf8_back(end), *next = at;
        if (!(kd__unicode_value(u, kd__utf8_next(&next)) & KD__SPACE)) break;
        end = at;
    }
    return end;
}

kd_status kd__replace(const kd_tokenizer *t, const kd__step *step, const char *at, int64_t bytes, kd__text *to)
{
    kd__regex_state state = { .regex = step->regex, .unicode = t->unicode };
    const char *end = at + bytes, *from, *behind;
    kd_status status = KD_OK;
    while (status == KD_OK) {
        status = kd__regex_find(&state, at, end, &from, &behind);
        if (status != KD_OK || !from) break;
        status = kd__text_append(to, at, (size_t)(from - at));
        if (status == KD_OK) status = kd__text_append(to, step->to, (size_t)step->to_bytes);
        at = behind;
    }
    if (status == KD_OK) status = kd__text_append(to, at, (size_t)(end - at));
    kd__regex_state_free(&state);
    return status;
}

static kd_status normalize_step(const kd_tokenizer *t, const kd__step *step, const char *text, int64_t bytes, kd__text *to)
{
    const char *begin = text, *end = text + bytes;
    switch (step->type) {
    case KD__STEP_FORM: return kd__normal_form(t->unicode, step->option, text, bytes, to);
    case KD__STEP_LOWER: return kd__lower_case(text, bytes, to);
    case KD__STEP_STRIP:
        if (step->option & 1) begin = skip_spaces(t->unicode, begin, end);
        if (step->option & 2) end = back_spaces(t->unicode, begin, end);
        return kd__text_append(to, begin, (size_t)(end - begin));
    case KD__STEP_PREPEND:
        if (bytes) KD_TRY(kd__text_append(to, step->to, (size_t)step->to_bytes));
        return kd__text_append(to, text, (size_t)bytes);
    default: return kd__replace(t, step, text, bytes, to);
    }
}

kd_status kd__normalize(const kd_tokenizer *t, const char *text, int64_t bytes, kd__text *to, kd__text *spare)
{
    to->size = 0;
    if (!t->normalizers.count) return kd__text_append(to, text, (size_t)bytes);
    for (int64_t i = 0; i < t->normalizers.count; i++) {
        const kd__text before = *spare;
        *spare = *to; /* what the step before wrote */
        *to = before;
        to->size = 0;
        KD_TRY(normalize_step(t, &t->normalizers.step[i], i ? spare->bytes : text, i ? spare->size : bytes, to));
    }
    return KD_OK;
}

/* ---- cutting ---- */

static kd_status push(kd__pieces *to, const char *from, const char *end)
{
    if (from == end) return KD_OK;
    if (to->count == to->room) KD_TRY(KD_RESERVE(to->context, &to->piece, &to->room, 2 * to->room + 256));
    to->piece[to->count++] = (kd__piece){ from, end - from };
    return KD_OK;
}

/* The parts of one piece come in order, matches and what lies between, and are joined as the behaviour says. */
typedef struct {
    kd__pieces *to;
    int32_t behaviour;
    const char *pending, *pending_end; /* what may still grow; NULL: nothing */
    int pending_match;
} joiner;

static kd_status flush(joiner *j)
{
    const char *from = j->pending;
    j->pending = NULL;
    return from ? push(j->to, from, j->pending_end) : KD_OK;
}

static kd_status part(joiner *j, const char *from, const char *end, int match)
{
    if (from == end) return KD_OK;
    if (j->behaviour == KD__REMOVED) return match ? KD_OK : push(j->to, from, end);
    if (j->behaviour == KD__ISOLATED) return push(j->to, from, end);
    const int grows = j->pending && (j->behaviour == KD__CONTIGUOUS             ? match == j->pending_match
                                     : j->behaviour == KD__MERGED_WITH_PREVIOUS ? match && !j->pending_match
                                                                                : !match && j->pending_match);
    if (!grows) {
        KD_TRY(flush(j));
        j->pending = from;
    }
    j->pending_end = end;
    j->pending_match = match;
    return KD_OK;
}

static kd_status split(const kd__step *step, kd__regex_state *state, kd__piece piece, kd__pieces *to)
{
    const char *at = piece.at, *end = piece.at + piece.bytes, *from, *behind;
    joiner j = { .to = to, .behaviour = step->option };
    while (at < end) {
        KD_TRY(kd__regex_find(state, at, end, &from, &behind));
        if (!from) break;
        KD_TRY(part(&j, at, from, step->inverted));
        KD_TRY(part(&j, from, behind, !step->inverted));
        at = behind;
    }
    KD_TRY(part(&j, at, end, step->inverted));
    return flush(&j);
}

static kd_status split_digits(const kd_tokenizer *t, const kd__step *step, kd__piece piece, kd__pieces *to)
{
    const char *from = piece.at, *at = from, *end = from + piece.bytes;
    int last = 0;
    while (at < end) {
        const char *before = at;
        const int number = (kd__unicode_value(t->unicode, kd__utf8_next(&at)) & KD__NUMBER) != 0;
        if (before > from && (number != last || (number && step->option))) {
            KD_TRY(push(to, from, before));
            from = before;
        }
        last = number;
    }
    return push(to, from, end);
}

/* `to` before each piece (or the text's first) that does not begin with it; all pieces are copied, for they lie in one text. */
static kd_status prepend(const kd__step *step, int first, kd__pieces *p)
{
    kd__text made = { .context = p->context };
    int64_t total = 1;
    for (int64_t i = 0; i < p->count; i++) total += p->piece[i].bytes + step->to_bytes;
    KD_TRY(KD_RESERVE(p->context, &made.bytes, &made.room, total));
    for (int64_t i = 0; i < p->count; i++) {
        kd__piece *piece = &p->piece[i];
        const int begins = piece->bytes >= step->to_bytes && !memcmp(piece->at, step->to, (size_t)step->to_bytes);
        char *at = made.bytes + made.size;
        const int64_t more = !begins && (step->option == KD__ALL_PIECES || (first && !i)) ? step->to_bytes : 0;
        memcpy(at, step->to, (size_t)more);
        memcpy(at + more, piece->at, (size_t)piece->bytes);
        made.size += more + piece->bytes;
        *piece = (kd__piece){ at, more + piece->bytes };
    }
    kd__text_free(&p->text);
    p->text = made;
    return KD_OK;
}

static kd_status replace_pieces(const kd_tokenizer *t, const kd__step *step, kd__pieces *p)
{
    kd__text made = { .context = p->context };
    kd_status status = KD_OK;
    for (int64_t i = 0; i < p->count && status == KD_OK; i++) {
        const int64_t at = made.size;
        status = kd__replace(t, step, p->piece[i].at, p->piece[i].bytes, &made);
        p->piece[i] = (kd__piece){ NULL, made.size - at };
    }
    if (status != KD_OK) {
        kd__text_free(&made);
        return status;
    }
    for (int64_t i = 0, at = 0; i < p->count; at += p->piece[i++].bytes) p->piece[i].at = made.bytes + at;
    kd__text_free(&p->text);
    p->text = made;
    return KD_OK;
}

static kd_status split_all(const kd_tokenizer *t, const kd__step *step, const kd__pieces *from, kd__pieces *to)
{
    kd__regex_state state = { .regex = step->regex, .unicode = t->unicode };
    kd_status status = KD_OK;
    to->count = 0;
    for (int64_t i = 0; i < from->count && status == KD_OK; i++)
        status = step->type == KD__STEP_DIGITS ? split_digits(t, step, from->piece[i], to) : split(step, &state, from->piece[i], to);
    kd__regex_state_free(&state);
    return status;
}

kd_status kd__cut(const kd_tokenizer *t, kd__piece whole, int first, kd__pieces *to, kd__pieces *spare)
{
    to->count = 0;
    KD_TRY(push(to, whole.at, whole.at + whole.bytes));
    for (int64_t i = 0; i < t->cuts.count; i++) {
        const kd__step *step = &t->cuts.step[i];
        if (step->type == KD__STEP_PREPEND) KD_TRY(prepend(step, first, to));
        else if (step->type == KD__STEP_REPLACE) KD_TRY(replace_pieces(t, step, to));
        else {
            KD_TRY(split_all(t, step, to, spare));
            const kd__pieces before = *to;
            to->piece = spare->piece, to->count = spare->count, to->room = spare->room;
            spare->piece = before.piece, spare->count = before.count, spare->room = before.room;
        }
    }
    return KD_OK;
}
