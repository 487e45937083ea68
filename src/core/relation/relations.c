/* Scratch of a relation. */
#include "core/relation/pairs.h"

int64_t kd__relation_room(int32_t kind, int64_t b, int64_t ws, int64_t wt, int64_t limit)
{
    return kind == KD__RELATION_ANGLE ? kd__angles_room(b, ws, wt)
                                      : kd__pairs_room(b, ws, wt, limit);
}
