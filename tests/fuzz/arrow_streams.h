/* Streams of Apache Arrow whose schemas and arrays are made from bytes: any form, any numbers, but
 * blocks as large as what their own last offset says, as a producer that is not hostile to its own
 * process gives them. */
#ifndef FUZZ_ARROW_STREAMS_H
#define FUZZ_ARROW_STREAMS_H

#include <kdistill.h>
#include <stdlib.h>
#include <string.h>

#include "course/arrow/interface.h"

enum { ARROW_BLOCKS = 4096, ARROW_DEPTH = 40, ARROW_MOST = 2000 };

typedef struct arrow_bytes {
    const uint8_t *at, *end;
    void *blocks[ARROW_BLOCKS];
    int count, batches, given, returned;
    struct ArrowSchema schema;
} arrow_bytes;

static int arrow_byte(arrow_bytes *a) { return a->at < a->end ? *a->at++ : 0; }

static void *arrow_block(arrow_bytes *a, size_t size)
{
    if (a->count == ARROW_BLOCKS) return NULL;
    return a->blocks[a->count++] = calloc(1, size ? size : 1);
}

static arrow_bytes *arrow_now;

static void arrow_release_schema(struct ArrowSchema *schema)
{
    arrow_now->returned++;
    schema->release = NULL;
}

static void arrow_release_array(struct ArrowArray *array)
{
    arrow_now->returned++;
    array->release = NULL;
}

static void arrow_schema(arrow_bytes *a, struct ArrowSchema *s, int depth)
{
    static const char *const formats[] = { "+s", "u",    "+l",   "U", "vu",  "+L",   "+vl",  "+vL",
                                           "n",  "b",    "c",    "C", "s",   "S",    "i",    "I",
                                           "l",  "L",    "e",    "f", "g",   "+w:2", "+w:0", "z",
                                           "+m", "tss:", "+w:x", "",  "+w:9" };
    static const char *const names[] = { "messages", "role",  "content", "prompt", "completion",
                                         "extra",    "item",  "kd_key",  "score",  "input_ids",
                                         "mask",     "seed",  "passed",  "weight", "answer",
                                         "system",   "tools", "",        "labels", "completions" };
    const int kind = depth ? arrow_byte(a) : arrow_byte(a) % 8 == 7 ? 1 : 0;
    memset(s, 0, sizeof *s);
    s->format = formats[kind % (int)(sizeof formats / sizeof *formats)];
    s->name = names[arrow_byte(a) % (int)(sizeof names / sizeof *names)];
    s->release = arrow_release_schema;
    const int wish = arrow_byte(a);
    s->n_children = s->format[0] != '+' ? 0 : s->format[1] == 's' ? wish % 5 : 1;
    if (wish > 250) s->n_children = wish - 253;
    if (depth > ARROW_DEPTH || s->n_children < 0) return;
    struct ArrowSchema *children = arrow_block(a, (size_t)s->n_children * sizeof *children);
    s->children = arrow_block(a, (size_t)s->n_children * sizeof *s->children);
    if (!children || !s->children) s->n_children = 0;
    for (int64_t i = 0; i < s->n_children; i++) {
        s->children[i] = &children[i];
        arrow_schema(a, &children[i], depth + 1);
    }
    if (wish % 16 == 15 && (s->dictionary = arrow_block(a, sizeof *s)))
        arrow_schema(a, s->dictionary, depth + 1);
}

static int64_t arrow_read(const void *numbers, int width, int64_t i)
{
    return width == 4 ? ((const int32_t *)numbers)[i] : ((const int64_t *)numbers)[i];
}

static void arrow_write(void *numbers, int width, int64_t i, int64_t value)
{
    if (width == 4) ((int32_t *)numbers)[i] = (int32_t)value;
    else ((int64_t *)numbers)[i] = value;
}

/* Numbers that rise by small steps, now and then any. */
static void *arrow_offsets(arrow_bytes *a, int width, int64_t count)
{
    int64_t now = arrow_byte(a) % 3;
    void *made = arrow_block(a, (size_t)(count * width));
    for (int64_t i = 0; made && i < count; i++) {
        const int b = arrow_byte(a);
        now = b == 255 ? -1 : b == 254 ? ARROW_MOST + b : now + b % 8;
        arrow_write(made, width, i, now);
    }
    return made;
}

static void *arrow_raw(arrow_bytes *a, int64_t size)
{
    uint8_t *made = arrow_block(a, (size_t)size);
    for (int64_t i = 0; made && i < size; i++) made[i] = (uint8_t)arrow_byte(a);
    return made;
}

static void arrow_views(arrow_bytes *a, struct ArrowArray *x, int64_t end)
{
    int32_t *views = arrow_block(a, (size_t)end * 16);
    int64_t *sizes = arrow_block(a, 8);
    for (int64_t i = 0; views && i < end * 4; i++) {
        const int b = arrow_byte(a);
        views[i] = i % 4 == 0 ? b % 30 - (b == 255) * 40 : i % 4 == 2 ? b % 32 == 31 : b % 64;
    }
    if (!sizes) return;
    *sizes = arrow_byte(a) % 64;
    x->buffers[1] = views;
    x->buffers[2] = arrow_raw(a, *sizes);
    x->buffers[3] = sizes;
    x->n_buffers = 4;
}

