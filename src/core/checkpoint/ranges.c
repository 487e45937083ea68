/* An optimizer's state as ranges of named tensors, so that any number of ranks reads what any other
 * number wrote: moments of parameter 3 from its number 32768 on are the tensor
 * "first/3/NAME/32768" of a safetensors file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "core/checkpoint/parts.h"

static const char *const block_names[] = { "first", "second", "average" };
enum { BLOCKS = 3, NAME_ROOM = KD_NAME_BYTES + 64 };

static float *block_of(const kd_optimizer *optimizer, int block)
{
    float *const blocks[] = { optimizer->first, optimizer->second, optimizer->average };
    return blocks[block];
}

/* ---- writing ---- */

typedef struct {
    kd__tensor_entry *entries;
    char (*names)[NAME_ROOM];
    int64_t count;
} written;

static int continues(const kd__piece *piece, const kd__piece *before)
{
    return before && before->parameter == piece->parameter &&
           before->first + before->count == piece->first &&
           before->state + before->count == piece->state;
}

static void add_run(written *w, const kd_optimizer *optimizer, int block, const kd__piece *piece,
                    int64_t count)
{
    kd__tensor_entry *entry = &w->entries[w->count];
    snprintf(w->names[w->count], NAME_ROOM, "%s/%d/%s/%lld", block_names[block], piece->parameter,
             optimizer->parameters[piece->parameter].name, (long long)piece->first);
    entry->name = w->names[w->count];
    kd__array_view(&entry->array, block_of(optimizer, block) + piece->state, KD_FLOAT32, 1, &count);
    w->count++;
}

/* Runs of owned pieces, as long as they are. */
static void add_block(written *w, const kd_exchange *exchange, int block)
{
    const kd_optimizer *optimizer = exchange->optimizer;
    const kd__piece *begin = NULL, *last = NULL;
    for (int64_t i = 0; i < optimizer->piece_count; i++) {
        const kd__piece *piece = &optimizer->pieces[i];
        if (!exchange->owned[i]) continue;
        if (!continues(piece, last)) {
            if (begin) add_run(w, optimizer, block, begin, last->first + last->count - begin->first);
            begin = piece;
        }
        last = piece;
    }
    if (begin) add_run(w, optimizer, block, begin, last->first + last->count - begin->first);
}

kd_status kd__ranges_write(const kd_exchange *exchange, const char *path)
{
    kd_context *context = exchange->object.context;
    const int64_t most = BLOCKS * exchange->optimizer->piece_count + 1;
    written w = { 0 };
    kd_status status = KD_NEW(context, &w.entries, most);
    if (status == KD_OK) status = KD_NEW(context, &w.names, most);
    for (int block = 0; block < BLOCKS && status == KD_OK; block++)
        if (block_of(exchange->optimizer, block)) add_block(&w, exchange, block);
    if (status == KD_OK)
        status = kd__safetensors_write(context, path, w.entries, w.count, KD_FLOAT32);
    kd__release(context, w.entries);
    kd__release(context, w.names);
    return status;
}

/* ---- reading ---- */

/* A whole number of `text` up to a '/' or the end; NULL: there is none. */
static const char *read_whole(const char *text, int64_t *value)
{
    char *end;
    if (*text < '0' || *text > '9') return NULL;
    *value = strtoll(text, &end, 10);
    return *end == '/' || !*end ? end : NULL;
}

static kd_status read_name(const kd_optimizer *optimizer, const char *name, kd__range *to)
{
    int64_t parameter, first;
    const char *at = NULL;
    for (to->block = 0; to->block < BLOCKS; to->block++) {
        const size_t length = strlen(block_names[to->block]);
        if (!strncmp(name, block_names[to->block], length) && name[length] == '/') {
            at = read_whole(name + length + 1, &parameter);
            break;
        }
    }
    KD_FAIL_IF(!at || *at != '/', KD_ERR_FORMAT, "'%.100s' names no range of a state", name);
    KD_FAIL_IF(parameter >= optimizer->count, KD_ERR_MISMATCH,
               "'%.100s': expected a parameter of 0 to %lld", name,
               (long long)optimizer->count - 1);
    const kd__parameter *p = &optimizer->parameters[parameter];
    const size_t length = strlen(p->name);
    KD_FAIL_IF(strncmp(at + 1, p->name, length) || at[1 + length] != '/', KD_ERR_MISMATCH,
               "'%.100s': parameter %lld is '%.60s' here", name, (long long)parameter, p->name);
    at = read_whole(at + 2 + length, &first);
    KD_FAIL_IF(!at || *at, KD_ERR_FORMAT, "'%.100s' names no range of a state", name);
    to->parameter = (int32_t)parameter;
    to->first = first;
    return KD_OK;
}

