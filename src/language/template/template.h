/* Templates in the subset of Jinja that chat templates use, with the results of jinja2 3.1 as
 * Hugging Face's transformers sets it up (sandbox, trim_blocks, lstrip_blocks, loop controls,
 * generation blocks, tojson of the json package).
 *
 *   kd__template_parse(&t, context, text, bytes, "chat template");
 *   kd__room room = { .context = context };
 *   variables = kd__dict_new(..);  kd__dict_set(..) ..
 *   kd__template_render(t, &room, &variables, &options, &output);
 *   kd__room_free(&room);  kd__template_free(t);
 *
 * A parsed template does not change: threads may render it at the same time, each with a room of
 * its own. What is not supported is refused by kd__template_parse with its name and line
 * (KD_ERR_UNSUPPORTED); other mistakes of a template are KD_ERR_FORMAT, those that come up while
 * it is rendered KD_ERR_INVALID, and a template that needs more than the bounds below
 * KD_ERR_RANGE. */
#ifndef KD_TEMPLATE_TEMPLATE_H
#define KD_TEMPLATE_TEMPLATE_H

#include "base/text.h"
#include "language/template/value.h"

#define KD__TEMPLATE_BYTES (1 << 20) /* of a template's text */
#define KD__TEMPLATE_NESTING 80      /* tags and brackets inside each other */
#define KD__TEMPLATE_DEPTH 120       /* the same while rendering, calls of macros included */
/* Steps: eight bytes read or written are one. A room with a bound of its own (most_work) keeps
 * it. */
#define KD__TEMPLATE_WORK (1 << 25)

typedef struct kd__template kd__template;

typedef struct kd__template_options {
    int64_t now; /* seconds since 1970 that strftime_now tells, in UTC; 0: the clock's local time */
} kd__template_options;

/* What a template wrote, and the bytes of its generation blocks: begin and end of each, in the
 * room that it was rendered in. */
typedef struct kd__template_output {
    const char *text; /* with a 0 after it */
    int64_t bytes;
    int64_t *generated;
    int64_t generated_count;
} kd__template_output;

/* `name` begins every message about the template; it is copied. */
kd_status kd__template_parse(kd__template **out, kd_context *context, const char *text,
                             int64_t bytes, const char *name);
void kd__template_free(kd__template *t);
/* variables: a dict. The output lives in the room. */
kd_status kd__template_render(const kd__template *t, kd__room *room, const kd__value *variables,
                              const kd__template_options *options, kd__template_output *output);
/* 1: the text has generation blocks. */
int kd__template_generates(const kd__template *t);

#endif
