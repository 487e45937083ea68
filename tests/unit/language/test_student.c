/* Students cut out of a language model, and the folders and files that they are kept in. */
#include "studentkit.h"

START_TEST(a_student_of_everything_is_its_teacher)
{
    kd_context *ctx = make_context(2);
    static const char *const more[] = {
        "", ",\"sliding_window\":5,\"use_sliding_window\":true,\"max_window_layers\":2",
        ",\"tie_word_embeddings\":true,\"head_dim\":10"
    };
    static const char *const types[] = { "llama", "qwen2", "qwen3" };
    kd_batch *batch = make_batch(ctx);
    for (int i = 0; i < 3; i++) {
        kd_model *teacher = make_model(ctx, types[i], more[i], NULL), *student, *half;
        kd_student_options o = KD_STUDENT_OPTIONS_INIT;
        static float a[ROWS * V], b[ROWS * V];
        OK(kd_student_create(&student, teacher, NULL));
        logits_of(teacher, batch, a);
        logits_of(student, batch, b);
        ck_assert(!memcmp(a, b, sizeof a));
        o.layers = 2;
        OK(kd_student_create(&half, teacher, &o));
        kd_array x, y;
        float *first = tensor_of(half, "model.layers.1.mlp.up_proj.weight", &x),
              *last = tensor_of(teacher, "model.layers.3.mlp.up_proj.weight", &y);
        ck_assert(!memcmp(first, last, 24 * 20 * sizeof *first));
        kd_model_free(half);
        kd_model_free(student);
        kd_model_free(teacher);
    }
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

/* Feed-forward numbers and key-value heads that say nothing are dropped first, and nobody misses
 * them. */
START_TEST(what_is_least_active_is_cut)
{
    kd_context *ctx = make_context(1);
    kd_batch *batch = make_batch(ctx);
    kd_model *teacher = make_model(ctx, "llama", "", NULL), *student;
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    static float a[ROWS * V], b[ROWS * V];
    for (int l = 0; l < 4; l++) {
        char name[KD_NAME_BYTES];
        kd_array values;
        snprintf(name, sizeof name, "model.layers.%d.mlp.up_proj.weight", l);
        for (int i = 0; i < 8; i++)
            memset(tensor_of(teacher, name, &values) + (i * 2 + l % 2) * 24, 0, 24 * sizeof(float));
        snprintf(name, sizeof name, "model.layers.%d.self_attn.v_proj.weight", l);
        memset(tensor_of(teacher, name, &values) + l % 2 * 6 * 24, 0, 6 * 24 * sizeof(float));
    }
    o.intermediate_size = 12;
    o.key_value_heads = 1;
    o.calibration = batch;
    OK(kd_student_create(&student, teacher, &o));
    logits_of(teacher, batch, a);
    logits_of(student, batch, b);
    ck_assert_msg(distance(a, b, ROWS * V) < 1e-5, "distance %g", distance(a, b, ROWS * V));
    kd_model_free(student);
    o.hidden_size = 16;
    o.layer_map = (const int32_t[]){ 3, 0, 0 };
    o.layers = 3;
    o.config = "{\"sliding_window\":4,\"attention_sinks\":1,\"layer_types\":[\"full_attention\","
               "\"sliding_attention\",\"sliding_attention\"]}";
    OK(kd_student_create(&student, teacher, &o));
    logits_of(student, batch, b);
    for (int i = 0; i < ROWS * V; i++) ck_assert(isfinite(b[i]));
    kd_model_free(student);
    o.config = "{\"hidden_size\":8}";
    FAILS(kd_student_create(&student, teacher, &o), KD_ERR_CONFIG, "size");
    o.config = NULL;
    o.hidden_size = 25;
    FAILS(kd_student_create(&student, teacher, &o), KD_ERR_RANGE, "hidden_size");
    o.hidden_size = 0;
    o.layer_map = (const int32_t[]){ 4, 0, 0 };
    FAILS(kd_student_create(&student, teacher, &o), KD_ERR_RANGE, "no layer 4");
    kd_model_free(teacher);
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

START_TEST(shards_are_written_and_stand_for_the_file)
{
    kd_context *ctx = make_context(1);
    kd_batch *batch = make_batch(ctx);
    kd_model *model = make_model(ctx, "llama", "", NULL), *again;
    kd_model_save_options o = KD_MODEL_SAVE_OPTIONS_INIT;
    const char *folder = scratch_path("shards");
    static float a[ROWS * V], b[ROWS * V];
    static char text[20000];
    char path[600];
    /* one file, shards in its place, and one file again, which is then read */
    for (int i = 0; i < 3; i++) {
        o.shard_bytes = i == 1 ? 6000 : 0;
        kd_array p;
        OK(kd_model_parameters(model, &p));
        ((float *)p.data)[0] += 1;
        logits_of(model, batch, a);
        again = reloaded(ctx, model, folder, &o, batch, b);
        ck_assert(!memcmp(a, b, sizeof a));
        kd_model_free(again);
        snprintf(path, sizeof path, "%s/model.safetensors", folder);
        ck_assert_int_eq(access(path, F_OK), i == 1 ? -1 : 0);
    }
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    ck_assert_ptr_nonnull(strstr(text, "\"model.norm.weight\":\"model-00"));
    ck_assert_ptr_nonnull(strstr(text, "\"metadata\":{\"total_size\":"));
    o.shard_bytes = -1;
    FAILS(kd_model_save(model, folder, &o), KD_ERR_RANGE, "shard_bytes");
    o.shard_bytes = 1; /* a shard a tensor */
    again = reloaded(ctx, model, folder, &o, batch, b);
    ck_assert(!memcmp(a, b, sizeof a));
    kd_model_free(again);
    kd_model_free(model);
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

START_TEST(a_vocabulary_grows_and_shrinks)
{
    kd_context *ctx = make_context(1);
    kd_batch *batch = make_batch(ctx);
    for (int tied = 0; tied < 2; tied++) {
        kd_model *model =
            make_model(ctx, "llama", tied ? ",\"tie_word_embeddings\":true" : "", NULL);
        static float a[ROWS * V];
        kd_array z, e;
        logits_of(model, batch, a);
        OK(kd_model_resize_vocabulary(model, V + 3));
        OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
        OK(kd_model_output(model, "logits", &z));
        ck_assert_int_eq(z.dims[1], V + 3);
        for (int r = 0; r < ROWS; r++)
            ck_assert(distance((float *)z.data + r * (V + 3), a + r * V, V) < 1e-6);
        float *rows = tensor_of(model, "model.embed_tokens.weight", &e);
        double mean = 0;
        for (int i = 0; i < V; i++) mean += rows[i * 24 + 5] / V;
        NEAR(rows[(V + 2) * 24 + 5], mean, 1e-6);
        OK(kd_model_resize_vocabulary(model, V));
        static float b[ROWS * V];
        logits_of(model, batch, b);
        ck_assert(distance(a, b, ROWS * V) < 1e-6);
        FAILS(kd_model_resize_vocabulary(model, 0), KD_ERR_RANGE, "vocabulary");
        kd_model_free(model);
    }
    kd_batch_free(batch);
    kd_context_free(ctx);
}
END_TEST

START_TEST(gguf_files_come_back)
{
    kd_context *ctx = make_context(1);
    static const char *const types[] = { "llama", "qwen2", "qwen3" };
    kd_tokenizer *t, *read;
    const char *source = scratch_path("gguf-tokenizer.json"), *path = scratch_path("model.gguf");
    static const char cut[] = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\","
                              "\"individual_digits\":true},{\"type\":\"ByteLevel\","
                              "\"add_prefix_space\":false}]}";
    ck_assert(bytes_tokenizer(source, cut, TEXT_ADDED) == 0);
    OK(kd_tokenizer_load(&t, ctx, source));
    for (int i = 0; i < 3; i++) {
        char json[700];
        kd_model *model, *again;
        kd_batch *batch = make_batch(ctx);
        kd_array a, b;
        snprintf(json, sizeof json, base, types[i],
                 i == 2 ? ",\"head_dim\":8,\"kd_layer_repeats\":2" : "");
        memmove(strstr(json, "37,") + 3, strstr(json, "37,") + 2,
                strlen(strstr(json, "37,") + 2) + 1);
        memcpy(strstr(json, "37"), "265", 3);
        OK(kd_model_create(&model, ctx, json, NULL));
        static const int32_t dtypes[] = { KD_FLOAT32, KD_FLOAT16, KD_INT8 };
        /* rows of 24 numbers stay float16 in the third */
        static const double limits[] = { 1e-6, 1e-2, 0.2 };
        for (int k = 0; k < 3; k++) {
            OK(kd_model_save_gguf(model, t, path, dtypes[k], 264));
            OK(kd_model_load(&again, ctx, path, NULL));
            OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
            OK(kd_model_forward(again, batch, KD_MODE_EVALUATE));
            OK(kd_model_output(model, "logits", &a));
            OK(kd_model_output(again, "logits", &b));
            ck_assert_msg(distance(a.data, b.data, ROWS * 265) < limits[k], "%s, dtype %d: %g",
                          types[i], dtypes[k], distance(a.data, b.data, ROWS * 265));
            kd_model_free(again);
        }
        FAILS(kd_model_save_gguf(model, t, path, KD_BFLOAT16, -1), KD_ERR_UNSUPPORTED, "8 bits");
        OK(kd_tokenizer_load(&read, ctx, path));
        int64_t differences;
        OK(kd_tokenizer_compare(t, read, NULL, 0, 0, &differences, NULL));
        ck_assert_int_eq(differences, 0);
        kd_tokenizer_free(read);
        if (i == 0) { /* cut short anywhere it is refused */
            size_t size;
            char *bytes = read_whole(path, &size);
            for (size_t keep = 4; keep < size; keep += size / 61 + 1) {
                write_file(scratch_path("torn.gguf"), bytes, keep);
                ck_assert(kd_model_load(&again, ctx, scratch_path("torn.gguf"), NULL) < 0);
            }
            free(bytes);
        }
        kd_batch_free(batch);
        kd_model_free(model);
    }
    kd_tokenizer *prefixed; /* a way to cut that has no name there is refused, not dropped */
    char json[700];
    kd_model *model;
    ck_assert(bytes_tokenizer(source, "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}",
                              TEXT_ADDED) == 0);
    OK(kd_tokenizer_load(&prefixed, ctx, source));
    snprintf(json, sizeof json, base, "llama", "");
    OK(kd_model_create(&model, ctx, json, NULL));
    FAILS(kd_model_save_gguf(model, prefixed, path, KD_FLOAT32, -1), KD_ERR_UNSUPPORTED, "no name");
    kd_tokenizer_free(prefixed);
    kd_model_free(model);
    kd_model *window = make_model(
        ctx, "qwen2", ",\"sliding_window\":5,\"use_sliding_window\":true,\"max_window_layers\":0",
        NULL);
    FAILS(kd_model_save_gguf(window, t, path, KD_FLOAT32, -1), KD_ERR_UNSUPPORTED, "windows");
    kd_model_free(window);
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(an_index_of_shards_that_lies_is_refused)
{
    kd_context *ctx = make_context(1);
    kd_model *model = make_model(ctx, "llama", "", NULL), *again;
    static const struct {
        const char *map, *message;
    } bad[] = { { "{\"a\":\"../model.safetensors\"}", "in the folder" },
                { "{\"a\":5}", "in the folder" },
                { "{}", "an object weight_map" },
                { "{\"a\":\"none.safetensors\"}", "cannot open" },
                { "{\"a\":\"part.safetensors\"}", "weight_map has 1" } };
    char path[600], other[600];
    OK(kd_model_save(model, scratch_path("lying"), NULL));
    snprintf(path, sizeof path, "%s/model.safetensors", scratch_path("lying"));
    snprintf(other, sizeof other, "%s/part.safetensors", scratch_path("lying"));
    ck_assert_int_eq(rename(path, other), 0);
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", scratch_path("lying"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char json[200];
        snprintf(json, sizeof json, "{\"weight_map\":%s}", bad[i].map);
        write_file(path, json, strlen(json));
        const kd_status status = kd_model_load(&again, ctx, scratch_path("lying"), NULL);
        ck_assert_msg(status < 0 && strstr(kd_last_error(), bad[i].message), "%s: %s", bad[i].map,
                      kd_last_error());
    }
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

START_TEST(ready_configs_are_about_as_large_as_their_names)
{
    kd_context *ctx = make_context(1);
    static const struct {
        const char *name;
        double parameters;
    } sizes[] = { { "100k", 1e5 }, { "1m", 1e6 },   { "5m", 5e6 },
                  { "15m", 15e6 }, { "40m", 40e6 }, { "150m", 150e6 } };
    for (int i = 0; i < 12; i++) {
        char name[40];
        const char *json;
        kd_model_memory_info info = { .struct_size = sizeof info };
        snprintf(name, sizeof name, "%s-%s", i % 2 ? "qwen3" : "llama", sizes[i / 2].name);
        OK(kd_student_preset(name, &json));
        OK(kd_model_estimate_memory(ctx, json, NULL, &info));
        ck_assert_msg(fabs((double)info.parameters / sizes[i / 2].parameters - 1) < 0.2, "%s: %lld",
                      name, (long long)info.parameters);
    }
    const char *json;
    FAILS(kd_student_preset("gpt", &json), KD_ERR_NOT_FOUND, "llama-100k");
    kd_context_free(ctx);
}
END_TEST

Suite *student_suite(void)
{
    Suite *suite = suite_create("student");
    TCase *tests = tcase_create("student");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_student_of_everything_is_its_teacher);
    tcase_add_test(tests, what_is_least_active_is_cut);
    tcase_add_test(tests, shards_are_written_and_stand_for_the_file);
    tcase_add_test(tests, a_vocabulary_grows_and_shrinks);
    tcase_add_test(tests, gguf_files_come_back);
    tcase_add_test(tests, an_index_of_shards_that_lies_is_refused);
    tcase_add_test(tests, ready_configs_are_about_as_large_as_their_names);
    suite_add_tcase(suite, tests);
    return suite;
}
