/* Lines of files, or elements of an array that a file is, one at a time, and the records in
 * them. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/object.h"
#include "course/record/record.h"

static const kd_record_options defaults = KD_RECORD_OPTIONS_INIT;
void kd_record_options_init(kd_record_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

enum { CHUNK = 1 << 18 };

struct kd_record_reader {
    kd__object object;
    kd_record_options options;
    kd__arena kept; /* names and paths */
    const char **paths;
    int32_t path_count, path; /* the one that is read */
    char *lines;              /* instead of files */
    int64_t lines_bytes, lines_at;
    kd__input *input;
    char *chunk;
    int64_t chunk_at, chunk_end;
    kd__text line;
    int too_long;
    int64_t number;       /* of the line in its file, where what is read begins */
    int fresh;            /* nothing of the file was read yet */
    int array;            /* the file is one JSON array: see read_element */
    int64_t passed;       /* line ends of an array so far */
    kd__record_rows rows; /* instead of lines; next NULL: there are none */
    kd__shape shape;
    kd_record_counts counts;
};

/* ---- opening ---- */

static kd_status keep_name(kd_record_reader *r, const char **name)
{
    if (!*name) return KD_OK;
    return kd__arena_text(&r->kept, *name, (int64_t)strlen(*name), name);
}

static kd_status check_options(const kd_record_options *o)
{
    KD_FAIL_IF(o->parts < 1 || o->part < 0 || o->part >= o->parts, KD_ERR_RANGE,
               "part: expected 0 to parts - 1 of at least 1 parts, got part %d of %d", o->part,
               o->parts);
    KD_FAIL_IF(o->bad_lines < 0 || o->bad_lines > KD_BAD_LINES_SKIP, KD_ERR_RANGE,
               "bad_lines: expected 0 or 1, got %d", o->bad_lines);
    KD_FAIL_IF(o->line_bytes < 2 || o->line_bytes > (int64_t)1 << 31, KD_ERR_RANGE,
               "line_bytes: expected 2 to 2^31, got %lld", (long long)o->line_bytes);
    KD_FAIL_IF(o->unsupported < 0 || o->unsupported > KD_MEMBERS_DROP, KD_ERR_RANGE,
               "unsupported: expected 0 to 2, got %d", o->unsupported);
    KD_FAIL_IF(o->unknown < 0 || o->unknown > KD_MEMBERS_DROP, KD_ERR_RANGE,
               "unknown: expected 0 to 2, got %d", o->unknown);
    KD_FAIL_IF(o->reasoning < 0 || o->reasoning > KD_REASONING_MEMBER, KD_ERR_RANGE,
               "reasoning: expected 0 or 1, got %d", o->reasoning);
    return KD_OK;
}

static kd_status create(kd_record_reader **out, kd_context *context,
                        const kd_record_options *options)
{
    kd_record_options o = defaults;
    kd_record_reader *r = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_record_options"));
    KD_TRY(check_options(&o));
    KD_TRY(kd__object_create((void **)&r, context, sizeof *r));
    r->options = o;
    r->kept.context = r->shape.arena.context = r->shape.shared.context = r->shape.noted.context =
        r->line.context = context;
    r->shape.options = &r->options;
    r->shape.sample = -1;
    kd_status status = KD_OK;
    const char **names[] = { &r->options.prompt_field, &r->options.completion_field,
                             &r->options.expected_field, &r->options.domain_field };
    for (size_t i = 0; i < sizeof names / sizeof *names && status == KD_OK; i++)
        status = keep_name(r, names[i]);
    if (status == KD_OK) status = KD_NEW(context, &r->chunk, CHUNK);
    if (status != KD_OK) {
        kd_record_reader_free(r);
        return status;
    }
    *out = r;
    return KD_OK;
}

enum { LINES, ARRAY, ARRAY_BEGINS, ARRAY_ENDED };

static void begin_file(kd_record_reader *r)
{
    r->fresh = 1;
    r->array = LINES;
    r->number = r->passed = 0;
}

static kd_status begin(kd_record_reader *r)
{
    if (r->rows.rewind) KD_TRY(r->rows.rewind(r->rows.self));
    kd__input_close(r->input);
    r->input = NULL;
    kd__shape_reset(&r->shape);
    r->path = 0;
    r->chunk_at = r->chunk_end = r->lines_at = 0;
    begin_file(r);
    r->counts = (kd_record_counts){ 0 };
    if (!r->path_count) return KD_OK;
    KD_TRY(kd__input_open(&r->input, r->object.context, r->paths[0]));
    r->counts.files = 1;
    return KD_OK;
}

