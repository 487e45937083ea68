/* What the columns of a schema are, and whether an array is what its column says. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "course/arrow/arrow.h"

#define MOST_DEPTH 32
#define MOST_COLUMNS 4096 /* side by side */

/* ---- schemas ---- */

static const struct {
    const char *format;
    int32_t type, width;
} kinds[] = {
    { "n", KD__COLUMN_NULL, 0 },         { "b", KD__COLUMN_BOOL, 0 },
    { "c", KD__COLUMN_SIGNED, 1 },       { "C", KD__COLUMN_UNSIGNED, 1 },
    { "s", KD__COLUMN_SIGNED, 2 },       { "S", KD__COLUMN_UNSIGNED, 2 },
    { "i", KD__COLUMN_SIGNED, 4 },       { "I", KD__COLUMN_UNSIGNED, 4 },
    { "l", KD__COLUMN_SIGNED, 8 },       { "L", KD__COLUMN_UNSIGNED, 8 },
    { "e", KD__COLUMN_FLOAT, 2 },        { "f", KD__COLUMN_FLOAT, 4 },
    { "g", KD__COLUMN_FLOAT, 8 },        { "u", KD__COLUMN_TEXT, 4 },
    { "U", KD__COLUMN_TEXT, 8 },         { "vu", KD__COLUMN_TEXT_VIEW, 16 },
    { "+l", KD__COLUMN_LIST, 4 },        { "+L", KD__COLUMN_LIST, 8 },
    { "+vl", KD__COLUMN_LIST_VIEW, 4 },  { "+vL", KD__COLUMN_LIST_VIEW, 8 },
    { "+w:", KD__COLUMN_LIST_FIXED, 0 }, { "+s", KD__COLUMN_STRUCT, 0 },
};

static int is_list(const kd__arrow_column *c)
{
    return c->type == KD__COLUMN_LIST || c->type == KD__COLUMN_LIST_VIEW ||
           c->type == KD__COLUMN_LIST_FIXED;
}

static kd_status read_format(kd__arrow_column *c, const char *format)
{
    const size_t count = sizeof kinds / sizeof *kinds, fixed = strlen("+w:");
    KD_FAIL_IF(!format, KD_ERR_FORMAT, "Arrow column '%.80s': it has no format", c->name);
    for (size_t i = 0; i < count; i++) {
        const int sized = kinds[i].type == KD__COLUMN_LIST_FIXED;
        if (sized ? strncmp(format, "+w:", fixed) : strcmp(format, kinds[i].format)) continue;
        c->type = kinds[i].type;
        c->width = kinds[i].width;
        if (!sized) return KD_OK;
        char *end = NULL;
        c->list_size = strtoll(format + fixed, &end, 10);
        KD_FAIL_IF(!format[fixed] || *end || c->list_size < 0 || c->list_size > INT32_MAX,
                   KD_ERR_FORMAT, "Arrow column '%.80s': the size of a fixed list, got '%.20s'",
                   c->name, format);
        return KD_OK;
    }
    return kd__fail(KD_ERR_UNSUPPORTED,
                    "Arrow column '%.80s': expected texts, numbers, bools, lists or structs, got "
                    "the Arrow type '%.20s': cast the column or leave it out",
                    c->name, format);
}

static kd_status check_names(const kd__arrow_column *c)
{
    for (int32_t i = 0; i < c->child_count; i++)
        for (int32_t j = 0; j < i; j++)
            KD_FAIL_IF(!strcmp(c->children[i].name, c->children[j].name), KD_ERR_FORMAT,
                       "Arrow: the column '%.80s' appears twice", c->children[i].name);
    return KD_OK;
}

static kd_status read_column(kd_context *context, kd__arrow_column *c,
                             const struct ArrowSchema *schema, int depth);

static kd_status read_children(kd_context *context, kd__arrow_column *c,
                               const struct ArrowSchema *schema, int depth)
{
    const int64_t count = schema->n_children;
    KD_FAIL_IF(count < 0 || count > MOST_COLUMNS, KD_ERR_FORMAT,
               "Arrow column '%.80s': expected 0 to %d columns, got %lld", c->name, MOST_COLUMNS,
               (long long)count);
    KD_FAIL_IF(count && !schema->children, KD_ERR_FORMAT, "Arrow column '%.80s': no children",
               c->name);
    KD_FAIL_IF(is_list(c) && count != 1, KD_ERR_FORMAT,
               "Arrow column '%.80s': a list has 1 child, got %lld", c->name, (long long)count);
    KD_FAIL_IF(!is_list(c) && c->type != KD__COLUMN_STRUCT && count, KD_ERR_FORMAT,
               "Arrow column '%.80s': expected no children, got %lld", c->name, (long long)count);
    if (!count) return KD_OK;
    KD_TRY(KD_NEW(context, &c->children, count));
    for (int32_t i = 0; i < count; i++) {
        c->child_count = i + 1;
        KD_TRY(read_column(context, &c->children[i], schema->children[i], depth + 1));
    }
    return c->type == KD__COLUMN_STRUCT ? check_names(c) : KD_OK;
}

