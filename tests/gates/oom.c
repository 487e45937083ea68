/* oom FOLDER [PART]: every allocation of a whole small run fails in turn (with KD_TEST_FEW every
 * third): once, and from then on. Each time: KD_ERR_MEMORY or success, no block left, and every
 * handle still freeable. */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/run.h"
#include "../unit/textkit.h"
#include "static_run.h"
#include "storekit.h"
#include "use_arrow.h"
#include "use_audio.h"
#include "use_exchange.h"
#include "use_features.h"
#include "use_gguf.h"
#include "use_heads.h"
#include "use_images.h"
#include "use_many.h"
#include "use_packed.h"
#include "use_pairs.h"
#include "use_relations.h"
#include "use_samples.h"
#include "use_towers.h"
#include "use_tasks.h"

/* What is run, each with every allocation failing in turn. */
enum {
    PART_LAYERS,
    PART_STORE,
    PART_BYTES, /* a tokenizer */
    PART_CHARACTERS,
    PART_GENERATOR,
    PART_STUDENT,
    PART_COURSE,
    PART_FEATURES,
    PART_ENCODER,
    PART_WORDS,
    PART_SAMPLES,
    PART_STATIC,
    PART_RELATIONS,
    PART_PAIRS,
    PART_IMAGE_LAYERS,
    PART_PATCHES,
    PART_TOWERS,
    PART_HEADS,
    PART_TASKS,
    PART_AUDIO,
    PART_EXCHANGE,
    PART_ARROW,
    PART_MANY,
    PART_PACKED,
    PARTS
};

typedef struct {
    long calls, fail_at, held;
    int from_then_on;
} memory;

static void *allocate(void *user, size_t bytes)
{
    memory *m = user;
    long call = m->calls++;
    if (call == m->fail_at || (m->from_then_on && m->fail_at >= 0 && call > m->fail_at))
        return NULL;
    m->held++;
    return malloc(bytes);
}

static void *reallocate(void *user, void *block, size_t old_bytes, size_t new_bytes)
{
    (void)user, (void)old_bytes;
    return realloc(block, new_bytes);
}

static void release(void *user, void *block, size_t bytes)
{
    (void)bytes;
    ((memory *)user)->held--;
    free(block);
}

static kd_status use_everything(run_parts *r, kd_context *ctx, const char *folder)
{
    char path[600];
    kd_model *loaded = NULL;
    kd_metrics *metrics = NULL;
    kd_report *report = NULL;
    kd_teacher *kept = NULL;
    kd_dataset *pseudo = NULL, *joined = NULL;
    float z[RUN_SAMPLES * RUN_CLASSES];
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, RUN_SAMPLES, RUN_CLASSES),
             ys = KD_ARRAY_1D(r->labels, KD_UINT8, RUN_SAMPLES);
    kd_metric one = { .struct_size = sizeof one };
    kd_metrics_options mo = KD_METRICS_OPTIONS_INIT;
    const char *json;
    kd_status status = run_make(r, ctx);
    mo.bootstrap = 3;
    if (status == KD_OK) status = run_steps(r, 5);
    snprintf(path, sizeof path, "%s/oom.kdc", folder);
    if (status == KD_OK) status = kd_checkpoint_save(r->checkpoint, path);
    if (status == KD_OK) status = kd_checkpoint_load(r->checkpoint, path);
    snprintf(path, sizeof path, "%s/oom-model", folder);
    if (status == KD_OK) status = kd_model_save(r->model, path, NULL);
    if (status == KD_OK) status = kd_model_load(&loaded, ctx, path, NULL);
    if (status == KD_OK) status = kd_model_predict(loaded, r->data, "logits", 7, &zs);
    if (status == KD_OK) status = kd_metrics_create(&metrics, ctx, RUN_CLASSES, &mo);
    if (status == KD_OK) status = kd_metrics_add(metrics, &zs, &ys, &zs);
    if (status == KD_OK) status = kd_metrics_get(metrics, KD_METRIC_ECE, &one);
    if (status == KD_OK) status = kd_report_create(&report, ctx);
    if (status == KD_OK) status = kd_report_set_number(report, "a.b", one.value);
    if (status == KD_OK) status = kd_report_json(report, &json);
    if (status == KD_OK) status = kd_teacher_collect(&kept, r->teacher, r->data, 20);
    if (status == KD_OK) status = kd_dataset_pseudo_label(&pseudo, r->data, kept, NULL, NULL);
    if (status == KD_OK)
        status = kd_dataset_concat(&joined, (kd_dataset *[]){ r->data, r->data }, 2);
    kd_dataset_free(joined);
    kd_dataset_free(pseudo);
    kd_teacher_free(kept);
    kd_report_free(report);
    kd_metrics_free(metrics);
    kd_model_free(loaded);
    return status;
}

