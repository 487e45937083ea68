/* By which tokenizer and rendering the batches of a store were made, where the host did not say: a
 * record in front of all samples, since the header is on disk before the first batch is seen. A
 * reader takes it as if the header had said so. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "formats/json.h"
#include "core/data/data.h"
#include "core/store/writer.h"

enum { MOST_ORIGIN = 4096 };

/* ---- writing ---- */

static kd_status write_origin(kd_store_writer *w, const char *tokenizer, const char *rendering)
{
    kd__text body = { .context = w->object.context };
    uint8_t header[KD__RECORD_HEADER] = { 0 };
    kd_status status = kd__text_append(&body, header, sizeof header);
    if (status == KD_OK) status = kd__text_format(&body, "{\"tokenizer\": ");
    if (status == KD_OK) status = kd__text_quoted(&body, tokenizer);
    if (status == KD_OK) status = kd__text_format(&body, ", \"chat_template\": ");
    if (status == KD_OK) status = kd__text_quoted(&body, rendering);
    if (status == KD_OK) status = kd__text_format(&body, "}");
    while (status == KD_OK && body.size % 8) status = kd__text_append(&body, " ", 1);
    if (status == KD_OK) {
        kd__record_header h = { .type = KD__RECORD_ORIGIN, .size = (uint64_t)body.size };
        h.body_crc =
            kd__crc32(0, body.bytes + KD__RECORD_HEADER, (size_t)(body.size - KD__RECORD_HEADER));
        kd__record_header_write((uint8_t *)body.bytes, &h);
        status = kd__writer_append(w, body.bytes, body.size);
    }
    kd__text_free(&body);
    return status;
}

/* As kd_tokenizer_hash makes them; a host's own name for a tokenizer compares with nothing. */
static int is_hash(const char *text)
{
    return strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

kd_status kd__writer_origin(kd_store_writer *w, const kd_batch *batch)
{
    const char *tokenizer = batch->tokenizer, *rendering = batch->rendering;
    KD_FAIL_IF(is_hash(tokenizer) && is_hash(w->tokenizer) && strcmp(tokenizer, w->tokenizer),
               KD_ERR_MISMATCH,
               "%s: the store was made with tokenizer %s, the batch with %s: expected the same",
               w->path, w->tokenizer, tokenizer);
    const int wanted = (*tokenizer && !*w->tokenizer) || (*rendering && !*w->chat_template);
    if (!wanted || w->index_count) return KD_OK;
    char both[2][KD_NAME_BYTES];
    memcpy(both[0], *w->tokenizer ? w->tokenizer : tokenizer, KD_NAME_BYTES);
    memcpy(both[1], *w->chat_template ? w->chat_template : rendering, KD_NAME_BYTES);
    KD_TRY(write_origin(w, both[0], both[1]));
    memcpy(w->tokenizer, both[0], KD_NAME_BYTES);
    memcpy(w->chat_template, both[1], KD_NAME_BYTES);
    return KD_OK;
}

/* ---- reading ---- */

static void take(const kd__json *root, const char *key, char to[KD_NAME_BYTES])
{
    const kd__json *node = kd__json_member(root, key);
    if (*to || !node || node->type != KD__JSON_STRING || node->length >= KD_NAME_BYTES ||
        strlen(node->text) != (size_t)node->length)
        return;
    memcpy(to, node->text, (size_t)node->length + 1);
}

/* The header's text with `value` where it has "" for `key`; a header that was written otherwise
 * stays as it is. */
static kd_status fill_in(kd_context *context, kd__store_header *h, const char *key,
                         const char *value)
{
    char empty[64];
    kd__text made = { .context = context };
    snprintf(empty, sizeof empty, "\n  \"%s\": \"\"", key);
    char *at = *value ? strstr(h->json, empty) : NULL;
    if (!at) return KD_OK;
    const int64_t before = at + strlen(empty) - 2 - h->json, size = h->json_size - before - 2;
    kd_status status = kd__text_append(&made, h->json, (size_t)before);
    if (status == KD_OK) status = kd__text_quoted(&made, value);
    if (status == KD_OK) status = kd__text_append(&made, h->json + before + 2, (size_t)size);
    while (status == KD_OK && made.size % 8) status = kd__text_append(&made, " ", 1);
    if (status != KD_OK) {
        kd__text_free(&made);
        return status;
    }
    kd__release(context, h->json);
    h->json = made.bytes;
    h->json_size = made.size;
    return KD_OK;
}

static kd_status parse_origin(kd_context *context, kd__store_header *h, const uint8_t *body,
                              int64_t size, const char *path)
{
    kd__json_document document;
    char tokenizer[KD_NAME_BYTES] = "", rendering[KD_NAME_BYTES] = "";
    KD_TRY(kd__json_parse(&document, context, (const char *)body, (size_t)size, path));
    if (document.root->type == KD__JSON_OBJECT) {
        take(document.root, "tokenizer", tokenizer);
        take(document.root, "chat_template", rendering);
    }
    kd__json_free(&document);
    if (!*h->tokenizer) {
        KD_TRY(fill_in(context, h, "tokenizer", tokenizer));
        memcpy(h->tokenizer, tokenizer, KD_NAME_BYTES);
    }
    if (!*h->chat_template) {
        KD_TRY(fill_in(context, h, "chat_template", rendering));
        memcpy(h->chat_template, rendering, KD_NAME_BYTES);
    }
    return KD_OK;
}

kd_status kd__shard_origin(kd_context *context, kd__shard *shard)
{
    uint8_t room[MOST_ORIGIN];
    const uint8_t *bytes;
    kd__record_header h;
    int64_t at = shard->begin;
    /* the head's record may stand in front */
    for (int looked = 0; looked < 2; looked++, at += (int64_t)h.size) {
        if (at > shard->size - KD__RECORD_HEADER) return KD_OK;
        KD_TRY(kd__shard_bytes(shard, at, KD__RECORD_HEADER, room, &bytes));
        if (!kd__record_header_read(bytes, &h) || (int64_t)h.size > shard->size - at) return KD_OK;
        if (h.type == KD__RECORD_HEAD) continue;
        if (h.type != KD__RECORD_ORIGIN || h.size > MOST_ORIGIN) return KD_OK;
        KD_TRY(kd__shard_bytes(shard, at, (int64_t)h.size, room, &bytes));
        const int64_t size = (int64_t)h.size - KD__RECORD_HEADER;
        if (kd__crc32(0, bytes + KD__RECORD_HEADER, (size_t)size) != h.body_crc) return KD_OK;
        return parse_origin(context, &shard->header, bytes + KD__RECORD_HEADER, size, shard->path);
    }
    return KD_OK;
}