static kd_status keep_paths(kd_record_reader *r, const char *const *paths, int32_t count)
{
    KD_TRY(KD_NEW(r->object.context, &r->paths, count));
    r->path_count = count;
    for (int32_t i = 0; i < count; i++) {
        KD_FAIL_IF(!paths[i], KD_ERR_INVALID, "paths[%d]: expected a file's name, got NULL", i);
        KD_TRY(kd__arena_text(&r->kept, paths[i], (int64_t)strlen(paths[i]), &r->paths[i]));
        kd__input *there = NULL; /* a file that is missing is told at once */
        KD_TRY(kd__input_open(&there, r->object.context, paths[i]));
        kd__input_close(there);
    }
    return begin(r);
}

kd_status kd_record_reader_open(kd_record_reader **out, kd_context *context,
                                const char *const *paths, int32_t count,
                                const kd_record_options *options)
{
    kd_record_reader *r = NULL;
    KD_NEED(paths);
    KD_FAIL_IF(count < 1, KD_ERR_RANGE, "count: expected at least 1 path, got %d", count);
    KD_TRY(create(out ? &r : NULL, context, options));
    const kd_status status = keep_paths(r, paths, count);
    if (status == KD_OK) *out = r;
    else kd_record_reader_free(r);
    return status;
}

kd_status kd_record_reader_open_text(kd_record_reader **out, kd_context *context, const char *lines,
                                     int64_t bytes, const kd_record_options *options)
{
    kd_record_reader *r = NULL;
    KD_NEED(lines);
    KD_FAIL_IF(bytes < -1, KD_ERR_RANGE, "bytes: expected at least -1, got %lld", (long long)bytes);
    KD_TRY(create(out ? &r : NULL, context, options));
    r->lines_bytes = bytes < 0 ? (int64_t)strlen(lines) : bytes;
    const kd_status status = KD_NEW(context, &r->lines, r->lines_bytes + 1);
    if (status != KD_OK) {
        kd_record_reader_free(r);
        return status;
    }
    memcpy(r->lines, lines, (size_t)r->lines_bytes);
    *out = r;
    return begin(r);
}

kd_status kd__record_reader_from_rows(kd_record_reader **out, kd_context *context,
                                      const kd_record_options *options, const kd__record_rows *rows)
{
    kd_record_reader *r = NULL;
    const kd_status status = create(&r, context, options);
    if (status != KD_OK) {
        rows->free(rows->self);
        return status;
    }
    r->rows = *rows;
    *out = r;
    return begin(r);
}

void kd_record_reader_free(kd_record_reader *r)
{
    if (!kd__object_drop(r)) return;
    kd_context *context = r->object.context;
    if (r->rows.free) r->rows.free(r->rows.self);
    kd__input_close(r->input);
    kd__shape_reset(&r->shape);
    kd__arena_empty(&r->kept);
    kd__text_free(&r->line);
    kd__release(context, r->paths);
    kd__release(context, r->lines);
    kd__release(context, r->chunk);
    kd__object_destroy(r);
}

kd_status kd_record_reader_rewind(kd_record_reader *reader)
{
    KD_NEED(reader);
    return begin(reader);
}

kd_status kd_record_reader_get_counts(kd_record_reader *reader, kd_record_counts *counts)
{
    KD_NEED(reader);
    KD_NEED(counts);
    reader->counts.unsupported = reader->shape.unsupported;
    reader->counts.unknown = reader->shape.unknown;
    return kd__info_write(counts, &reader->counts, sizeof reader->counts, "kd_record_counts");
}

/* ---- lines ---- */

static const char *name_of(const kd_record_reader *r)
{
    if (r->rows.next) return "the Arrow stream";
    return r->lines ? "the lines" : r->paths[r->path];
}

/* The rest of the file is not read: one error, then the next file. */
static kd_status give_up(kd_record_reader *r, kd_status status)
{
    kd__input_close(r->input);
    r->input = NULL;
    r->array = LINES;
    r->lines_at = r->lines_bytes;
    r->chunk_at = r->chunk_end = 0;
    r->counts.broken_files++;
    return status;
}

static kd_status fail_file(kd_record_reader *r, kd_status status, const char *why)
{
    return give_up(r, kd__fail(status, "%.200s: %s", name_of(r), why));
}

