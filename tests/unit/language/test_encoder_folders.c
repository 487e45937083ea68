/* Folders of encoders: transformers' names of all times, sentence-transformers' modules, and
 * folders that lie. Parity with both packages is in tests/property/encoders.py. */
#include "encoderkit.h"

#include <sys/stat.h>

static kd_context *ctx;
static kd_batch *batch;
static void setup(void)
{
    ctx = make_context(2);
    batch = encoder_batch(ctx);
}
static void teardown(void)
{
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static double sum_of(kd_model *model, const char *output)
{
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    return output_sum(model, output);
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[700];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    write_file(path, text, strlen(text));
}

static char *text_of(const char *folder, const char *name)
{
    char path[700];
    size_t size;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *text = read_whole(path, &size);
    text[size] = 0;
    return text;
}

/* ---- a model of our own ---- */

START_TEST(a_sentence_folder_comes_back_whole)
{
    const char *folder = scratch_path("encoder-sentence"), *json;
    kd_model *model = encoder_made(ctx, BERT(SENTENCE ",\"kd_max_length\":9"), NULL), *again;
    OK(kd_model_save(model, folder, NULL));
    OK(kd_model_load(&again, ctx, folder, NULL));
    ck_assert(sum_of(model, "embedding") == sum_of(again, "embedding"));
    OK(kd_model_config(again, &json));
    ck_assert_ptr_nonnull(strstr(json, "\"kd_max_length\":9"));
    char *config = text_of(folder, "config.json"), *modules = text_of(folder, "modules.json"),
         *dense = text_of(folder, "2_Dense/config.json");
    ck_assert_ptr_null(strstr(config, "kd_pooling"));
    ck_assert_ptr_nonnull(strstr(modules, "\"3_Normalize\""));
    ck_assert_ptr_nonnull(strstr(dense, "torch.nn.modules.activation.Tanh"));
    free(config), free(modules), free(dense);
    kd_model_free(again);
    kd_model_free(model);
}
END_TEST

START_TEST(a_folder_without_pooling_keys_has_no_modules)
{
    const char *folder = scratch_path("encoder-plain");
    char path[700];
    struct stat facts;
    kd_model *model = encoder_made(ctx, BERT(CLASSES), NULL), *again;
    OK(kd_model_save(model, folder, NULL));
    snprintf(path, sizeof path, "%s/modules.json", folder);
    ck_assert_int_ne(stat(path, &facts), 0);
    OK(kd_model_load(&again, ctx, folder, NULL));
    ck_assert(sum_of(model, "logits") == sum_of(again, "logits"));
    kd_model_free(again);
    kd_model_free(model);
}
END_TEST

/* Dense layers of a config alone are with the trunk. */
START_TEST(dense_layers_without_modules_are_tensors_like_others)
{
    const char *folder = scratch_path("encoder-dense");
    kd_model *model = encoder_made(ctx, BERT(",\"kd_dense\":[{\"out_features\":3}]"), NULL), *again;
    OK(kd_model_save(model, folder, NULL));
    OK(kd_model_load(&again, ctx, folder, NULL));
    ck_assert(sum_of(model, "embedding") == sum_of(again, "embedding"));
    kd_model_free(again);
    kd_model_free(model);
}
END_TEST

/* ---- names of other times ---- */

/* Every name of a safetensors header, replaced where it stands, at the same length or with spaces
 * after the header's values. */
static void rename_in(const char *folder, const char *from, const char *to)
{
    char path[700];
    size_t size;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    char *bytes = read_whole(path, &size), *made = malloc(2 * size + 4096);
    uint64_t header;
    memcpy(&header, bytes, 8);
    char *text = malloc(header + 1), *at = made + 8;
    memcpy(text, bytes + 8, header);
    text[header] = 0;
    for (char *c = text; *c;) {
        if (strncmp(c, from, strlen(from))) {
            *at++ = *c++;
            continue;
        }
        memcpy(at, to, strlen(to));
        at += strlen(to);
        c += strlen(from);
    }
    while ((at - made) % 8) *at++ = ' ';
    const uint64_t length = (uint64_t)(at - made - 8);
    memcpy(made, &length, 8);
    memcpy(at, bytes + 8 + header, size - 8 - header);
    write_file(path, made, 8 + length + size - 8 - header);
    free(bytes), free(made), free(text);
}

START_TEST(names_of_all_times_are_read)
{
    static const char *const pairs[][2] = {
        { "\"embeddings.", "\"bert.embeddings." },
        { "\"encoder.layer", "\"bert.encoder.layer" },
        { "LayerNorm.weight", "LayerNorm.gamma" },
        { "LayerNorm.bias", "LayerNorm.beta" },
    };
    const char *folder = scratch_path("encoder-names");
    kd_model *model = encoder_made(ctx, BERT(NO_DROPOUT), NULL), *again;
    OK(kd_model_save(model, folder, NULL));
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        rename_in(folder, pairs[i][0], pairs[i][1]);
        OK(kd_model_load(&again, ctx, folder, NULL));
        ck_assert(sum_of(model, "hidden") == sum_of(again, "hidden"));
        kd_model_free(again);
    }
    rename_in(folder, "attention.self.query.bias", "attention.self.sneak.bias");
    FAILS(kd_model_load(&again, ctx, folder, NULL), KD_ERR_MISMATCH,
          "no tensor 'encoder.layer.0.attention.self.query.bias'");
    kd_model_free(model);
}
END_TEST