/* A store written, read, compacted and distilled from through a head. */
static kd_status use_store(kd_context *ctx, const char *folder)
{
    static float dh[KIT_ROWS * KIT_V], dw[KIT_V * KIT_V];
    char path[600], other[600];
    const char *paths[1] = { path };
    kd_store_writer *w = NULL;
    kd_store *s = NULL;
    kd_teacher *teacher = NULL;
    kd_loss *loss = NULL;
    kit k;
    float weight[KIT_V * KIT_V] = { 1, 2, 3 };
    kd_array ws = KD_ARRAY_2D(weight, KD_FLOAT32, KIT_V, KIT_V),
             hs = KD_ARRAY_2D(weight, KD_FLOAT32, KIT_ROWS, KIT_V);
    kd_array dhs = KD_ARRAY_2D(dh, KD_FLOAT32, KIT_ROWS, KIT_V),
             dws = KD_ARRAY_2D(dw, KD_FLOAT32, KIT_V, KIT_V);
    kd_head head = KD_HEAD_INIT;
    kd_term_options sparse = KD_TERM_OPTIONS_INIT;
    kd_loss_output output = { sizeof output, 0, NULL, &hs, &dhs, &head };
    snprintf(path, sizeof path, "%s/oom.kdt", folder);
    snprintf(other, sizeof other, "%s/oom2.kdt", folder);
    remove(path);
    remove(other);
    head.weight = &ws;
    head.weight_gradient = &dws;
    head.skip_bound = 1e-9;
    sparse.teacher_field = "topk";
    kd_status status = kit_make(&k, ctx);
    if (status == KD_OK) status = kit_writer(&w, ctx, path, 0, KD_SYNC_NEVER);
    if (status == KD_OK) status = kd_store_writer_set_head(w, &ws, KD_FLOAT16);
    if (status == KD_OK) status = kit_add(&k, w, 0);
    if (status == KD_OK) status = kd_store_writer_close(w);
    if (status == KD_OK) status = kd_store_open(&s, ctx, paths, 1, NULL);
    if (status == KD_OK) status = kd_store_verify(s, NULL);
    if (status == KD_OK) status = kd_store_compact(s, other);
    if (status == KD_OK) status = kd_teacher_from_store(&teacher, s, NULL);
    if (status == KD_OK) status = kd_teacher_read(teacher, k.batch, k.targets);
    if (status == KD_OK) status = kd_loss_create(&loss, ctx, NULL);
    if (status == KD_OK) status = kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, NULL, NULL);
    if (status == KD_OK) status = kd_loss_add(loss, KD_LOSS_JSD, 1, &sparse, NULL);
    if (status == KD_OK)
        status = kd_loss_evaluate(loss, &output, 1, k.batch, k.targets, NULL, NULL);
    kd_loss_free(loss);
    kd_teacher_free(teacher);
    kd_store_free(s);
    kd_store_writer_free(w);
    kit_free(&k);
    return status;
}

/* The same texts by two tokenizers, a top-k moved from one's rows to the other's, and a loss on
 * them. */
static kd_status use_other_tokenizer(kd_context *ctx, kd_tokenizer *t, kd_tokenizer *other)
{
    static const char *const texts[] = { "hello ab", "a b" };
    static float z[64 * 300];
    kd_batch *batch = NULL, *theirs = NULL;
    kd_targets *said = NULL, *targets = NULL;
    kd_loss *loss = NULL;
    int64_t rows = 0, size = 0;
    kd_loss_result r = { .struct_size = sizeof r };
    kd_status status = kd_batch_create(&batch, ctx, NULL);
    if (status == KD_OK) status = kd_batch_create(&theirs, ctx, NULL);
    if (status == KD_OK) status = kd_targets_create(&said, ctx, NULL);
    if (status == KD_OK) status = kd_targets_create(&targets, ctx, NULL);
    if (status == KD_OK) status = kd_batch_begin_texts(batch, t, texts, 2, KD_END_TOKEN_DEFAULT);
    if (status == KD_OK) status = kd_batch_begin_texts(theirs, other, texts, 2, KD_END_TOKEN_NONE);
    if (status == KD_OK) status = kd_batch_get_counts(theirs, NULL, &rows);
    if (status == KD_OK) status = kd_tokenizer_vocabulary_size(t, &size);
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, rows, size);
    kd_loss_output output = { .struct_size = sizeof output, .value = &zs };
    if (status == KD_OK) status = kd_targets_begin(said, rows);
    if (status == KD_OK) status = kd_targets_select(said, "logits", &zs, 4, 0, 1, NULL);
    if (status == KD_OK) status = kd_targets_align_batch(targets, batch, said, theirs, NULL);
    if (status == KD_OK) status = kd_loss_create(&loss, ctx, NULL);
    if (status == KD_OK) status = kd_loss_add(loss, KD_LOSS_ULD, 1, NULL, NULL);
    if (status == KD_OK) status = kd_loss_set_shared_tokens(loss, 0, t, size, other, size, NULL);
    if (status == KD_OK) status = kd_batch_get_counts(batch, NULL, &rows);
    zs.dims[0] = rows;
    if (status == KD_OK) status = kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &r);
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_targets_free(said);
    kd_batch_free(theirs);
    kd_batch_free(batch);
    return status;
}

