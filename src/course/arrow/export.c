/* Columns as Arrow's arrays, and a source of them as a stream. Each struct that is given away owns
 * what it points to, because a consumer may take its children apart. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "course/arrow/arrow.h"

/* ---- schemas ---- */

typedef struct schema_owner {
    kd__object object;
    char name[KD_NAME_BYTES + 8];
    struct ArrowSchema *children, **list;
} schema_owner;

static void release_schema(struct ArrowSchema *schema)
{
    schema_owner *owner = schema->private_data;
    kd_context *context = owner->object.context;
    for (int64_t i = 0; i < schema->n_children; i++)
        if (owner->children[i].release) owner->children[i].release(&owner->children[i]);
    kd__release(context, owner->children);
    kd__release(context, owner->list);
    schema->release = NULL;
    if (kd__object_drop(owner)) kd__object_destroy(owner);
}

static kd_status export_schema(const kd__build *build, int32_t column, struct ArrowSchema *out)
{
    const kd__built *c = &build->columns[column];
    schema_owner *owner = NULL;
    memset(out, 0, sizeof *out);
    KD_TRY(kd__object_create((void **)&owner, build->context, sizeof *owner));
    snprintf(owner->name, sizeof owner->name, "%s", c->name);
    *out = (struct ArrowSchema){ .format = c->format,
                                 .name = owner->name,
                                 .flags = ARROW_FLAG_NULLABLE,
                                 .release = release_schema,
                                 .private_data = owner };
    if (!c->children) return KD_OK;
    kd_status status = KD_NEW(build->context, &owner->children, c->children);
    if (status == KD_OK) status = KD_NEW(build->context, &owner->list, c->children);
    int32_t child = column + 1;
    for (int32_t i = 0; i < c->children && status == KD_OK; i++) {
        owner->list[i] = &owner->children[i];
        status = export_schema(build, child, &owner->children[i]);
        if (status == KD_OK) out->n_children = i + 1;
        child = kd__build_after(build, child);
    }
    out->children = owner->list;
    if (status != KD_OK) release_schema(out);
    return status;
}

/* ---- arrays ---- */

typedef struct array_owner {
    kd__object object;
    void *blocks[3];
    const void *buffers[3];
    struct ArrowArray *children, **list;
} array_owner;

static void release_array(struct ArrowArray *array)
{
    array_owner *owner = array->private_data;
    kd_context *context = owner->object.context;
    for (int64_t i = 0; i < array->n_children; i++)
        if (owner->children[i].release) owner->children[i].release(&owner->children[i]);
    for (int i = 0; i < 3; i++) kd__release(context, owner->blocks[i]);
    kd__release(context, owner->children);
    kd__release(context, owner->list);
    array->release = NULL;
    if (kd__object_drop(owner)) kd__object_destroy(owner);
}

static void move_buffer(array_owner *owner, struct ArrowArray *out, kd__buffer *buffer, int hidden)
{
    owner->blocks[out->n_buffers] = buffer->bytes;
    owner->buffers[out->n_buffers++] = hidden ? NULL : buffer->bytes;
    *buffer = (kd__buffer){ .bytes = NULL };
}

static void move_buffers(array_owner *owner, struct ArrowArray *out, kd__built *c)
{
    move_buffer(owner, out, &c->valid, !c->nulls);
    if (!strcmp(c->format, "+s")) return;
    if (*c->format == 'U' || !strcmp(c->format, "+L")) move_buffer(owner, out, &c->offsets, 0);
    if (strcmp(c->format, "+L")) move_buffer(owner, out, &c->data, 0);
}

/* Blocks that are there even for no values: some consumers read the first offset of none. */
static kd_status make_blocks(kd__build *build, kd__built *c)
{
    kd__buffer *buffers[] = { &c->offsets, &c->data };
    for (int i = 0; i < 2; i++) {
        if (buffers[i]->bytes) continue;
        KD_TRY(KD_RESERVE(build->context, &buffers[i]->bytes, &buffers[i]->room, 64));
        memset(buffers[i]->bytes, 0, 64);
    }
    return KD_OK;
}

static kd_status export_array(kd__build *build, int32_t column, struct ArrowArray *out)
{
    kd__built *c = &build->columns[column];
    array_owner *owner = NULL;
    memset(out, 0, sizeof *out);
    KD_TRY(make_blocks(build, c));
    KD_TRY(kd__object_create((void **)&owner, build->context, sizeof *owner));
    *out = (struct ArrowArray){ .length = c->length,
                                .null_count = c->nulls,
                                .buffers = owner->buffers,
                                .release = release_array,
                                .private_data = owner };
    move_buffers(owner, out, c);
    if (!c->children) return KD_OK;
    kd_status status = KD_NEW(build->context, &owner->children, c->children);
    if (status == KD_OK) status = KD_NEW(build->context, &owner->list, c->children);
    int32_t child = column + 1;
    for (int32_t i = 0; i < c->children && status == KD_OK; i++) {
        owner->list[i] = &owner->children[i];
        status = export_array(build, child, &owner->children[i]);
        if (status == KD_OK) out->n_children = i + 1;
        child = kd__build_after(build, child);
    }
    out->children = owner->list;
    if (status != KD_OK) release_array(out);
    return status;
}

/* ---- streams ---- */

typedef struct stream_owner {
    kd__object object;
    kd__build build;
    kd__source source;
    int code; /* not 0: what every further call returns */
    char error[512];
} stream_owner;

static int fail(stream_owner *s, kd_status status)
{
    snprintf(s->error, sizeof s->error, "%s", kd_last_error());
    return status == KD_ERR_MEMORY ? ENOMEM : status == KD_ERR_IO ? EIO : EINVAL;
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    stream_owner *s = stream->private_data;
    const kd_status status = export_schema(&s->build, 0, out);
    return status == KD_OK ? 0 : fail(s, status);
}

/* Rows that were read before an error are given first, the error comes with the next call. */
static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    stream_owner *s = stream->private_data;
    memset(out, 0, sizeof *out);
    if (s->code) return s->code;
    kd__build_clear(&s->build);
    kd_status status = s->source.fill(s->source.self, &s->build);
    if (status < 0) s->code = fail(s, status);
    if (!s->build.columns[0].length) return s->code;
    status = export_array(&s->build, 0, out);
    if (status != KD_OK) s->code = fail(s, status);
    return status == KD_OK ? 0 : s->code;
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    return ((stream_owner *)stream->private_data)->error;
}

static void release_stream(struct ArrowArrayStream *stream)
{
    stream_owner *s = stream->private_data;
    s->source.free(s->source.self);
    kd__build_free(&s->build);
    stream->release = NULL;
    if (kd__object_drop(s)) kd__object_destroy(s);
}

kd_status kd__stream_open(kd_arrow_stream *stream, kd_context *context, kd__build *build,
                          const kd__source *source)
{
    stream_owner *s = NULL;
    const kd_status status = kd__object_create((void **)&s, context, sizeof *s);
    if (status != KD_OK) {
        source->free(source->self);
        kd__build_free(build);
        return status;
    }
    s->build = *build;
    s->source = *source;
    *stream = (struct ArrowArrayStream){ .get_schema = get_schema,
                                         .get_next = get_next,
                                         .get_last_error = get_last_error,
                                         .release = release_stream,
                                         .private_data = s };
    return KD_OK;
}

void kd__key_text(char to[33], const uint64_t key[2])
{
    snprintf(to, 33, "%016llx%016llx", (unsigned long long)key[0], (unsigned long long)key[1]);
}
