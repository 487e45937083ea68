/* What a template can call: filters, tests, methods, global functions. */
#ifndef KD_TEMPLATE_CALLABLE_H
#define KD_TEMPLATE_CALLABLE_H

#include "language/template/node.h"

typedef struct kd__render kd__render;

typedef struct kd__named {
    kd__value name, value;
} kd__named;

typedef struct kd__arguments {
    const kd__value *at; /* bound to parameters: one each, KD__V_ABSENT where none was given */
    int64_t count;
    const kd__named *named;
    int64_t named_count;
} kd__arguments;

typedef kd_status kd__callee(kd__render *r, const kd__value *self, const kd__arguments *a,
                             kd__value *out);

typedef struct kd__callable {
    const char *name;
    kd__callee *call;
    const char
        *parameters; /* their names, a space apart; NULL: it takes what comes, and checks itself */
    int32_t needed;  /* so many of them must be given */
} kd__callable;

/* The entry of a table that ends with one without a name; NULL: none. */
const kd__callable *kd__callable_find(const kd__callable *table, const char *name, int64_t bytes);
const kd__callable *kd__filter_find(const char *name, int64_t bytes);
const kd__callable *kd__test_find(const char *name, int64_t bytes);
const kd__callable *kd__global_find(const char *name, int64_t bytes);
/* A method of a value; NULL: it has none. */
const kd__callable *kd__method_find(const kd__value *self, const char *name, int64_t bytes);
/* Methods that change a value: the sandbox refuses them. */
int kd__method_is_unsafe(const kd__value *self, const char *name, int64_t bytes);

/* Binds arguments to parameters and calls. */
kd_status kd__callable_call(kd__render *r, const kd__callable *c, const kd__value *self,
                            const kd__arguments *a, kd__value *out);

static inline int kd__given(const kd__value *v) { return v->type != KD__V_ABSENT; }

#endif
