/* Parts of kdistill store: they know what is inside one. */
#ifndef KD_TOOL_STORE_TOOL_H
#define KD_TOOL_STORE_TOOL_H

#include <kdistill.h>
#include <stdio.h>

#include "core/store/store.h"
#include "tool/say.h"

#define DO(call) NEED(call)

/* What is in a store, on standard output (store_look.c). Exit codes. */
int store_info(kd_store *store);
int store_stats(kd_context *context, kd_store *store);
int store_verify(kd_store *store);
int store_check(kd_context *context, kd_store *store, const char *tokenizer);
int store_show(kd_context *context, kd_store *store, int64_t record, const char *tokens,
               int64_t positions);

/* All records into npy files, a safetensors file or lines of JSON (convert.c). */
int convert(kd_context *context, kd_store *store, const char *form, const char *out);

#endif
