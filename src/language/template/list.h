/* Sorting, and what it goes by. */
#ifndef KD_TEMPLATE_LIST_H
#define KD_TEMPLATE_LIST_H

#include "language/template/render.h"

/* What a value is sorted, grouped or told apart by. */
typedef kd_status kd__key(kd__render *r, const kd__value *v, const void *how, kd__value *key);
/* Stable, in place; `down`: equal ones keep their order, as in Python. */
kd_status kd__sort_by(kd__render *r, kd__list *list, kd__key *key, const void *how, int32_t down);
/* How filters look at items: a path into each, letters of both cases alike or not. */
typedef struct kd__look {
    kd__value path;         /* KD__V_ABSENT or none: the item itself */
    kd__value otherwise;    /* for what is not there; KD__V_ABSENT or none: it stays undefined */
    int32_t exact, several; /* several: the path is paths a comma apart, and what is seen a list */
} kd__look;
kd_status kd__by_look(kd__render *r, const kd__value *v, const void *how, kd__value *key);
kd_status kd__by_first(kd__render *r, const kd__value *v, const void *how, kd__value *key);

#endif