/* A folder's own template without generation blocks, whose turns change when others follow. */
static int put_template(const char *folder)
{
    char path[700];
    snprintf(path, sizeof path, "%s/chat_template.jinja", folder);
    FILE *file = fopen(path, "wb");
    if (!file) return -1;
    fprintf(
        file,
        "{%% macro say(m) %%}{{ m.content | trim }}{%% endmacro %%}{%% set ns = namespace(a=[]) %%}"
        "{%% for m in messages %%}{{ m.role }}:{%% if loop.last and m.reasoning_content %%}{{ "
        "m.reasoning_content }}/{%% endif %%}"
        "{{ say(m) ~ tools | tojson(indent=2) }}<|im_end|>{%% set ns.a = ns.a + "
        "[m.role.split('s')] %%}{%% endfor %%}"
        "{%% if add_generation_prompt %%}assistant:{%% endif %%}{{ ns.a | sort | first | join(',') "
        "if no }}");
    return fclose(file);
}

/* Tokenizers: loaded, encoded with, decoded with, changed, saved, compared; chats. */
enum { BYTES, CHARACTERS, WORDS };

static int write_tokenizer(const char *path, int form)
{
    return form == BYTES        ? bytes_tokenizer(path, TEXT_CUT, TEXT_ADDED)
           : form == CHARACTERS ? characters_tokenizer(path)
                                : words_tokenizer(path);
}

static kd_status use_tokenizer(kd_context *ctx, const char *folder, int form)
{
    char path[600], edited[600], out[64], *text = NULL;
    kd_tokenizer *t = NULL, *other = NULL;
    kd_detokenizer *d = NULL;
    kd_chat_options chat = KD_CHAT_OPTIONS_INIT;
    const kd_message messages[] = { KD_MESSAGE("user", "hello"),
                                    { "assistant", "hell \u00e9", "{\"reasoning\": \"x\"}", 0, 0 },
                                    KD_MESSAGE("user", "a") };
    const char *piece;
    int32_t ids[512], types[64];
    uint8_t answer[512];
    int64_t count = 0, differences;
    chat.format = KD_CHAT_CHATML;
    snprintf(path, sizeof path, "%s/oom-tokenizer.json", folder);
    snprintf(edited, sizeof edited, "%s/oom-tokenizer", folder);
    if (write_tokenizer(path, form)) return KD_ERR_IO;
    kd_status status = kd_tokenizer_load(&t, ctx, path);
    if (status == KD_OK && form != CHARACTERS)
        status = kd_tokenizer_encode_pair(t, "hello", -1, "unplayed \u00e9", -1,
                                          KD_TOKENIZER_ADD_SPECIAL, ids, types, 64, &count);
    if (status == KD_OK)
        status = kd_tokenizer_encode(t, "hello ab \u00e9 world", -1, KD_TOKENIZER_ADD_SPECIAL, ids,
                                     64, &count);
    if (status == KD_OK) status = kd_tokenizer_decode(t, ids, count, 0, out, sizeof out, NULL);
    if (status == KD_OK) status = kd_detokenizer_create(&d, t, 0);
    for (int64_t i = 0; i < count && status == KD_OK; i++)
        status = kd_detokenizer_push(d, ids[i], &piece, NULL);
    if (status == KD_OK) status = kd_detokenizer_finish(d, &piece, NULL);
    const int64_t encoded = count;
    if (status == KD_OK) {
        status = kd_tokenizer_add(t, "<new>", 0, NULL);
        if (status == KD_ERR_MEMORY &&
            kd_tokenizer_encode(t, "hello ab \u00e9 world", -1, KD_TOKENIZER_ADD_SPECIAL, ids, 64,
                                &count) == KD_OK &&
            count != encoded)
            status = KD_ERR_MISMATCH; /* a call that failed leaves the tokenizer as it was */
    }
    if (status == KD_OK && form == BYTES)
        status = kd_chat_encode(t, messages, 2, &chat, ids, answer, 64, &count);
    if (status == KD_OK) status = kd_tokenizer_save(t, edited);
    if (status == KD_OK && put_template(edited)) status = KD_ERR_IO;
    if (status == KD_OK) status = kd_tokenizer_load(&other, ctx, edited);
    chat.format = KD_CHAT_AUTO;
    chat.keep_reasoning = 1;
    chat.tools = "[{\"name\": \"f\"}]";
    if (status == KD_OK && form == BYTES)
        status = kd_chat_encode(other, messages, 3, &chat, ids, answer, 512, &count);
    if (status == KD_OK) status = kd_tokenizer_compare(t, other, NULL, 0, 5, &differences, &text);
    if (status == KD_OK) status = use_other_tokenizer(ctx, t, other);
    kd_context_free_text(ctx, text);
    kd_detokenizer_free(d);
    kd_tokenizer_free(other);
    kd_tokenizer_free(t);
    return status;
}