static void arrow_buffers(arrow_bytes *a, struct ArrowArray *x, const struct ArrowSchema *s)
{
    const int64_t end = x->offset + x->length;
    const char *f = s->format;
    const int width = strchr("UL", f[strlen(f) ? strlen(f) - 1 : 0]) ? 8 : 4;
    x->buffers = arrow_block(a, 4 * sizeof *x->buffers);
    if (!x->buffers || !*f) return;
    if (arrow_byte(a) % 2) x->buffers[0] = arrow_raw(a, end / 8 + 1);
    x->n_buffers = 1;
    if (!strcmp(f, "n")) x->n_buffers = 0;
    if (!strcmp(f, "vu")) arrow_views(a, x, end);
    else if (!strncmp(f, "+v", 2)) {
        x->buffers[1] = arrow_offsets(a, width, end);
        x->buffers[2] = arrow_offsets(a, width, end);
        x->n_buffers = 3;
    } else if (*f == 'u' || *f == 'U' || !strcmp(f, "+l") || !strcmp(f, "+L")) {
        x->buffers[1] = arrow_offsets(a, width, end + 1);
        x->n_buffers = *f == '+' ? 2 : 3;
        const int64_t last = x->buffers[1] ? arrow_read(x->buffers[1], width, end) : 0;
        if (*f != '+') x->buffers[2] = arrow_raw(a, last < 0 ? 0 : last > 9999 ? 9999 : last);
    } else if (*f != '+' && *f != 'n') {
        x->buffers[1] = arrow_raw(a, end * 8);
        x->n_buffers = 2;
    }
}

static void arrow_array(arrow_bytes *a, struct ArrowArray *x, const struct ArrowSchema *s,
                        int64_t wanted, int depth)
{
    memset(x, 0, sizeof *x);
    const int b = arrow_byte(a);
    x->length = b % 8 == 7 ? b / 8 : wanted;
    x->offset = b / 64;
    x->null_count = b % 3 - 1;
    x->release = arrow_release_array;
    if (depth > ARROW_DEPTH) return;
    arrow_buffers(a, x, s);
    x->n_children = s->n_children < 0 ? 0 : s->n_children;
    struct ArrowArray *children = arrow_block(a, (size_t)x->n_children * sizeof *children);
    x->children = arrow_block(a, (size_t)x->n_children * sizeof *x->children);
    if (!children || !x->children) x->n_children = 0;
    const int64_t inner = s->format[0] && s->format[1] == 's' ? x->offset + x->length : 20;
    for (int64_t i = 0; i < x->n_children; i++) {
        x->children[i] = &children[i];
        arrow_array(a, &children[i], s->children[i], inner, depth + 1);
    }
    if (s->dictionary && (x->dictionary = arrow_block(a, sizeof *x)))
        arrow_array(a, x->dictionary, s->dictionary, 3, depth + 1);
    if (b == 250) x->n_buffers++;
    if (b == 251) x->n_children++;
    if (b == 252) x->length = -1;
    if (b == 253 && x->n_children) x->children[0] = NULL;
    if (b == 254) x->buffers = NULL;
}

static int arrow_get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    arrow_bytes *a = stream->private_data;
    *out = a->schema;
    a->given++;
    return 0;
}

static int arrow_get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    arrow_bytes *a = stream->private_data;
    memset(out, 0, sizeof *out);
    if (a->batches++ >= 3 || a->at == a->end) return 0;
    if (arrow_byte(a) == 255) return 5;
    arrow_array(a, out, &a->schema, arrow_byte(a) % 6, 0);
    a->given++;
    return 0;
}

static const char *arrow_error(struct ArrowArrayStream *stream) { return (void)stream, NULL; }

static void arrow_release(struct ArrowArrayStream *stream)
{
    arrow_bytes *a = stream->private_data;
    a->returned++;
    stream->release = NULL;
}

/* Every record, twice where it can be read again; then what they are as a stream. */
static void arrow_records(kd_context *ctx, struct ArrowArrayStream *stream, int32_t once)
{
    kd_record_reader *reader = NULL, *back = NULL;
    kd_record_options records = KD_RECORD_OPTIONS_INIT;
    kd_arrow_options o = KD_ARROW_OPTIONS_INIT;
    kd_record r = KD_RECORD_INIT;
    struct ArrowArrayStream out;
    int64_t count = 0, again = 0;
    kd_status status = KD_OK;
    records.bad_lines = KD_BAD_LINES_SKIP;
    records.unsupported = KD_MEMBERS_KEEP;
    o.records = &records;
    o.once = once;
    if (kd_record_reader_from_arrow(&reader, ctx, stream, &o) != KD_OK) return;
    while ((status = kd_record_reader_next(reader, &r)) == KD_OK) count++;
    if (!once && status == KD_END && kd_record_reader_rewind(reader) == KD_OK &&
        kd_record_reader_to_arrow(reader, &out) == KD_OK) {
        if (kd_record_reader_from_arrow(&back, ctx, &out, &o) != KD_OK) abort();
        while ((status = kd_record_reader_next(back, &r)) == KD_OK) again++;
        if (status != KD_END || again != count) abort();
    }
    kd_record_reader_free(back);
    kd_record_reader_free(reader);
}

static void use_arrow(kd_context *ctx, const uint8_t *data, size_t size)
{
    for (int32_t once = 0; once < 2; once++) {
        arrow_bytes *a = calloc(1, sizeof *a);
        if (!a) exit(2);
        arrow_now = a;
        a->at = data;
        a->end = data + size;
        arrow_schema(a, &a->schema, 0);
        struct ArrowArrayStream stream = { arrow_get_schema, arrow_get_next, arrow_error,
                                           arrow_release, a };
        arrow_records(ctx, &stream, once);
        /* all that was given away came back, and the stream once */
        if (stream.release || a->returned != a->given + 1) abort();
        for (int i = 0; i < a->count; i++) free(a->blocks[i]);
        free(a);
    }
}

#endif
