/* Ways to fill a store: answers of servers, and of a teacher's folder. */
#ifndef KD_TOOL_STORE_FILL_H
#define KD_TOOL_STORE_FILL_H

#include <kdistill.h>

/* Options of both; docs/kdistill-store.1. */
typedef struct store_filling {
    const char *tokens, *tokenizer, *teacher, *model, *name;
    int64_t positions, vocabulary, k, bits;
    double temperature, max_unmapped;
    int32_t align, byte_level, append, kind;
} store_filling;

/* A server's format by its name (KD_IMPORT_..); 0: none. */
int32_t store_import_format(const char *name);
int store_import(kd_context *context, const char *format, const char *out, const char **files,
                 int count, const store_filling *o);
/* The answers of a teacher about a recipe's data. A call that was killed continues. */
int store_collect(const char *recipe_file, const char *out, const store_filling *o);

#endif
