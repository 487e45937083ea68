/* Parts of kdistill-store. */
#ifndef KD_TOOL_TOOL_H
#define KD_TOOL_TOOL_H

#include <kdistill.h>
#include <stdio.h>

#include "core/store/store.h"

static inline int fail(void)
{
    fprintf(stderr, "kdistill-store: %s\n", kd_last_error());
    return 1;
}

#define DO(call)                                                                                   \
    do {                                                                                           \
        if ((call) != KD_OK) return fail();                                                        \
    } while (0)

/* All records into npy files, a safetensors file or lines of JSON (convert.c). */
int convert(kd_context *context, kd_store *store, const char *form, const char *out);

#endif