static kd_status read_column(kd_context *context, kd__arrow_column *c,
                             const struct ArrowSchema *schema, int depth)
{
    KD_FAIL_IF(!schema, KD_ERR_FORMAT, "Arrow: a column's schema is NULL");
    KD_FAIL_IF(depth > MOST_DEPTH, KD_ERR_FORMAT, "Arrow: nested deeper than %d", MOST_DEPTH);
    KD_TRY(kd__copy_text(context, &c->name, schema->name ? schema->name : ""));
    c->skipped = depth == 1 && !strncmp(c->name, "kd_", 3);
    KD_TRY(read_format(c, schema->format));
    KD_TRY(read_children(context, c, schema, depth));
    if (!schema->dictionary) return KD_OK;
    KD_FAIL_IF(c->type != KD__COLUMN_SIGNED && c->type != KD__COLUMN_UNSIGNED, KD_ERR_FORMAT,
               "Arrow column '%.80s': a dictionary's indices are integers, got '%.20s'", c->name,
               schema->format);
    KD_TRY(KD_NEW(context, &c->dictionary, 1));
    return read_column(context, c->dictionary, schema->dictionary, depth + 1);
}

kd_status kd__arrow_columns_read(kd_context *context, kd__arrow_column *column,
                                 const struct ArrowSchema *schema)
{
    KD_TRY(read_column(context, column, schema, 0));
    KD_FAIL_IF(column->type != KD__COLUMN_STRUCT || column->dictionary, KD_ERR_UNSUPPORTED,
               "Arrow: expected a stream of struct rows, with named columns, got the type '%.20s'",
               schema->format);
    return KD_OK;
}

void kd__arrow_columns_free(kd_context *context, kd__arrow_column *c)
{
    for (int32_t i = 0; i < c->child_count; i++) kd__arrow_columns_free(context, &c->children[i]);
    if (c->dictionary) kd__arrow_columns_free(context, c->dictionary);
    kd__release(context, c->children);
    kd__release(context, c->dictionary);
    kd__release(context, c->name);
    memset(c, 0, sizeof *c);
}

/* ---- arrays ---- */

#define MISFIT(c, ...) return misfit((c)->name, __VA_ARGS__)

static kd_status misfit(const char *name, const char *what, int64_t expected, int64_t got)
{
    return kd__fail(KD_ERR_FORMAT, "Arrow column '%.80s': %s: expected %lld, got %lld", name, what,
                    (long long)expected, (long long)got);
}

static int64_t buffers_of(const kd__arrow_column *c)
{
    switch (c->type) {
    case KD__COLUMN_NULL: return 0;
    case KD__COLUMN_LIST_FIXED:
    case KD__COLUMN_STRUCT: return 1;
    case KD__COLUMN_TEXT:
    case KD__COLUMN_LIST_VIEW: return 3;
    case KD__COLUMN_TEXT_VIEW: return 3; /* and the texts' own */
    default: return 2;
    }
}

static int64_t offset_at(const kd__arrow_column *c, const void *offsets, int64_t i)
{
    return c->width == 4 ? ((const int32_t *)offsets)[i] : ((const int64_t *)offsets)[i];
}

/* The offsets rise from 0 or more; *last: where the last one ends. */
static kd_status check_offsets(const kd__arrow_column *c, const struct ArrowArray *a, int64_t end,
                               int64_t *last)
{
    int64_t before = 0;
    *last = 0;
    if (a->offset == end) return KD_OK;
    if (!a->buffers[1]) MISFIT(c, "offsets, which are NULL", end + 1, 0);
    for (int64_t i = a->offset; i <= end; i++) {
        const int64_t offset = offset_at(c, a->buffers[1], i);
        if (offset < before) MISFIT(c, "an offset of at least", before, offset);
        before = offset;
    }
    *last = before;
    return KD_OK;
}

static kd_status check_list_views(const kd__arrow_column *c, const struct ArrowArray *a,
                                  int64_t end, int64_t *last)
{
    *last = 0;
    if (a->offset == end) return KD_OK;
    if (!a->buffers[1] || !a->buffers[2]) MISFIT(c, "offsets and sizes, which are NULL", end, 0);
    for (int64_t i = a->offset; i < end; i++) {
        const int64_t from = offset_at(c, a->buffers[1], i), size = offset_at(c, a->buffers[2], i);
        if (from < 0 || size < 0) MISFIT(c, "an offset and a size of at least", 0, from);
        if (from > INT64_MAX - size) MISFIT(c, "an offset of at most", INT64_MAX - size, from);
        if (from + size > *last) *last = from + size;
    }
    return KD_OK;
}