/* A pooler that a folder lacks is not missed, and one that it has is kept. */
START_TEST(a_folder_may_lack_the_pooler)
{
    const char *folder = scratch_path("encoder-pooler"), *json;
    kd_model *model = encoder_made(ctx, BERT(NO_DROPOUT ",\"kd_pooler\":false"), NULL), *again;
    OK(kd_model_save(model, folder, NULL));
    char *config = text_of(folder, "config.json"), *key = strstr(config, ",\"kd_pooler\":false");
    ck_assert_ptr_nonnull(key);
    memset(key, ' ', 18);
    put(folder, "config.json", config);
    OK(kd_model_load(&again, ctx, folder, NULL));
    ck_assert(sum_of(model, "hidden") == sum_of(again, "hidden"));
    OK(kd_model_config(again, &json));
    ck_assert_ptr_nonnull(strstr(json, "\"kd_pooler\":false"));
    free(config);
    kd_model_free(again);
    kd_model_free(model);
}
END_TEST

/* ---- folders that lie ---- */

static const char *sentence_folder(const char *name)
{
    const char *folder = scratch_path(name);
    kd_model *model = encoder_made(ctx, BERT(SENTENCE), NULL);
    OK(kd_model_save(model, folder, NULL));
    kd_model_free(model);
    return folder;
}

static void refused(const char *folder, const char *file, const char *text, kd_status status,
                    const char *message)
{
    kd_model *model = NULL;
    char *before = text_of(folder, file);
    put(folder, file, text);
    FAILS(kd_model_load(&model, ctx, folder, NULL), status, message);
    ck_assert_ptr_null(model);
    put(folder, file, before);
    OK(kd_model_load(&model, ctx, folder, NULL));
    kd_model_free(model);
    free(before);
}

#define MODULE(path, class)                                                                        \
    "{\"path\":\"" path "\",\"type\":\"sentence_transformers.models." class "\"}"
#define TWO MODULE("", "Transformer") "," MODULE("1_Pooling", "Pooling")