static kd_status look_at_start(kd_record_reader *r)
{
    char reason[256];
    int array = 0;
    r->fresh = 0;
    const kd_status status = kd__start_look(r->chunk, r->chunk_end, &array);
    r->array = array ? ARRAY_BEGINS : LINES;
    if (status == KD_OK) return KD_OK;
    snprintf(reason, sizeof reason, "%s", kd_last_error());
    return fail_file(r, status, reason);
}

/* More bytes into the chunk; KD_END: this file is through. */
static kd_status refill(kd_record_reader *r)
{
    kd_status status = KD_OK;
    int64_t got = 0;
    if (r->lines) {
        got = kd__min(r->lines_bytes - r->lines_at, CHUNK);
        memcpy(r->chunk, r->lines + r->lines_at, (size_t)got);
        r->lines_at += got;
    } else if (r->input) status = kd__input_read_some(r->input, r->chunk, CHUNK, &got);
    if (status != KD_OK) return status == KD_ERR_MEMORY ? status : give_up(r, status);
    r->chunk_at = 0;
    r->chunk_end = got;
    r->counts.bytes += got;
    if (!got) return KD_END;
    return r->fresh ? look_at_start(r) : KD_OK;
}

/* KD_END: no file is left. */
static kd_status next_file(kd_record_reader *r)
{
    kd__input_close(r->input);
    r->input = NULL;
    if (r->lines || r->path + 1 >= r->path_count) return KD_END;
    begin_file(r);
    KD_TRY(kd__input_open(&r->input, r->object.context, r->paths[++r->path]));
    r->counts.files++;
    return KD_OK;
}

static kd_status take_piece(kd_record_reader *r, const char *from, int64_t size)
{
    if (r->too_long || r->line.size + size > r->options.line_bytes) {
        r->too_long = 1;
        r->line.size = 0;
        return KD_OK;
    }
    return kd__text_append(&r->line, from, (size_t)size);
}

static void clear_line(kd_record_reader *r)
{
    r->line.size = 0;
    r->too_long = 0;
}

/* The next line, without its end, into r->line; KD_END: the file has none. */
static kd_status read_line(kd_record_reader *r)
{
    const char *end = NULL;
    for (int any = 0; !end; any = 1) {
        kd_status status = r->chunk_at < r->chunk_end ? KD_OK : refill(r);
        if (status == KD_END && any) break;
        if (status != KD_OK || r->array) return status;
        const char *from = r->chunk + r->chunk_at;
        end = memchr(from, '\n', (size_t)(r->chunk_end - r->chunk_at));
        const int64_t size = end ? end - from : r->chunk_end - r->chunk_at;
        KD_TRY(take_piece(r, from, size));
        r->chunk_at += size + (end != NULL);
    }
    r->number++;
    r->counts.lines++;
    return KD_OK;
}

static int is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* Over white space, counting its lines; KD_END: nothing else is left. */
static kd_status skip_space(kd_record_reader *r)
{
    for (;;) {
        if (r->chunk_at == r->chunk_end) {
            const kd_status status = refill(r);
            if (status != KD_OK) return status;
        }
        for (; r->chunk_at < r->chunk_end; r->chunk_at++) {
            if (!is_space(r->chunk[r->chunk_at])) return KD_OK;
            r->passed += r->chunk[r->chunk_at] == '\n';
        }
    }
}

/* What an element is, up to the comma or bracket after it. */
static kd_status take_element(kd_record_reader *r)
{
    kd__element element = { 0 };
    for (int ends = 0; !ends;) {
        const kd_status status = r->chunk_at < r->chunk_end ? KD_OK : refill(r);
        if (status != KD_OK) return status;
        const char *from = r->chunk + r->chunk_at;
        const int64_t size = kd__element_scan(&element, from, r->chunk_end - r->chunk_at, &ends);
        for (int64_t i = 0; i < size; i++) r->passed += from[i] == '\n';
        KD_TRY(take_piece(r, from, size));
        r->chunk_at += size;
    }
    return KD_OK;
}

/* The next element of an array, as if it were a line. Only one of them is held. */
static kd_status read_element(kd_record_reader *r)
{
    if (r->array == ARRAY_BEGINS) { /* after the byte order mark and white space */
        r->chunk_at += kd__order_mark(r->chunk, r->chunk_end);
        KD_TRY(skip_space(r));
        r->chunk_at++;
        r->array = ARRAY;
    }
    kd_status status = skip_space(r);
    if (r->array == ARRAY_ENDED)
        return status == KD_OK ? fail_file(r, KD_ERR_FORMAT,
                                           "expected the end of the file after the array, got text")
                               : status;
    r->number = r->passed + 1;
    if (status == KD_OK) status = take_element(r);
    if (status == KD_END)
        return fail_file(r, KD_ERR_FORMAT, "the array is cut short: expected ',' or ']'");
    if (status != KD_OK) return status;
    r->array = r->chunk[r->chunk_at++] == ',' ? ARRAY : ARRAY_ENDED;
    if (r->line.size || r->too_long) r->counts.lines++;
    return KD_OK;
}

