/* Keys of the configs of language models: numbers and flags with their bounds. A key that would
 * change the result and is not supported is refused by name. */
#ifndef KD_TRUNK_CONFIG_KEYS_H
#define KD_TRUNK_CONFIG_KEYS_H

#include "base/status.h"
#include "core/model/model.h"

/* A key that is known with one value only. */
typedef struct kd__config_fixed {
    const char *key;
    double value;
} kd__config_fixed;

typedef struct kd__config_keys {
    const char *const *used;
    size_t used_count;
    const kd__config_fixed *fixed;
    size_t fixed_count;
} kd__config_keys;

/* Every key of a config is used, has its one value, or changes nothing in any family (token ids,
 * generation, bookkeeping). */
kd_status kd__config_check_keys(const kd__json *root, const kd__config_keys *keys);
/* Missing, or null. */
int kd__config_is_null(const kd__json *node);
/* A missing key is `fallback`; a fallback below `low`: it must be there. */
kd_status kd__config_integer(const kd__json *root, const char *key, int64_t low, int64_t fallback,
                             int64_t *value);
kd_status kd__config_number(const kd__json *root, const char *key, double low, double high,
                            double fallback, double *value);
kd_status kd__config_flag(const kd__json *root, const char *key, int32_t fallback, int32_t *value);
/* NULL as the fallback: it may be missing. */
kd_status kd__config_text(const kd__json *root, const char *key, const char *fallback,
                          const char **value);

/* An object as JSON text with further members, each of which begins with a comma. */
kd_status kd__config_extend(const kd__json *root, const kd__text *members, kd__text *to);

/* Changes a node of a config that is written; 0: it is left out. */
typedef int kd__config_edit(const kd_model *model, const kd_model_save_options *options,
                            kd__json *node);
/* A model's config with the weights' type, which transformers loads them as. */
kd_status kd__config_write(const kd_model *model, const kd_model_save_options *options,
                           kd__config_edit *edit, kd__text *to);

#endif