START_TEST(modules_that_are_not_known_are_refused_by_name)
{
    const char *f = sentence_folder("encoder-modules");
    refused(f, "modules.json", "{}", KD_ERR_CONFIG, "expected a list of modules");
    refused(f, "modules.json", "[3]", KD_ERR_CONFIG, "expected a list of objects");
    refused(f, "modules.json", "[" MODULE("", "Transformer") "]", KD_ERR_CONFIG, "no Pooling");
    refused(f, "modules.json", "[" MODULE("", "CLIPModel") "]", KD_ERR_UNSUPPORTED,
            "expected a Transformer");
    refused(f, "modules.json", "[" TWO "," MODULE("2", "LayerNorm") "]", KD_ERR_UNSUPPORTED,
            "\"LayerNorm\", is not supported");
    refused(f, "modules.json", "[" TWO ",{\"path\":\"2\",\"type\":\"mine.Dense\"}]",
            KD_ERR_UNSUPPORTED, "\"?\", is not supported");
    refused(f, "modules.json",
            "[" TWO "," MODULE("2", "Normalize") "," MODULE("2_Dense", "Dense") "]",
            KD_ERR_UNSUPPORTED, "comes after Normalize");
    refused(f, "modules.json", "[" TWO "," MODULE("../2_Dense", "Dense") "]", KD_ERR_CONFIG,
            "the name of a folder in the folder");
    refused(f, "modules.json", "[" TWO "," MODULE("4_Dense", "Dense") "]", KD_ERR_NOT_FOUND,
            "4_Dense");
}
END_TEST

/* A message names a folder once, whichever of its files is at fault. */
START_TEST(a_path_is_said_once)
{
    static const char *const files[] = { "config.json", "modules.json", "1_Pooling/config.json",
                                         "2_Dense/config.json", "sentence_bert_config.json" };
    const char *f = sentence_folder("encoder-path");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        refused(f, files[i], "{", KD_ERR_FORMAT, f);
        put(f, files[i], "[3,");
        kd_model *model = NULL;
        FAILS(kd_model_load(&model, ctx, f, NULL), KD_ERR_FORMAT, f);
        const char *at = strstr(kd_last_error(), f);
        ck_assert_msg(!strstr(at + 1, f), "%s: %s", files[i], kd_last_error());
        f = sentence_folder("encoder-path");
    }
    char path[700];
    snprintf(path, sizeof path, "%s/2_Dense/config.json", f);
    remove(path);
    kd_model *model = NULL;
    FAILS(kd_model_load(&model, ctx, f, NULL), KD_ERR_NOT_FOUND, "2_Dense/config.json");
    ck_assert(!strstr(strstr(kd_last_error(), f) + 1, f));
}
END_TEST

START_TEST(pooling_and_dense_files_are_checked_key_by_key)
{
    const char *f = sentence_folder("encoder-pooling");
    refused(f, "1_Pooling/config.json", "{\"pooling_mode\":\"mean_sqrt_len_tokens\"}",
            KD_ERR_UNSUPPORTED,
            "\"mean_sqrt_len_tokens\" is not cls, mean, max, lasttoken or weightedmean");
    refused(f, "1_Pooling/config.json",
            "{\"pooling_mode_cls_token\":true,\"pooling_mode_max_tokens\":true}",
            KD_ERR_UNSUPPORTED, "2 modes at once");
    refused(f, "1_Pooling/config.json", "{\"pooling_mode_mean_sqrt_len_tokens\":true}",
            KD_ERR_UNSUPPORTED, "mean_sqrt_len_tokens is not supported");
    refused(f, "1_Pooling/config.json", "{\"pooling_mode\":\"mean\",\"include_prompt\":3}",
            KD_ERR_CONFIG, "include_prompt: expected true or false");
    refused(f, "1_Pooling/config.json", "{\"pooling_mode\":\"mean\",\"weights\":[]}", KD_ERR_CONFIG,
            "\"weights\" is unknown");
    refused(f, "1_Pooling/config.json", "{}", KD_ERR_CONFIG, "no pooling mode");
    refused(f, "2_Dense/config.json", "{\"in_features\":12,\"out_features\":4}", KD_ERR_MISMATCH,
            "no tensor 'linear.weight' of shape (4, 12)");
    refused(f, "2_Dense/config.json", "{\"in_features\":13,\"out_features\":5}", KD_ERR_MISMATCH,
            "no tensor 'linear.weight' of shape (5, 13)");
    refused(f, "2_Dense/config.json",
            "{\"in_features\":12,\"out_features\":5,\"activation_function\":\"torch.nn.GELU\"}",
            KD_ERR_UNSUPPORTED, "\"torch.nn.GELU\" is not supported");
    refused(f, "2_Dense/config.json", "{\"in_features\":12,\"out_features\":5,\"bias\":false}",
            KD_ERR_MISMATCH, "expected 1 tensors, got 2");
    refused(f, "sentence_bert_config.json", "{\"do_lower_case\":true}", KD_ERR_UNSUPPORTED,
            "do_lower_case");
    refused(f, "sentence_bert_config.json", "{\"stride\":4}", KD_ERR_CONFIG, "\"stride\"");
    put(f, "2_Dense/model.safetensors", "short");
    kd_model *model;
    FAILS(kd_model_load(&model, ctx, f, NULL), KD_ERR_FORMAT, "2_Dense/model.safetensors");
}
END_TEST