static kd_status add_range(kd__ranges *ranges, const kd_optimizer *optimizer,
                           const kd__tensor_entry *entry)
{
    kd__range made;
    KD_TRY(read_name(optimizer, entry->name, &made));
    const kd__parameter *p = &optimizer->parameters[made.parameter];
    KD_FAIL_IF(entry->array.rank != 1 || entry->array.dtype != KD_FLOAT32, KD_ERR_FORMAT,
               "'%.100s': expected a row of float32 numbers", entry->name);
    made.count = entry->array.dims[0];
    made.values = entry->array.data;
    KD_FAIL_IF(made.first > p->count || made.count > p->count - made.first, KD_ERR_MISMATCH,
               "'%.100s': expected numbers within %lld, got %lld of them", entry->name,
               (long long)p->count, (long long)made.count);
    KD_TRY(KD_RESERVE(ranges->context, &ranges->items, &ranges->room, ranges->count + 1));
    ranges->items[ranges->count++] = made;
    return KD_OK;
}

static int64_t compare_places(const kd__range *a, const kd__range *b)
{
    if (a->block != b->block) return a->block - b->block;
    if (a->parameter != b->parameter) return a->parameter - b->parameter;
    return a->first < b->first ? -1 : a->first > b->first;
}

static int by_place(const void *a, const void *b) { return (int)compare_places(a, b); }

static kd_status add_file(kd__ranges *ranges, const kd_optimizer *optimizer, const char *path)
{
    kd__safetensors *file = &ranges->files[ranges->file_count];
    KD_TRY(kd__safetensors_read(file, ranges->context, path));
    ranges->file_count++;
    for (int64_t i = 0; i < file->count; i++) {
        const kd_status status = add_range(ranges, optimizer, &file->entries[i]);
        if (status != KD_OK) return kd__fail_in(status, path);
    }
    return KD_OK;
}

kd_status kd__ranges_open(kd__ranges *ranges, const kd_optimizer *optimizer,
                          const char *const *paths, int32_t count)
{
    *ranges = (kd__ranges){ .context = optimizer->object.context };
    kd_status status = KD_NEW(ranges->context, &ranges->files, count);
    for (int32_t i = 0; i < count && status == KD_OK; i++)
        status = add_file(ranges, optimizer, paths[i]);
    if (status != KD_OK) {
        kd__ranges_close(ranges);
        return status;
    }
    if (ranges->count)
        qsort(ranges->items, (size_t)ranges->count, sizeof *ranges->items, by_place);
    return KD_OK;
}

void kd__ranges_close(kd__ranges *ranges)
{
    for (int64_t i = 0; i < ranges->file_count; i++) kd__safetensors_free(&ranges->files[i]);
    kd__release(ranges->context, ranges->files);
    kd__release(ranges->context, ranges->items);
    ranges->files = NULL, ranges->items = NULL;
    ranges->file_count = ranges->count = 0;
}

/* The last range that begins at or before a place; NULL: there is none of its parameter. */
static const kd__range *range_at(const kd__ranges *ranges, const kd__range *place)
{
    int64_t low = 0, high = ranges->count;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (compare_places(&ranges->items[middle], place) <= 0) low = middle + 1;
        else high = middle;
    }
    const kd__range *found = low ? &ranges->items[low - 1] : NULL;
    return found && found->block == place->block && found->parameter == place->parameter ? found
                                                                                         : NULL;
}

static kd_status read_piece(const kd__ranges *ranges, const kd_optimizer *optimizer, int block,
                            const kd__piece *piece, int apply)
{
    const int64_t end = piece->first + piece->count;
    float *to = block_of(optimizer, block) + piece->state;
    for (int64_t at = piece->first; at < end;) {
        const kd__range place = { .block = block, .parameter = piece->parameter, .first = at };
        const kd__range *r = range_at(ranges, &place);
        KD_FAIL_IF(!r || r->first + r->count <= at, KD_ERR_FORMAT,
                   "the %s state of '%.60s': expected numbers from %lld on, no file has them",
                   block_names[block], optimizer->parameters[piece->parameter].name,
                   (long long)at);
        const int64_t n = kd__min(r->first + r->count, end) - at;
        if (apply)
            memcpy(to + at - piece->first, r->values + at - r->first, (size_t)n * sizeof *to);
        at += n;
    }
    return KD_OK;
}

kd_status kd__ranges_read(const kd__ranges *ranges, kd_optimizer *optimizer, int apply)
{
    for (int block = 0; block < BLOCKS; block++)
        for (int64_t i = 0; i < optimizer->piece_count && block_of(optimizer, block); i++)
            if (!optimizer->pieces[i].is_others)
                KD_TRY(read_piece(ranges, optimizer, block, &optimizer->pieces[i], apply));
    return KD_OK;
}
