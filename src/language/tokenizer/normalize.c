/* Normalizing a stretch of text, step by step. */
#include <string.h>

#include "language/tokenizer/tokenizer.h"

static int64_t spaces_before(const kd__unicode *u, const kd__piece *p)
{
    const char *at = p->at, *end = at + p->bytes;
    while (at < end) {
        const char *next = at;
        if (!(kd__unicode_value(u, kd__utf8_next(&next)) & KD__SPACE)) break;
        at = next;
    }
    return at - p->at;
}

/* Where the white space at the end begins, `from` or later. */
static int64_t spaces_after(const kd__unicode *u, const kd__piece *p, int64_t from)
{
    const char *end = p->at + p->bytes;
    while (end > p->at + from) {
        const char *at = kd__utf8_back(end), *next = at;
        if (!(kd__unicode_value(u, kd__utf8_next(&next)) & KD__SPACE)) break;
        end = at;
    }
    return end - p->at;
}

static kd_status strip(const kd_tokenizer *t, const kd__step *step, const kd__piece *piece,
                       kd__traced *to)
{
    const int64_t from = step->option & 1 ? spaces_before(t->unicode, piece) : 0;
    const int64_t behind = step->option & 2 ? spaces_after(t->unicode, piece, from) : piece->bytes;
    return kd__traced_keep(to, piece, from, behind);
}

kd_status kd__replace(const kd_tokenizer *t, const kd__step *step, const kd__piece *piece,
                      kd__traced *to)
{
    kd__regex_state state = { .regex = step->regex, .unicode = t->unicode };
    kd__regex_scan scan = kd__regex_scan_begin(&state, piece->at, piece->bytes);
    const char *from, *behind;
    int64_t at = 0;
    kd_status status;
    while ((status = kd__regex_next(&scan, &from, &behind)) == KD_OK && from) {
        const int is_before_all = behind == piece->at && step->to_bytes;
        if (is_before_all && (step->option || !piece->bytes)) {
            status = kd__fail(KD_ERR_UNSUPPORTED,
                              "tokenizer: a Replace that inserts text before the beginning is not "
                              "supported beside a step that removes text or maps characters");
            break;
        }
        status = kd__traced_keep(to, piece, at, from - piece->at);
        at = behind - piece->at;
        /* it begins where the last character did */
        const int64_t last = (from < behind ? kd__utf8_back(behind) : from) - piece->at;
        if (status == KD_OK) status = kd__traced_put(to, piece, last, at, step->to, step->to_bytes);
        if (status != KD_OK) break;
    }
    if (status == KD_OK) status = kd__traced_keep(to, piece, at, piece->bytes);
    kd__regex_state_free(&state);
    return status;
}

static kd_status normalize_step(const kd_tokenizer *t, const kd__step *step, const kd__piece *piece,
                                kd__traced *to)
{
    switch (step->type) {
    case KD__STEP_FORM: return kd__normal_form(t->unicode, step->option, piece, to);
    case KD__STEP_LOWER: return kd__lower_case(piece, to);
    case KD__STEP_BERT: return kd__bert_form(t->unicode, step->option, piece, to);
    case KD__STEP_STRIP_MARKS: return kd__strip_marks(t->unicode, piece, to);
    case KD__STEP_STRIP: return strip(t, step, piece, to);
    case KD__STEP_PREPEND:
        if (piece->bytes) KD_TRY(kd__traced_put(to, piece, 0, 0, step->to, step->to_bytes));
        return kd__traced_keep(to, piece, 0, piece->bytes);
    default: return kd__replace(t, step, piece, to);
    }
}

kd_status kd__normalize(const kd_tokenizer *t, const kd__piece *piece, kd__traced *to,
                        kd__traced *spare)
{
    kd__piece now = *piece;
    to->text.size = to->leading = 0;
    if (!t->normalizers.count) return kd__traced_keep(to, piece, 0, piece->bytes);
    for (int64_t i = 0; i < t->normalizers.count; i++) {
        const kd__traced before = *spare;
        *spare = *to; /* what the step before wrote */
        *to = before;
        to->text.size = to->leading = 0;
        KD_TRY(kd__text_append(&to->text, "", 0));
        KD_TRY(normalize_step(t, &t->normalizers.step[i], &now, to));
        now = kd__traced_piece(to, piece->start);
    }
    return KD_OK;
}
