/* Text on its way through the steps of a tokenizer, and for each of its bytes the place in the
 * given text where it ends: a token ends where its last byte does. Nothing is traced, and nothing
 * is spent on it, when nobody asks for places. */
#ifndef KD_TOKENIZER_TRACE_H
#define KD_TOKENIZER_TRACE_H

#include "base/numbers.h"
#include "base/text.h"

/* A stretch of text. */
typedef struct kd__piece {
    const char *at;
    int64_t bytes;
    const int64_t *ends; /* (bytes) places in the given text; NULL: not traced */
    int64_t start;       /* where the first byte begins in the given text */
    /* so many of its first bytes come from the given text's first character: what has none does not
     * begin the text */
    int64_t leading;
} kd__piece;

/* Text that is being written. */
typedef struct kd__traced {
    kd__text text;
    int64_t *ends; /* (text.size), when traced */
    int64_t room, leading;
    int32_t is_traced;
} kd__traced;

/* The place in the given text where the piece's first `bytes` bytes end. */
static inline int64_t kd__piece_end(const kd__piece *p, int64_t bytes)
{
    return !p->ends ? 0 : bytes ? p->ends[bytes - 1] : p->start;
}
/* How many of the bytes [from, to) are leading ones. */
static inline int64_t kd__piece_leading(const kd__piece *p, int64_t from, int64_t to)
{
    const int64_t end = kd__min(to, p->leading);
    return end > from ? end - from : 0;
}
static inline kd__piece kd__piece_part(const kd__piece *p, int64_t from, int64_t to)
{
    return (kd__piece){ p->at + from, to - from, p->ends ? p->ends + from : NULL,
                        kd__piece_end(p, from), kd__piece_leading(p, from, to) };
}
static inline kd__piece kd__traced_piece(const kd__traced *t, int64_t start)
{
    return (kd__piece){ t->text.bytes, t->text.size, t->is_traced ? t->ends : NULL, start,
                        t->leading };
}

/* Appends `count` bytes that stand for the bytes [from, behind) of a piece. Bytes that did not
 * change keep their places one by one; changed ones all end where that part ends and begin where it
 * begins; inserted ones (from == behind) stand with the byte before them, or the first one. */
kd_status kd__traced_put(kd__traced *to, const kd__piece *piece, int64_t from, int64_t behind,
                         const char *bytes, int64_t count);
/* Appends a part of a piece as it is. */
kd_status kd__traced_keep(kd__traced *to, const kd__piece *piece, int64_t from, int64_t behind);
void kd__traced_free(kd__traced *t);

#endif