/* Two steps of Muon on the host's arrays: a matrix and a vector. */
static kd_status use_muon(kd_context *ctx)
{
    float w[12] = { 1 }, b[4] = { 0 }, dw[12], db[4];
    kd_array arrays[4] = { KD_ARRAY_2D(w, KD_FLOAT32, 3, 4), KD_ARRAY_2D(dw, KD_FLOAT32, 3, 4),
                           KD_ARRAY_1D(b, KD_FLOAT32, 4), KD_ARRAY_1D(db, KD_FLOAT32, 4) };
    kd_optimizer *optimizer = NULL;
    kd_status status = kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_MUON, NULL);
    if (status == KD_OK) status = kd_optimizer_borrow_array(optimizer, "w", arrays, arrays + 1);
    if (status == KD_OK) status = kd_optimizer_borrow_array(optimizer, "b", arrays + 2, arrays + 3);
    for (int step = 0; step < 2 && status == KD_OK; step++) {
        for (int i = 0; i < 12; i++) dw[i] = (float)(i % 5 - 2), db[i % 4] = 1;
        status = kd_optimizer_step(optimizer, 0.1);
    }
    kd_optimizer_free(optimizer);
    return status;
}

/* Texts with proposals, of the model itself in 8 bits and of what they repeat. */
static kd_status use_draft(kd_model *model)
{
    const int32_t prompt[12] = { 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3 };
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    kd_generator *g = NULL;
    o.draft = model;
    o.weights = KD_INT8;
    o.max_sequences = 2;
    o.lookup = 2;
    o.always_draft = 1;
    s.draw = KD_DRAW_GUMBEL;
    s.samples = 2;
    s.max_tokens = 6;
    kd_status status = kd_generator_create(&g, model, &o);
    if (status == KD_OK) status = kd_generator_add(g, prompt, 12, &s, NULL);
    while (status == KD_OK) status = kd_generator_next(g, &text);
    kd_generator_free(g);
    return status == KD_END ? KD_OK : status;
}

/* A folder as a model that keeps nothing but 8 bits, or 4. */
static kd_status use_packed_only(kd_context *ctx, kd_model *from, const char *folder)
{
    static const int32_t weights[] = { KD_INT8, KD_BLOCK_IQ4_NL };
    char path[600];
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    snprintf(path, sizeof path, "%s/oom-packed", folder);
    kd_status status = kd_model_save(from, path, NULL);
    o.frozen = o.packed_only = 1;
    for (int k = 0; k < 2 && status == KD_OK; k++) {
        kd_model *model = NULL;
        o.weights = weights[k];
        status = kd_model_load(&model, ctx, path, &o);
        kd_model_free(model);
    }
    return status;
}

/* Text from a language model, from its own numbers and from 8-bit ones; a beam search. */
static kd_status use_generator(kd_context *ctx, const char *folder)
{
    char path[600];
    kd_tokenizer *t = NULL;
    kd_model *model = NULL;
    kd_generator *g = NULL;
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    kd_beam_options beam = KD_BEAM_OPTIONS_INIT;
    const int32_t prompt[40] = { 1, 2, 3 };
    snprintf(path, sizeof path, "%s/oom-generator.json", folder);
    if (bytes_tokenizer(path, TEXT_CUT, TEXT_ADDED)) return KD_ERR_IO;
    kd_status status = kd_tokenizer_load(&t, ctx, path);
    if (status == KD_OK)
        status = kd_model_create(&model, ctx,
                                 "{\"model_type\":\"llama\",\"vocab_size\":265,\"hidden_size\":8,"
                                 "\"intermediate_size\":8,\"num_hidden_layers\":1,"
                                 "\"num_attention_heads\":2,\"max_position_embeddings\":64}",
                                 NULL);
    o.tokenizer = t;
    o.max_sequences = 2;
    s.samples = 3;
    s.max_tokens = beam.max_tokens = 4;
    s.keep_hidden = 1;
    s.top_p = 0.9;
    s.stop_texts = (const char *[]){ "nothing" };
    s.stop_text_count = 1;
    beam.beams = 2;
    static const int32_t weights[] = { KD_FLOAT32, KD_INT8, KD_BLOCK_Q4_0 };
    for (int k = 0; k < 3 && status == KD_OK; k++) {
        o.weights = weights[k];
        o.cache = k == 1 ? KD_INT8 : KD_FLOAT16;
        status = kd_generator_create(&g, model, &o);
        if (status == KD_OK) status = kd_generator_add(g, prompt, 40, &s, NULL);
        while (status == KD_OK) status = kd_generator_next(g, &text);
        if (status == KD_END) status = kd_generator_beam_search(g, prompt, 3, &beam, &text, NULL);
        kd_generator_free(g);
        g = NULL;
    }
    if (status == KD_OK) status = use_draft(model);
    if (status == KD_OK) status = use_packed_only(ctx, model, folder);
    if (status == KD_OK) status = use_muon(ctx);
    snprintf(path, sizeof path, "%s/oom.gguf", folder);
    if (status == KD_OK) status = kd_model_save_gguf(model, t, path, KD_INT8, -1);
    if (status == KD_OK) status = use_gguf(ctx, t, path);
    kd_model_free(model);
    model = NULL;
    kd_tokenizer_free(t);
    t = NULL;
    if (status == KD_OK) status = kd_model_load(&model, ctx, path, NULL);
    if (status == KD_OK) status = kd_tokenizer_load(&t, ctx, path);
    kd_model_free(model);
    kd_tokenizer_free(t);
    return status;
}

