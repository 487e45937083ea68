/* Insides of rendering. */
#ifndef KD_TEMPLATE_RENDER_H
#define KD_TEMPLATE_RENDER_H

#include "language/template/callable.h"

/* Variables of one place: a loop's turn, a macro's call, the template. What is not found in one
 * is looked for in its parent. */
typedef struct kd__variable {
    int32_t name;
    kd__value value;
} kd__variable;

typedef struct kd__scope {
    struct kd__scope *parent;
    kd__variable *variables;
    int64_t count, held;
} kd__scope;

/* A text that grows. */
typedef struct kd__sink {
    char *text;
    int64_t bytes, held;
} kd__sink;

typedef struct kd__macro {
    const kd__node *node; /* KD__DEFINE, or KD__CALL_BLOCK: its caller */
    const kd__node *parameters;
    kd__value name;
    kd__scope *scope; /* where it was defined */
} kd__macro;

typedef struct kd__loop {
    kd__list items;
    int64_t at;
    kd__value changed; /* what loop.changed was asked with last: a tuple, or KD__V_ABSENT */
} kd__loop;

enum { KD__FLOW_ON, KD__FLOW_BREAK, KD__FLOW_CONTINUE };

struct kd__render {
    const kd__template *t;
    kd__room *room;
    const kd__value *globals; /* by name: the caller's variables, Jinja's functions, or undefined */
    kd__scope *scope;
    kd__sink *sink, top;
    kd__value block; /* what KD__BLOCK_VALUE is */
    const kd__template_options *options;
    int64_t *generated; /* pairs of bytes in `top` */
    int64_t generated_count, generated_held;
    int32_t depth, flow, located;
};

kd_status kd__value_of(kd__render *r, const kd__node *n, kd__value *out);
kd_status kd__execute(kd__render *r, const kd__node *body);
/* An error that says where, once; the status for the caller to return. */
kd_status kd__locate(kd__render *r, const kd__node *n, kd_status status);
/* Every evaluation, body and call of a macro begins with this and ends with r->depth--. */
kd_status kd__deeper(kd__render *r, const kd__node *n);

kd_status kd__write(kd__render *r, const char *text, int64_t bytes);
/* What the body writes, as a text of its own, with variables of its own. */
kd_status kd__capture(kd__render *r, kd__scope *parent, const kd__node *body, kd__value *out);

kd_status kd__scope_new(kd__room *room, kd__scope *parent, kd__scope **out);
kd_status kd__scope_set(kd__room *room, kd__scope *scope, int32_t name, const kd__value *value);
kd_status kd__assign(kd__render *r, const kd__node *target, const kd__value *value);

/* ---- calls ---- */
kd_status kd__arguments_of(kd__render *r, const kd__node *first, kd__arguments *a);
kd_status kd__call_value(kd__render *r, const kd__value *what, const kd__arguments *a,
                         kd__value *out);
kd_status kd__macro_call(kd__render *r, const kd__macro *m, const kd__arguments *a, kd__value *out);

/* ---- parts of values ---- */
kd_status kd__attribute(kd__render *r, const kd__value *of, const kd__value *name,
                        kd__value *out); /* of.name  */
kd_status kd__item(kd__render *r, const kd__value *of, const kd__value *which,
                   kd__value *out); /* of[which] */
kd_status kd__slice(kd__render *r, const kd__value *of, const kd__value bounds[3], kd__value *out);
/* "a.b.0", or a number; none: the value itself. otherwise (may be NULL): what stands for a part
 * that is not there. */
kd_status kd__path(kd__render *r, const kd__value *of, const kd__value *path,
                   const kd__value *otherwise, kd__value *out);

kd_status kd__binary(kd__render *r, int32_t op, const kd__value *a, const kd__value *b,
                     kd__value *out);
kd_status kd__sign(kd__render *r, int32_t op, const kd__value *a, kd__value *out);

/* "%s of %d" % values, and "{} of {n}".format(..): in format.c. */
kd_status kd__format_percent(kd__render *r, const kd__value *format, const kd__value *values,
                             kd__value *out);
kd_status kd__format_braces(kd__render *r, const kd__value *format, const kd__arguments *a,
                            kd__value *out);

/* ---- values as text ---- */
/* str(v): a view where the value is a text already. */
kd_status kd__to_text(kd__room *room, const kd__value *v, kd__value *out);
kd_status kd__put(kd__room *room, kd__sink *sink, const char *text, int64_t bytes);
kd_status kd__put_text(kd__room *room, kd__sink *sink, const char *text);
kd_status kd__put_repr(kd__room *room, kd__sink *sink, const kd__value *v, int32_t depth);
int32_t kd__float_text(kd_context *context, double number, char text[40]);
static inline kd__value kd__sink_value(const kd__sink *sink)
{
    return kd__string(sink->text ? sink->text : "", sink->bytes);
}
/* A text with & < > ' " as HTML has them; what is safe stays as it is. */
kd_status kd__escaped(kd__room *room, const kd__value *v, kd__value *out);

/* An argument as what it must be; `what` begins the message. Not given: *out stays. */
kd_status kd__text_argument(const kd__value *v, const char *what, kd__value *out);
kd_status kd__integer_argument(const kd__value *v, const char *what, int64_t *out);

#endif