/* Texts that are not in their views lie within one of the buffers, whose sizes come last. */
static kd_status check_text_views(const kd__arrow_column *c, const struct ArrowArray *a,
                                  int64_t end)
{
    const int64_t texts = a->n_buffers - 3;
    const int64_t *sizes = a->buffers[a->n_buffers - 1];
    if (a->offset == end) return KD_OK;
    if (!a->buffers[1]) MISFIT(c, "views, which are NULL", end, 0);
    if (texts && !sizes) MISFIT(c, "sizes of texts, which are NULL", texts, 0);
    for (int64_t i = a->offset; i < end; i++) {
        const int32_t *view = (const int32_t *)a->buffers[1] + 4 * i;
        if (view[0] < 0) MISFIT(c, "a text's length of at least", 0, view[0]);
        if (view[0] <= 12) continue;
        if (view[2] < 0 || view[2] >= texts) MISFIT(c, "a text's buffer below", texts, view[2]);
        const int64_t size = sizes[view[2]];
        if (view[3] < 0 || size < view[0] || view[3] > size - view[0])
            MISFIT(c, "a text's place of at most", size - view[0], view[3]);
        if (!a->buffers[2 + view[2]]) MISFIT(c, "a text's buffer, which is NULL", 1, 0);
    }
    return KD_OK;
}

static kd_status check_form(const kd__arrow_column *c, const struct ArrowArray *a, int64_t needed)
{
    const int64_t buffers = buffers_of(c);
    KD_FAIL_IF(!a || !a->release, KD_ERR_FORMAT, "Arrow column '%.80s': its array is %s", c->name,
               a ? "released" : "NULL");
    if (a->length < 0 || a->length < needed) MISFIT(c, "a length of at least", needed, a->length);
    if (a->offset < 0 || a->offset > INT64_MAX / 64 || a->length > INT64_MAX / 64)
        MISFIT(c, "an offset and length of at most", INT64_MAX / 64, a->offset);
    if (a->n_buffers < buffers || (c->type != KD__COLUMN_TEXT_VIEW && a->n_buffers != buffers))
        MISFIT(c, "buffers", buffers, a->n_buffers);
    if (a->n_children != c->child_count) MISFIT(c, "children", c->child_count, a->n_children);
    if (c->child_count && !a->children) MISFIT(c, "children, which are NULL", c->child_count, 0);
    if (buffers && !a->buffers) MISFIT(c, "buffers, which are NULL", buffers, 0);
    if (a->null_count < -1 || a->null_count > a->length)
        MISFIT(c, "nulls of at most", a->length, a->null_count);
    if (buffers && a->null_count > 0 && !a->buffers[0])
        MISFIT(c, "nulls without a bitmap", 0, a->null_count);
    if (!c->dictionary != !a->dictionary)
        MISFIT(c, "dictionaries", !!c->dictionary, !!a->dictionary);
    return KD_OK;
}

/* *inner: entries that the child needs. */
static kd_status check_content(const kd__arrow_column *c, const struct ArrowArray *a,
                               int64_t *inner)
{
    const int64_t end = a->offset + a->length;
    *inner = 0;
    switch (c->type) {
    case KD__COLUMN_NULL: return KD_OK;
    case KD__COLUMN_STRUCT: *inner = end; return KD_OK;
    case KD__COLUMN_LIST: return check_offsets(c, a, end, inner);
    case KD__COLUMN_LIST_VIEW: return check_list_views(c, a, end, inner);
    case KD__COLUMN_LIST_FIXED:
        if (c->list_size && end > INT64_MAX / 64 / c->list_size)
            MISFIT(c, "lists of at most", INT64_MAX / 64 / c->list_size, end);
        *inner = end * c->list_size;
        return KD_OK;
    case KD__COLUMN_TEXT: {
        int64_t bytes = 0;
        KD_TRY(check_offsets(c, a, end, &bytes));
        if (bytes && !a->buffers[2]) MISFIT(c, "bytes of texts, which are NULL", bytes, 0);
        return KD_OK;
    }
    case KD__COLUMN_TEXT_VIEW: return check_text_views(c, a, end);
    default:
        if (a->length && !a->buffers[1]) MISFIT(c, "numbers, which are NULL", end, 0);
        return KD_OK;
    }
}

kd_status kd__arrow_column_check(const kd__arrow_column *c, const struct ArrowArray *a,
                                 int64_t needed)
{
    int64_t inner = 0;
    KD_TRY(check_form(c, a, needed));
    KD_TRY(check_content(c, a, &inner));
    for (int32_t i = 0; i < c->child_count; i++)
        KD_TRY(kd__arrow_column_check(&c->children[i], a->children[i], inner));
    return c->dictionary ? kd__arrow_column_check(c->dictionary, a->dictionary, 0) : KD_OK;
}