/* A student cut out, adapted, trained a step with recomputation, saved, loaded, given another
 * vocabulary. */
static kd_status use_student(kd_context *ctx, const char *folder)
{
    char path[600];
    static int64_t tokens[6] = { 1, 2, 3, 4, 5, 6 }, offsets[2] = { 0, 6 };
    kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 2), t = KD_ARRAY_1D(tokens, KD_INT64, 6);
    kd_model *teacher = NULL, *student = NULL, *loaded = NULL;
    kd_batch *batch = NULL;
    kd_loss *loss = NULL;
    kd_optimizer *optimizer = NULL;
    kd_student_options so = KD_STUDENT_OPTIONS_INIT;
    kd_model_save_options save = KD_MODEL_SAVE_OPTIONS_INIT;
    kd_term_options term = KD_TERM_OPTIONS_INIT;
    snprintf(path, sizeof path, "%s/oom-student", folder);
    kd_student_options chosen = KD_STUDENT_OPTIONS_INIT;
    kd_optimizer_options adam = KD_OPTIMIZER_OPTIONS_INIT;
    int32_t map[2];
    so.layers = chosen.layers = 2;
    so.intermediate_size = 4;
    so.config = "{\"kd_layer_repeats\":2,\"kd_embedding_size\":3,\"tie_word_embeddings\":true}";
    so.model.recompute = 1;
    so.model.shared_gradients = 1;
    save.expand = 1;
    save.shard_bytes = 1500;
    term.label_field = "tokens";
    term.align = KD_ALIGN_NEXT;
    kd_status status = kd_model_create(&teacher, ctx,
                                       "{\"model_type\":\"llama\",\"vocab_size\":9,\"hidden_size\":"
                                       "8,\"intermediate_size\":8,\"num_hidden_layers\":3,"
                                       "\"num_attention_heads\":2,\"max_position_embeddings\":64}",
                                       NULL);
    if (status == KD_OK) status = kd_batch_create(&batch, ctx, NULL);
    if (status == KD_OK) status = kd_batch_begin_packed(batch, &o);
    if (status == KD_OK) status = kd_batch_set(batch, "tokens", &t, NULL);
    chosen.choose = KD_LAYERS_GREEDY; /* on random tokens */
    if (status == KD_OK) status = kd_student_map_layers(teacher, &chosen, map);
    so.choose = KD_LAYERS_INFLUENCE;
    so.calibration = batch;
    if (status == KD_OK) status = kd_student_create(&student, teacher, &so);
    if (status == KD_OK) status = kd_model_resize_vocabulary(student, 11);
    if (status == KD_OK) status = kd_model_add_lora(student, NULL, NULL);
    if (status == KD_OK) status = kd_loss_create(&loss, ctx, NULL);
    if (status == KD_OK) status = kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &term, NULL);
    adam.moments = KD_BFLOAT16;
    if (status == KD_OK) status = kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, &adam);
    if (status == KD_OK) status = kd_optimizer_add_model(optimizer, student);
    if (status == KD_OK) status = kd_optimizer_begin_step(optimizer, 1e-3);
    if (status == KD_OK) status = kd_model_forward(student, batch, KD_MODE_TRAIN);
    if (status == KD_OK) status = kd_loss_backward(loss, student, batch, NULL, NULL, NULL);
    if (status == KD_OK) status = kd_optimizer_step(optimizer, 1e-3);
    if (status == KD_OK) status = kd_model_save(student, path, &save);
    if (status == KD_OK) status = kd_model_load(&loaded, ctx, path, NULL);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_model_free(loaded);
    kd_model_free(student);
    kd_model_free(teacher);
    return status;
}

/* An encoder with outputs of samples, cut out of another: adapted, pushed back, saved as a folder
 * of sentence-transformers, loaded in 8 bits. */
static kd_status push_embedding(kd_model *model)
{
    kd_array v;
    float ones[6] = { 1, 1, 1, 1, 1, 1 };
    kd_status status = kd_model_output(model, "embedding", &v);
    v.data = ones;
    if (status == KD_OK) status = kd_model_add_output_gradient(model, "embedding", &v);
    if (status == KD_OK) status = kd_model_output(model, "logits", &v);
    return status == KD_OK ? kd_model_backward(model) : status;
}

/* A projection that a decoder takes in, as two layers; a prompt that is not pooled; and a matrix in
 * a static embedding's table. */