START_TEST(what_modules_say_is_not_said_in_the_config_as_well)
{
    const char *f = sentence_folder("encoder-twice");
    char *config = text_of(f, "config.json"), *twice = malloc(strlen(config) + 64);
    sprintf(twice, "{\"kd_pooling\":\"cls\",%s", config + 1);
    refused(f, "config.json", twice, KD_ERR_CONFIG,
            "\"kd_pooling\" is said in modules.json as well");
    free(config), free(twice);
}
END_TEST

/* The pooling of every kind of file, and the length where newer folders have it. */
START_TEST(both_forms_of_pooling_and_of_the_length_are_read)
{
    static const char *const forms[][2] = {
        { "{\"pooling_mode\":\"cls\"}", "cls" },
        { "{\"pooling_mode\":\"lasttoken\"}", "last" },
        { "{\"pooling_mode_lasttoken\":true}", "last" },
        { "{\"pooling_mode\":\"weightedmean\"}", "weightedmean" },
        { "{\"pooling_mode_weightedmean_tokens\":true}", "weightedmean" },
        { "{\"pooling_mode_max_tokens\":true}", "max" }
    };
    const char *f = sentence_folder("encoder-forms"), *json;
    kd_model *model;
    put(f, "sentence_bert_config.json", "{\"transformer_task\":\"feature-extraction\"}");
    put(f, "tokenizer_config.json", "{\"model_max_length\":10}");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char key[40];
        put(f, "1_Pooling/config.json", forms[i][0]);
        OK(kd_model_load(&model, ctx, f, NULL));
        OK(kd_model_config(model, &json));
        snprintf(key, sizeof key, "\"kd_pooling\":\"%s\"", forms[i][1]);
        ck_assert_ptr_nonnull(strstr(json, key));
        ck_assert_ptr_nonnull(strstr(json, "\"kd_max_length\":10"));
        kd_model_free(model);
    }
}
END_TEST

Suite *encoder_folders_suite(void)
{
    Suite *suite = suite_create("encoder_folders");
    TCase *tests = tcase_create("encoder_folders");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_sentence_folder_comes_back_whole);
    tcase_add_test(tests, a_folder_without_pooling_keys_has_no_modules);
    tcase_add_test(tests, dense_layers_without_modules_are_tensors_like_others);
    tcase_add_test(tests, names_of_all_times_are_read);
    tcase_add_test(tests, a_folder_may_lack_the_pooler);
    tcase_add_test(tests, modules_that_are_not_known_are_refused_by_name);
    tcase_add_test(tests, a_path_is_said_once);
    tcase_add_test(tests, pooling_and_dense_files_are_checked_key_by_key);
    tcase_add_test(tests, what_modules_say_is_not_said_in_the_config_as_well);
    tcase_add_test(tests, both_forms_of_pooling_and_of_the_length_are_read);
    suite_add_tcase(suite, tests);
    return suite;
}
