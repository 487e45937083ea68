/* Text that knows for each byte where it ends in the text it was made of. */
#include "language/text/trace.h"

#include <string.h>

#include "base/memory.h"

static kd_status make_room(kd__traced *to, int64_t count)
{
    const int64_t size = to->text.size + count;
    return KD_RESERVE(to->text.context, &to->ends, &to->room, size);
}

kd_status kd__traced_keep(kd__traced *to, const kd__piece *piece, int64_t from, int64_t behind)
{
    const int64_t count = behind - from;
    if (to->is_traced) {
        KD_TRY(make_room(to, count));
        if (count)
            memcpy(to->ends + to->text.size, piece->ends + from, (size_t)count * sizeof *to->ends);
    }
    to->leading += kd__piece_leading(piece, from, behind);
    return kd__text_append(&to->text, piece->at + from, (size_t)count);
}

kd_status kd__traced_put(kd__traced *to, const kd__piece *piece, int64_t from, int64_t behind,
                         const char *bytes, int64_t count)
{
    const int same = count == behind - from && !memcmp(bytes, piece->at + from, (size_t)count);
    if (same) return kd__traced_keep(to, piece, from, behind);
    if ((from == behind && from ? from - 1 : from) < piece->leading) to->leading += count;
    if (to->is_traced) {
        KD_TRY(make_room(to, count));
        for (int64_t i = 0; i < count; i++)
            to->ends[to->text.size + i] = kd__piece_end(piece, behind);
    }
    return kd__text_append(&to->text, bytes, (size_t)count);
}

void kd__traced_free(kd__traced *t)
{
    kd__release(t->text.context, t->ends);
    kd__text_free(&t->text);
    t->ends = NULL;
    t->room = 0;
}