static kd_status append_projection(kd_context *ctx, kd_batch *batch)
{
    static const char decoder[] =
        "{\"model_type\":\"qwen3\",\"vocab_size\":9,\"hidden_size\":8,\"num_hidden_layers\":1,"
        "\"num_attention_heads\":2,\"head_dim\":4,\"intermediate_size\":6,"
        "\"kd_include_prompt\":false}";
    static const char table[] =
        "{\"model_type\":\"static_embedding\",\"vocab_size\":9,\"hidden_size\":3}";
    static const float matrix[6] = { 1, 2, 0, 0, 1, 0 };
    static const int64_t lengths[2] = { 1, 0 };
    const kd_array wide = KD_ARRAY_2D(matrix, KD_FLOAT32, 2, 3),
                   prompts = KD_ARRAY_1D(lengths, KD_INT64, 2);
    kd_model *model = NULL, *small = NULL;
    kd_loss *loss = NULL;
    kd_term_options term = KD_TERM_OPTIONS_INIT;
    kd_projection_options projection = KD_PROJECTION_OPTIONS_INIT;
    term.student_output = term.teacher_field = "embedding";
    projection.kind = KD_PROJECTION_MLP;
    projection.from = 8;
    projection.to = 5;
    kd_status status = kd_model_create(&model, ctx, decoder, NULL);
    if (status == KD_OK) status = kd_model_create(&small, ctx, table, NULL);
    if (status == KD_OK) status = kd_model_append_dense(small, NULL, &wide, NULL, NULL);
    if (status == KD_OK) status = kd_loss_create(&loss, ctx, NULL);
    if (status == KD_OK) status = kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &term, NULL);
    if (status == KD_OK) status = kd_loss_set_projection(loss, 0, &projection);
    if (status == KD_OK) status = kd_student_append_projection(model, loss, 0);
    if (status == KD_OK) status = kd_batch_set_per_sample(batch, "prompt_length", &prompts, NULL);
    if (status == KD_OK) status = kd_model_forward(model, batch, KD_MODE_EVALUATE);
    kd_loss_free(loss);
    kd_model_free(small);
    kd_model_free(model);
    return status;
}

static kd_status use_encoder(kd_context *ctx, const char *folder)
{
    static const char config[] =
        "{\"model_type\":\"bert\",\"vocab_size\":9,\"hidden_size\":8,\"num_hidden_layers\":2,"
        "\"num_attention_heads\":2,\"intermediate_size\":6,\"attention_probs_dropout_prob\":0,"
        "\"architectures\":[\"BertForSequenceClassification\"],\"kd_pooling\":\"mean\","
        "\"kd_dense\":[{\"out_features\":3}],\"kd_normalize\":true}";
    char path[600];
    static int64_t tokens[6] = { 1, 2, 3, 4, 5, 6 }, offsets[3] = { 0, 4, 6 };
    static const float matrix[9] = { 1, 2, 0, 0, 1, 0, 1, 0, 1 };
    kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 3), t = KD_ARRAY_1D(tokens, KD_INT64, 6), v;
    const kd_array square = KD_ARRAY_2D(matrix, KD_FLOAT32, 3, 3);
    kd_model *teacher = NULL, *model = NULL, *loaded = NULL;
    kd_batch *batch = NULL;
    kd_model_options frozen = KD_MODEL_OPTIONS_INIT;
    kd_student_options so = KD_STUDENT_OPTIONS_INIT;
    so.layers = 1;
    so.hidden_size = so.intermediate_size = 4;
    frozen.frozen = 1;
    frozen.weights = KD_INT8;
    snprintf(path, sizeof path, "%s/oom-encoder", folder);
    kd_status status = kd_model_create(&teacher, ctx, config, NULL);
    if (status == KD_OK) status = kd_batch_create(&batch, ctx, NULL);
    if (status == KD_OK) status = kd_batch_begin_packed(batch, &o);
    if (status == KD_OK) status = kd_batch_set(batch, "tokens", &t, NULL);
    so.calibration = batch;
    if (status == KD_OK) status = kd_student_create(&model, teacher, &so);
    if (status == KD_OK) status = kd_model_add_lora(model, "*.value.weight", NULL);
    if (status == KD_OK) status = kd_model_append_dense(model, NULL, &square, NULL, "tanh");
    if (status == KD_OK) status = kd_model_forward(model, batch, KD_MODE_TRAIN);
    if (status == KD_OK) status = push_embedding(model);
    if (status == KD_OK) status = kd_model_save(model, path, NULL);
    if (status == KD_OK) status = kd_model_load(&loaded, ctx, path, &frozen);
    if (status == KD_OK) status = kd_model_append_dense(loaded, NULL, &square, NULL, NULL);
    if (status == KD_OK) status = kd_model_forward(loaded, batch, KD_MODE_EVALUATE);
    if (status == KD_OK) status = kd_model_output(loaded, "embedding", &v);
    if (status == KD_OK) status = append_projection(ctx, batch);
    kd_batch_free(batch);
    kd_model_free(loaded);
    kd_model_free(model);
    kd_model_free(teacher);
    return status;
}

/* Records through every filter into a report; packed; answered by a function and judged. */
static kd_status answer_function(void *user, const kd_record *prompt, int32_t sample, uint64_t seed,
                                 char *text, int64_t room, int64_t *bytes)
{
    (void)user, (void)prompt, (void)seed, (void)room;
    *bytes = sprintf(text, "#### %d", sample);
    return KD_OK;
}