/* The next line or element of all files; KD_END: none is left. */
static kd_status read_text(kd_record_reader *r)
{
    for (;;) {
        clear_line(r);
        kd_status status = r->array ? KD_OK : read_line(r);
        if (status == KD_OK && r->array) status = read_element(r);
        if (status != KD_END) return status;
        status = next_file(r);
        if (status != KD_OK) return status;
    }
}

static int is_empty(const kd__text *line)
{
    for (int64_t i = kd__order_mark(line->bytes, line->size); i < line->size; i++)
        if (!is_space(line->bytes[i])) return 0;
    return 1;
}

/* A line that cannot be used: an error that names it, or KD_OK after it was counted and logged. */
static kd_status bad_line(kd_record_reader *r)
{
    char reason[256];
    const char *path = name_of(r), *unit = r->rows.next ? "row" : "line";
    snprintf(reason, sizeof reason, "%s", kd_last_error());
    r->counts.bad++;
    if (!r->counts.first_bad_line) r->counts.first_bad_line = r->number;
    kd__shape_end(&r->shape);
    if (r->options.bad_lines == KD_BAD_LINES_REFUSE)
        return kd__fail(KD_ERR_FORMAT, "%.200s, %s %lld: %s", path, unit, (long long)r->number,
                        reason);
    kd__log(r->object.context, KD_LOG_WARNING, "%.200s, %s %lld is skipped: %s", path, unit,
            (long long)r->number, reason);
    return KD_OK;
}

static kd_status begin_line(kd_record_reader *r)
{
    KD_FAIL_IF(r->too_long, KD_ERR_FORMAT, "longer than %lld bytes",
               (long long)r->options.line_bytes);
    /* of the file, or of one that was joined to it */
    const int64_t mark = kd__order_mark(r->line.bytes, r->line.size);
    return kd__shape_begin(&r->shape, r->line.bytes + mark, r->line.size - mark);
}

/* Goes on to a line that begins well. KD_END: none is left. */
static kd_status next_line(kd_record_reader *r)
{
    for (;;) {
        kd_status status = read_text(r);
        if (status != KD_OK) return status;
        if (is_empty(&r->line) && !r->too_long) {
            if (!r->array) r->counts.empty++;
            continue;
        }
        status = begin_line(r);
        if (status == KD_OK || status == KD_ERR_MEMORY) return status;
        KD_TRY(bad_line(r));
    }
}

/* Goes on to a row that begins well. KD_END: none is left. */
static kd_status next_good_row(kd_record_reader *r)
{
    for (;;) {
        const kd__json *row = NULL;
        int broken = 0;
        kd__shape_end(&r->shape); /* before what it points to goes */
        kd_status status = r->rows.next(r->rows.self, &row, &broken);
        if (status == KD_END || status == KD_ERR_MEMORY) return status;
        if (broken) return r->counts.broken_files++, kd__fail_in(status, name_of(r));
        r->number++;
        r->counts.lines++;
        if (status == KD_OK) status = kd__shape_begin_row(&r->shape, row);
        if (status == KD_OK || status == KD_ERR_MEMORY) return status;
        KD_TRY(bad_line(r));
    }
}

static int is_of_part(const kd_record_reader *r, const kd_record *record)
{
    const uint64_t parts = (uint64_t)r->options.parts;
    return parts == 1 || record->prompt_key[0] % parts == (uint64_t)r->options.part;
}

kd_status kd_record_reader_next(kd_record_reader *r, kd_record *record)
{
    kd_record found;
    KD_NEED(r);
    KD_NEED(record);
    for (;;) {
        const kd_status status = kd__shape_next(&r->shape, &found);
        if (status == KD_OK && is_of_part(r, &found)) break;
        if (status == KD_OK) {
            r->counts.other_parts++;
            continue;
        }
        if (status < 0 && status != KD_ERR_MEMORY) KD_TRY(bad_line(r));
        else if (status < 0) return status;
        const kd_status line = r->rows.next ? next_good_row(r) : next_line(r);
        if (line != KD_OK) return line;
    }
    found.line = r->number;
    r->counts.records++;
    return kd__info_write(record, &found, sizeof found, "kd_record");
}
