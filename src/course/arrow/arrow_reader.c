/* Records out of a stream: batches one after the other, checked whole, then read row by row. */
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "course/arrow/arrow.h"
#include "course/record/record.h"

static const kd_arrow_options defaults = KD_ARROW_OPTIONS_INIT;
void kd_arrow_options_init(kd_arrow_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

typedef struct batches {
    kd_context *context;
    struct ArrowArrayStream stream;
    kd__arrow_column columns;
    kd__arrow_room room;
    struct ArrowArray *kept; /* batches, released ones with once */
    int64_t count, capacity, now, row;
    int once, started, ended;
} batches;

static void release_array(struct ArrowArray *array)
{
    if (array->release) array->release(array);
    array->release = NULL;
}

static void free_batches(void *self)
{
    batches *b = self;
    for (int64_t i = 0; i < b->count; i++) release_array(&b->kept[i]);
    if (b->stream.release) b->stream.release(&b->stream);
    kd__arrow_room_free(&b->room);
    kd__arrow_columns_free(b->context, &b->columns);
    kd__release(b->context, b->kept);
    kd__release(b->context, b);
}

static kd_status stream_failed(batches *b, const char *what, int code)
{
    const char *said = b->stream.get_last_error ? b->stream.get_last_error(&b->stream) : NULL;
    b->ended = 1;
    return kd__fail(code == ENOMEM ? KD_ERR_MEMORY : KD_ERR_IO, "%s: %.300s (code %d)", what,
                    said ? said : "no reason was given", code);
}

/* One more batch; KD_END: the stream is through. */
static kd_status fetch(batches *b)
{
    struct ArrowArray array;
    if (b->ended) return KD_END;
    KD_TRY(KD_RESERVE(b->context, &b->kept, &b->capacity, b->count + 1));
    memset(&array, 0, sizeof array);
    const int code = b->stream.get_next(&b->stream, &array);
    if (code) return stream_failed(b, "the next batch", code);
    if (!array.release) {
        b->ended = 1;
        return KD_END;
    }
    b->kept[b->count++] = array;
    const kd_status status = kd__arrow_column_check(&b->columns, &array, 0);
    if (status != KD_OK) b->ended = 1;
    return status;
}

/* Goes on to a batch with a row that was not read. */
static kd_status find_row(batches *b)
{
    for (;;) {
        if (b->now == b->count) KD_TRY(fetch(b));
        if (b->row < b->kept[b->now].length) return KD_OK;
        if (b->once) release_array(&b->kept[b->now]);
        b->now++;
        b->row = 0;
    }
}

static kd_status next_row(void *self, const kd__json **row, int *broken)
{
    batches *b = self;
    const kd_status status = find_row(b);
    *broken = status < 0;
    if (status != KD_OK) {
        if (status < 0 && status != KD_ERR_MEMORY) b->now = b->count, b->row = 0;
        return status;
    }
    b->started = 1;
    return kd__arrow_row_read(&b->room, &b->columns, &b->kept[b->now], b->row++, row);
}

static kd_status rewind_rows(void *self)
{
    batches *b = self;
    KD_FAIL_IF(b->once && b->started, KD_ERR_STATE,
               "this Arrow stream is read once and cannot be rewound: open it again, or set "
               "kd_arrow_options.once to 0");
    b->now = b->row = 0;
    return KD_OK;
}

static kd_status read_schema(batches *b)
{
    struct ArrowSchema schema;
    memset(&schema, 0, sizeof schema);
    const int code = b->stream.get_schema(&b->stream, &schema);
    if (code) return stream_failed(b, "the stream's schema", code);
    const kd_status status = kd__arrow_columns_read(b->context, &b->columns, &schema);
    if (schema.release) schema.release(&schema);
    return status;
}

kd_status kd_record_reader_from_arrow(kd_record_reader **out, kd_context *context,
                                      kd_arrow_stream *stream, const kd_arrow_options *options)
{
    kd_arrow_options o = defaults;
    batches *b = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_NEED(stream);
    KD_FAIL_IF(!stream->release || !stream->get_schema || !stream->get_next, KD_ERR_INVALID,
               "stream: expected an Arrow stream, got one that was released or moved: ask its "
               "source for another");
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_arrow_options"));
    KD_FAIL_IF(o.once != 0 && o.once != 1, KD_ERR_RANGE, "once: expected 0 or 1, got %d", o.once);
    KD_TRY(KD_NEW(context, &b, 1));
    b->context = b->room.context = context;
    b->once = o.once;
    b->stream = *stream;
    stream->release = NULL;
    const kd__record_rows rows = { b, next_row, rewind_rows, free_batches };
    const kd_status status = read_schema(b);
    if (status == KD_OK) return kd__record_reader_from_rows(out, context, o.records, &rows);
    free_batches(b);
    return status;
}