static kd_status curate(kd_context *ctx, kd_record_reader *reader, const char *folder,
                        kd_report *report)
{
    kd_curation *c = NULL;
    kd_record_writer *w = NULL;
    kd_filter_options o = KD_FILTER_OPTIONS_INIT;
    int32_t step;
    char kept[600], *table = NULL;
    snprintf(kept, sizeof kept, "%s/oom-kept.jsonl", folder);
    kd_status status = kd_curation_create(&c, ctx, NULL);
    o.choose = KD_CHOOSE_VARIED;
    for (int32_t kind = KD_FILTER_LENGTH; kind <= KD_FILTER_LANGUAGES && status == KD_OK; kind++) {
        if (kind == KD_FILTER_HOST || kind == KD_FILTER_CONTAMINATION || kind == KD_FILTER_SCORE ||
            kind == KD_FILTER_VERIFY)
            continue;
        const int best = kind == KD_FILTER_BEST;
        status = kd_curation_add(c, kind, best ? &o : NULL, &step);
        if (best && status == KD_OK)
            status = kd_curation_set(c, step, KD_CURATION_MAX_PER_PROMPT, 2);
    }
    if (status == KD_OK) status = kd_record_writer_open(&w, ctx, kept, NULL);
    if (status == KD_OK) status = kd_curation_run(c, reader, w, NULL);
    if (status == KD_OK) status = kd_record_writer_close(w);
    if (status == KD_OK) status = kd_curation_to_text(c, &table);
    if (status == KD_OK) status = kd_curation_fill_report(c, report, "curation");
    kd_context_free_text(ctx, table);
    kd_record_writer_free(w);
    kd_curation_free(c);
    return status;
}

static int32_t recompute(void *user, const kd_record *original, const double *before,
                         const double *now, int32_t count, kd_record *made)
{
    (void)user, (void)original, (void)before, (void)now, (void)count;
    made->expected = "1";
    return 1;
}

static kd_status use_augment(kd_context *ctx, kd_record_reader *reader, const char *folder)
{
    static const char *const templates[] = { "{previous} and {prompt}" };
    kd_augment_options o = KD_AUGMENT_OPTIONS_INIT;
    kd_record_writer *w = NULL;
    char more[600];
    snprintf(more, sizeof more, "%s/oom-more.jsonl", folder);
    kd_status status = kd_record_writer_open(&w, ctx, more, NULL);
    o.templates = templates;
    o.template_count = 1;
    o.function = recompute;
    for (o.kind = KD_AUGMENT_NUMBERS; o.kind <= KD_AUGMENT_ANSWERS && status == KD_OK; o.kind++)
        status = kd_augment_prompts(reader, w, &o, NULL);
    kd_record_writer_free(w);
    return status;
}

static kd_status use_course(kd_context *ctx, const char *folder)
{
    char answers[600], page[600];
    const char *lines = "{\"prompt\":\"1\",\"completions\":[\"so it is one #### 1\",\"or it may be "
                        "two #### 2\",\"#### 1\"],\"expected\":\"1\",\"more\":[1]}\n"
                        "{\"messages\":[{\"role\":\"user\",\"content\":\"2\"},{\"role\":"
                        "\"assistant\",\"content\":\"#### "
                        "2\",\"reasoning_content\":\"r\"}],\"ids\":[1,2]}\n";
    const char *const paths[] = { answers };
    const char *const texts[] = { "a b c d e" }, *text;
    kd_record_reader *reader = NULL, *judged = NULL;
    kd_report *report = NULL;
    kd_packer *packer = NULL;
    kd_batch *batch = NULL;
    kd_schedule *rate = NULL;
    kd_record record = KD_RECORD_INIT;
    kd_recipe recipe = { .struct_size = sizeof recipe };
    kd_answers_options ao;
    kd_answers_result result = { .struct_size = sizeof result };
    const int32_t ids[3] = { 1, 2, 3 }, rights[4] = { 1, 0, 1, 1 };
    kd_difference difference = { .struct_size = sizeof difference };
    double value;
    snprintf(answers, sizeof answers, "%s/oom-answers.jsonl", folder);
    snprintf(page, sizeof page, "%s/oom-report.html", folder);
    remove(answers);
    kd_answers_options_init(&ao, sizeof ao);
    ao.samples = 2;
    ao.function = answer_function;
    kd_status status = kd_record_reader_open_text(&reader, ctx, lines, -1, NULL);
    if (status == KD_OK) status = kd_record_reader_next(reader, &record);
    if (status == KD_OK) status = kd_record_reader_rewind(reader);
    if (status == KD_OK) status = kd_report_create(&report, ctx);
    if (status == KD_OK) status = curate(ctx, reader, folder, report);
    if (status == KD_OK) status = use_augment(ctx, reader, folder);
    if (status == KD_OK) status = kd_report_text(report, &text);
    if (status == KD_OK) status = kd_report_write_html(report, page, "title");
    ao.max_prompts = 1;
    if (status == KD_OK) status = kd_answers_collect(ctx, NULL, reader, answers, &ao, NULL);
    if (status == KD_OK) status = kd_record_reader_open(&judged, ctx, paths, 1, NULL);
    if (status == KD_OK) status = kd_answers_judge(judged, NULL, 1, NULL, 0, &result);
    if (status == KD_OK) status = kd_packer_create(&packer, ctx, NULL, NULL);
    if (status == KD_OK) status = kd_packer_add_ids(packer, ids, NULL, 3, NULL, 0);
    if (status == KD_OK) status = kd_batch_create(&batch, ctx, NULL);
    if (status == KD_OK) status = kd_packer_next(packer, batch);
    if (status == KD_OK) status = kd_recipe_fill(&recipe, KD_RECIPE_R1, 1e9);
    recipe.patience = 1;
    if (status == KD_OK) status = kd_recipe_create_learning_rate(&rate, ctx, &recipe, 10);
    for (int32_t kind = KD_TEXT_BLEU; kind <= KD_TEXT_EXACT && status == KD_OK; kind++)
        status = kd_compare_texts(ctx, kind, texts, texts, 1, &value);
    if (status == KD_OK)
        status = kd_compare_bootstrap(ctx, rights, rights, 1, 2, 2, 4, 1, &difference);
    if (status == KD_OK) status = kd_compare_runs(ctx, NULL, rights, 1, 2, 2, &difference);
    kd_schedule_free(rate);
    kd_batch_free(batch);
    kd_packer_free(packer);
    kd_report_free(report);
    kd_record_reader_free(judged);
    kd_record_reader_free(reader);
    return status;
}

