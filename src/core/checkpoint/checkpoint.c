/* A checkpoint file: 8 bytes magic, uint32 version, uint32 0x01020304 in the writer's byte order,
 * uint64 parts, uint32 CRC of these 24 bytes; then for each part: uint32 kind, uint32 length of its
 * name, uint64 bytes, the name, the bytes, uint32 CRC-32 of all of it. docs/checkpoint-format.md
 * describes it byte by byte. */
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/object.h"
#include "core/balance/balance.h"
#include "core/data/data.h"
#include "core/loss/loss.h"
#include "core/model/model.h"
#include "core/optimizer/optimizer.h"
#include "core/schedule/schedule.h"
#include "core/monitor/monitor.h"
#include "core/checkpoint/parts.h"

#define MAGIC "kdCheckp"
#define VERSION 1
#define BYTE_ORDER_MARK 0x01020304u

/* Numbers of files: a new kind comes last. */
enum { MODEL = 1, OPTIMIZER, LOADER, SCHEDULE, LOSS, MONITOR, BYTES, BALANCE, EXCHANGE };

static const kd_checkpoint_options defaults = KD_CHECKPOINT_OPTIONS_INIT;
void kd_checkpoint_options_init(kd_checkpoint_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

kd_status kd_checkpoint_create(kd_checkpoint **out, kd_context *context,
                               const kd_checkpoint_options *options)
{
    kd_checkpoint_options o = defaults;
    kd_checkpoint *checkpoint = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_checkpoint_options"));
    KD_TRY(kd__object_create((void **)&checkpoint, context, sizeof *checkpoint));
    checkpoint->options = o;
    *out = checkpoint;
    return KD_OK;
}

static void free_part(const kd__saved_part *p)
{
    switch (p->kind) {
    case MODEL: kd_model_free(p->object); break;
    case OPTIMIZER: kd_optimizer_free(p->object); break;
    case LOADER: kd_loader_free(p->object); break;
    case SCHEDULE: kd_schedule_free(p->object); break;
    case LOSS: kd_loss_free(p->object); break;
    case MONITOR: kd_monitor_free(p->object); break;
    case BALANCE: kd_balance_free(p->object); break;
    case EXCHANGE: kd_exchange_free(p->object); break;
    default: break;
    }
}

void kd_checkpoint_free(kd_checkpoint *checkpoint)
{
    if (!kd__object_drop(checkpoint)) return;
    for (int64_t i = 0; i < checkpoint->count; i++) free_part(&checkpoint->parts[i]);
    kd__release(checkpoint->object.context, checkpoint->parts);
    kd__object_destroy(checkpoint);
}

static kd_status add(kd_checkpoint *checkpoint, int32_t kind, const char *name, void *object,
                     int64_t size)
{
    char copy[KD_NAME_BYTES];
    KD_NEED(checkpoint);
    KD_NEED(object);
    KD_TRY(kd__name_copy(copy, name, "checkpoint part"));
    for (int64_t i = 0; i < checkpoint->count; i++)
        KD_FAIL_IF(!strcmp(checkpoint->parts[i].name, copy), KD_ERR_INVALID,
                   "checkpoint: expected a new name for a part, '%s' is one already", copy);
    KD_TRY(KD_RESERVE(checkpoint->object.context, &checkpoint->parts, &checkpoint->room,
                      checkpoint->count + 1));
    kd__saved_part *made = &checkpoint->parts[checkpoint->count++];
    made->kind = kind;
    memcpy(made->name, copy, sizeof copy);
    made->object = kind == BYTES ? object : kd__object_hold(object);
    made->size = size;
    return KD_OK;
}

kd_status kd_checkpoint_add_model(kd_checkpoint *checkpoint, const char *name, kd_model *model)
{
    return add(checkpoint, MODEL, name, model, 0);
}
kd_status kd_checkpoint_add_optimizer(kd_checkpoint *checkpoint, const char *name,
                                      kd_optimizer *optimizer)
{
    return add(checkpoint, OPTIMIZER, name, optimizer, 0);
}
kd_status kd_checkpoint_add_loader(kd_checkpoint *checkpoint, const char *name, kd_loader *loader)
{
    return add(checkpoint, LOADER, name, loader, 0);
}
kd_status kd_checkpoint_add_schedule(kd_checkpoint *checkpoint, const char *name,
                                     kd_schedule *schedule)
{
    return add(checkpoint, SCHEDULE, name, schedule, 0);
}
kd_status kd_checkpoint_add_loss(kd_checkpoint *checkpoint, const char *name, kd_loss *loss)
{
    return add(checkpoint, LOSS, name, loss, 0);
}
kd_status kd_checkpoint_add_monitor(kd_checkpoint *checkpoint, const char *name,
                                    kd_monitor *monitor)
{
    return add(checkpoint, MONITOR, name, monitor, 0);
}
kd_status kd_checkpoint_add_balance(kd_checkpoint *checkpoint, const char *name,
                                    kd_balance *balance)
{
    return add(checkpoint, BALANCE, name, balance, 0);
}

kd_status kd_checkpoint_add_exchange(kd_checkpoint *checkpoint, const char *name,
                                     kd_exchange *exchange)
{
    KD_NEED(checkpoint);
    KD_NEED(exchange);
    KD_TRY(kd__exchange_check_optimizer(exchange));
    KD_FAIL_IF(checkpoint->exchange, KD_ERR_STATE,
               "checkpoint: expected one exchange, got a second");
    KD_TRY(add(checkpoint, EXCHANGE, name, exchange, 0));
    checkpoint->exchange = exchange;
    return KD_OK;
}

kd_status kd_checkpoint_borrow_bytes(kd_checkpoint *checkpoint, const char *name, void *bytes,
                                     size_t size)
{
    KD_FAIL_IF(size > (size_t)1 << 40, KD_ERR_RANGE,
               "checkpoint part: expected at most 2^40 bytes, got %zu", size);
    return add(checkpoint, BYTES, name, bytes, (int64_t)size);
}

/* ---- saving ---- */

static kd_status save_state(const kd__saved_part *p, kd__text *state)
{
    switch (p->kind) {
    case MODEL: return kd__model_save_state(p->object, state);
    case OPTIMIZER: return kd__optimizer_save(p->object, state);
    case LOADER: return kd__loader_save(p->object, state);
    case SCHEDULE: return kd__schedule_save(p->object, state);
    case LOSS: return kd__loss_save(p->object, state);
    case MONITOR: return kd__monitor_save(p->object, state);
    case BALANCE: return kd__balance_save(p->object, state);
    case EXCHANGE:
        return kd__optimizer_save_numbers(((const kd_exchange *)p->object)->optimizer, state);
    default: return kd__text_append(state, p->object, (size_t)p->size);
    }
}

typedef struct {
    char magic[8];
    uint32_t version, order;
    uint64_t parts;
} file_header;

typedef struct {
    uint32_t kind, name_bytes;
    uint64_t bytes;
} part_header;

static kd_status write_part(kd__output *output, const kd__saved_part *p)
{
    kd__text state = { .context = output->context };
    kd_status status = save_state(p, &state);
    part_header h = { (uint32_t)p->kind, (uint32_t)strlen(p->name), (uint64_t)state.size };
    uint32_t crc = kd__crc32(0, &h, sizeof h);
    crc = kd__crc32(crc, p->name, h.name_bytes);
    crc = kd__crc32(crc, state.bytes, (size_t)state.size);
    if (status == KD_OK) status = kd__output_write(output, &h, sizeof h);
    if (status == KD_OK) status = kd__output_write(output, p->name, h.name_bytes);
    if (status == KD_OK) status = kd__output_write(output, state.bytes, state.size);
    if (status == KD_OK) status = kd__output_write(output, &crc, sizeof crc);
    kd__text_free(&state);
    return status;
}

static kd_status write_parts(kd__output *output, const kd_checkpoint *checkpoint)
{
    file_header h = { "", VERSION, BYTE_ORDER_MARK, (uint64_t)checkpoint->count };
    memcpy(h.magic, MAGIC, sizeof h.magic);
    uint32_t crc = kd__crc32(0, &h, sizeof h);
    KD_TRY(kd__output_write(output, &h, sizeof h));
    KD_TRY(kd__output_write(output, &crc, sizeof crc));
    for (int64_t i = 0; i < checkpoint->count; i++)
        KD_TRY(write_part(output, &checkpoint->parts[i]));
    return kd__output_commit(output);
}

kd_status kd__checkpoint_write_file(const kd_checkpoint *checkpoint, const char *path)
{
    kd__output output;
    kd_status status =
        kd__output_open(&output, checkpoint->object.context, path, checkpoint->options.sync);
    if (status == KD_OK) status = write_parts(&output, checkpoint);
    if (status != KD_OK) kd__output_abandon(&output);
    return status;
}

kd_status kd_checkpoint_save(kd_checkpoint *checkpoint, const char *path)
{
    KD_NEED(checkpoint);
    KD_FAIL_IF(!checkpoint->count, KD_ERR_STATE,
               "the checkpoint has no parts: add what it should hold first");
    return checkpoint->exchange ? kd__checkpoint_save_together(checkpoint, path)
                                : kd__checkpoint_write_file(checkpoint, path);
}

/* ---- loading: a first walk checks everything, a second one applies it ---- */

static kd_status restore_numbers(kd_exchange *exchange, kd__state_reader *reader, int apply)
{
    int64_t is_ready;
    return kd__optimizer_restore_numbers(exchange->optimizer, reader, &is_ready, apply);
}

static kd_status restore_state(const kd__saved_part *p, kd__state_reader *reader, int apply)
{
    switch (p->kind) {
    case MODEL: return kd__model_restore_state(p->object, reader, apply);
    case OPTIMIZER: return kd__optimizer_restore(p->object, reader, apply);
    case LOADER: return kd__loader_restore(p->object, reader, apply);
    case SCHEDULE: return kd__schedule_restore(p->object, reader, apply);
    case LOSS: return kd__loss_restore(p->object, reader, apply);
    case MONITOR: return kd__monitor_restore_state(p->object, reader, apply);
    case BALANCE: return kd__balance_restore(p->object, reader, apply);
    case EXCHANGE: return restore_numbers(p->object, reader, apply);
    default: return kd__state_get(reader, apply ? p->object : NULL, p->size);
    }
}

static kd__saved_part *find_part(const kd_checkpoint *checkpoint, const char *name, size_t length)
{
    for (int64_t i = 0; i < checkpoint->count; i++)
        if (strlen(checkpoint->parts[i].name) == length &&
            !memcmp(checkpoint->parts[i].name, name, length))
            return &checkpoint->parts[i];
    return NULL;
}

/* The header of the part at `start`, whole and undamaged. */
static kd_status read_part_header(const char *path, const char *start, const char *end,
                                  part_header *h)
{
    uint32_t crc;
    const size_t room = (size_t)(end - start);
    KD_FAIL_IF(room < sizeof *h, KD_ERR_FORMAT,
               "%s: cut short: expected the header of a part, got %zu bytes", path, room);
    memcpy(h, start, sizeof *h);
    const size_t left = room - sizeof *h;
    KD_FAIL_IF(h->name_bytes >= KD_NAME_BYTES || left < h->name_bytes + sizeof crc ||
                   h->bytes > left - h->name_bytes - sizeof crc,
               KD_ERR_FORMAT, "%s: a part claims %llu bytes of data, the file has %zu left", path,
               (unsigned long long)h->bytes, left);
    const size_t covered = sizeof *h + h->name_bytes + h->bytes;
    memcpy(&crc, start + covered, sizeof crc);
    KD_FAIL_IF(kd__crc32(0, start, covered) != crc, KD_ERR_FORMAT,
               "%s: part '%.*s' is damaged: its checksum differs", path, (int)h->name_bytes,
               start + sizeof *h);
    return KD_OK;
}

static kd_status read_part(const kd_checkpoint *checkpoint, const char *path, const char **at,
                           const char *end, int apply)
{
    part_header h;
    KD_TRY(read_part_header(path, *at, end, &h));
    const char *name = *at + sizeof h, *bytes = name + h.name_bytes;
    kd__saved_part *p = find_part(checkpoint, name, h.name_bytes);
    KD_FAIL_IF(!p || (uint32_t)p->kind != h.kind, KD_ERR_MISMATCH,
               "%s: part '%.*s' is not registered in this checkpoint", path, (int)h.name_bytes,
               name);
    KD_FAIL_IF(p->seen++, KD_ERR_FORMAT, "%s: expected part '%s' once, got it twice", path,
               p->name);
    kd__state_reader reader = { bytes, bytes + h.bytes, p->name };
    KD_TRY(restore_state(p, &reader, apply));
    KD_FAIL_IF(reader.at != reader.end, KD_ERR_MISMATCH,
               "%s: part '%s' has %lld bytes more than this run", path, p->name,
               (long long)(reader.end - reader.at));
    *at = bytes + h.bytes + sizeof(uint32_t);
    return KD_OK;
}

static kd_status read_header(const kd_checkpoint *checkpoint, const char *path, const char *bytes,
                             int64_t size)
{
    file_header h;
    uint32_t crc;
    KD_FAIL_IF(size < (int64_t)(sizeof h + sizeof crc), KD_ERR_FORMAT,
               "%s: expected a checkpoint of at least %zu bytes, got %lld", path,
               sizeof h + sizeof crc, (long long)size);
    memcpy(&h, bytes, sizeof h);
    memcpy(&crc, bytes + sizeof h, sizeof crc);
    KD_FAIL_IF(memcmp(h.magic, MAGIC, sizeof h.magic), KD_ERR_FORMAT, "%s: not a checkpoint", path);
    KD_FAIL_IF(h.order != BYTE_ORDER_MARK, KD_ERR_UNSUPPORTED,
               "%s: written on a machine of the other byte order", path);
    KD_FAIL_IF(h.version > VERSION, KD_ERR_VERSION,
               "%s: expected a checkpoint of version 1 to %d, got %u", path, VERSION, h.version);
    KD_FAIL_IF(kd__crc32(0, &h, sizeof h) != crc || !h.version, KD_ERR_FORMAT,
               "%s: the header is damaged", path);
    KD_FAIL_IF(h.parts != (uint64_t)checkpoint->count, KD_ERR_MISMATCH,
               "%s: expected %lld parts, the file has %llu", path, (long long)checkpoint->count,
               (unsigned long long)h.parts);
    return KD_OK;
}

static kd_status walk(const kd_checkpoint *checkpoint, const char *path, const char *bytes,
                      int64_t size, int apply)
{
    const char *at = bytes + sizeof(file_header) + sizeof(uint32_t), *end = bytes + size;
    for (int64_t i = 0; i < checkpoint->count; i++) checkpoint->parts[i].seen = 0;
    for (int64_t i = 0; i < checkpoint->count; i++)
        KD_TRY(read_part(checkpoint, path, &at, end, apply));
    KD_FAIL_IF(at != end, KD_ERR_FORMAT,
               "%s: expected the end of the file after the last part, got %lld bytes", path,
               (long long)(end - at));
    return KD_OK;
}

kd_status kd__checkpoint_read_bytes(const kd_checkpoint *checkpoint, const char *path,
                                    const char *bytes, int64_t size, int apply)
{
    KD_TRY(read_header(checkpoint, path, bytes, size));
    return walk(checkpoint, path, bytes, size, apply);
}

kd_status kd_checkpoint_load(kd_checkpoint *checkpoint, const char *path)
{
    char *bytes = NULL;
    int64_t size;
    KD_NEED(checkpoint);
    if (checkpoint->exchange) return kd__checkpoint_load_together(checkpoint, path);
    KD_TRY(kd__file_read(checkpoint->object.context, path, (int64_t)1 << 42, &bytes, &size));
    kd_status status = kd__checkpoint_read_bytes(checkpoint, path, bytes, size, 0);
    if (status == KD_OK) status = walk(checkpoint, path, bytes, size, 1);
    kd__release(checkpoint->object.context, bytes);
    return status;
}