static kd_status run_part(run_parts *r, kd_context *ctx, const char *folder, int part)
{
    if (part == PART_IMAGE_LAYERS) r->config = RUN_IMAGES;
    switch (part) {
    case PART_LAYERS:
    case PART_IMAGE_LAYERS: return use_everything(r, ctx, folder);
    case PART_STORE: return use_store(ctx, folder);
    case PART_BYTES: return use_tokenizer(ctx, folder, 0);
    case PART_CHARACTERS: return use_tokenizer(ctx, folder, 1);
    case PART_WORDS: return use_tokenizer(ctx, folder, WORDS);
    case PART_GENERATOR: return use_generator(ctx, folder);
    case PART_STUDENT: return use_student(ctx, folder);
    case PART_COURSE: return use_course(ctx, folder);
    case PART_FEATURES: return use_features(ctx, folder);
    case PART_ENCODER: return use_encoder(ctx, folder);
    case PART_SAMPLES: return use_samples(ctx, folder);
    case PART_STATIC: return use_static(ctx, folder);
    case PART_RELATIONS: return use_relations(ctx, folder);
    case PART_PAIRS: return use_pairs(ctx);
    case PART_TOWERS: return use_towers(ctx, folder);
    case PART_HEADS: return use_heads(ctx, folder);
    case PART_TASKS: return use_tasks(ctx, folder);
    case PART_AUDIO: return use_audio(ctx, folder);
    case PART_EXCHANGE: return use_exchange(ctx, folder);
    case PART_ARROW: return use_arrow(ctx, folder);
    case PART_MANY: return use_many(ctx, folder);
    case PART_PACKED: return use_packed(ctx, folder);
    default: return use_images(ctx, folder);
    }
}

static kd_status whole_run(memory *m, const char *folder, int part)
{
    static run_parts r;
    kd_allocator allocator = { sizeof allocator, 0, m, allocate, reallocate, release };
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context *ctx = NULL;
    memset(&r, 0, sizeof r);
    o.allocator = &allocator;
    o.threads = 2;
    kd_status status = kd_context_create(&ctx, &o);
    if (status == KD_OK) status = run_part(&r, ctx, folder, part);
    run_free(&r);
    kd_context_free(ctx);
    return status;
}

static int one_part(const char *folder, int part)
{
    memory m = { .fail_at = -1 };
    if (whole_run(&m, folder, part) != KD_OK || m.held != 0) {
        printf("part %d without failures: %s; %ld blocks left\n", part, kd_last_error(), m.held);
        return 1;
    }
    const long calls = m.calls, step = getenv("KD_TEST_FEW") ? 3 : 1;
    for (int on = 0; on < 2; on++)
        for (long at = part % step; at < calls; at += step) {
            m = (memory){ .fail_at = at, .from_then_on = on };
            kd_status status = whole_run(&m, folder, part);
            if ((status != KD_ERR_MEMORY && status != KD_OK) || (on && status == KD_OK) ||
                m.held != 0) {
                printf("part %d, allocation %ld (%s): status %d (%s), %ld blocks left\n", part, at,
                       on ? "and all after" : "once", status, kd_last_error(), m.held);
                return 1;
            }
        }
    printf("part %d: %s of %ld allocations failed in turn, once and from then on: clean\n", part,
           step > 1 ? "every third" : "each", calls);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int part = argc > 2 ? atoi(argv[2]) : 0; part < PARTS && !failed; part++)
        failed = one_part(argc > 1 ? argv[1] : "/tmp", part);
    return failed;
}
