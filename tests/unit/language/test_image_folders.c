/* Folders of transformers over patches: names of files and of modules, what a trunk was trained
 * with, folders that lie. Parity with transformers is in tests/property/image_models.py. */
#include "imagekit.h"

static kd_context *ctx;
static kd_batch *batch;
static void setup(void)
{
    ctx = make_context(2);
    batch = image_batch(ctx);
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

static void put(const char *folder, const char *text)
{
    char path[700];
    snprintf(path, sizeof path, "%s/config.json", folder);
    write_file(path, text, strlen(text));
}

/* Every place in a safetensors header where `from` stands. */
static int rename_in(const char *folder, const char *from, const char *to)
{
    char path[700];
    size_t size;
    int found = 0;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    char *bytes = read_whole(path, &size), *made = malloc(3 * size + 4096);
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
        found++;
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
    return found;
}

static void check_round(const char *config, const char *output, const char *name)
{
    const char *folder = scratch_path(name);
    kd_model *model = encoder_made(ctx, config, NULL), *again;
    OK(kd_model_save(model, folder, NULL));
    OK(kd_model_load(&again, ctx, folder, NULL));
    ck_assert(sum_of(model, output) == sum_of(again, output));
    kd_model_free(again);
    kd_model_free(model);
}

START_TEST(a_folder_comes_back_whole)
{
    check_round(VIT(VIT_CLASSES), "logits", "image-vit");
    check_round(VIT(""), "pooled", "image-vit-plain");
    check_round(VIT(",\"kd_pooling\":\"mean\",\"kd_dense\":[{\"out_features\":5}]"), "embedding",
                "image-vit-dense");
    check_round(DEIT(TWO_HEADS), "logits", "image-deit");
    check_round(DEIT(HEAD("DeiTForImageClassification")), "logits", "image-deit-one");
    check_round(AST(AST_CLASSES), "logits", "image-ast");
    check_round(AST(""), "pooled", "image-ast-plain");
}
END_TEST

/* A model's names are those of its folder, but for a prefix that would not fit. */
START_TEST(names_of_files_and_of_modules_are_read)
{
    static const char *const pairs[][2] = { { "vit.encoder.layer.", "vit.layers." },
                                            { "attention.attention.query", "attention.q_proj" },
                                            { "attention.attention.key", "attention.k_proj" },
                                            { "attention.attention.value", "attention.v_proj" },
                                            { "attention.output.dense", "attention.o_proj" },
                                            { "intermediate.dense", "mlp.fc1" },
                                            { "output.dense", "mlp.fc2" } };
    const char *folder = scratch_path("image-names");
    kd_model *model = encoder_made(ctx, VIT(VIT_CLASSES), NULL), *again;
    OK(kd_model_save(model, folder, NULL));
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        ck_assert_int_gt(rename_in(folder, pairs[i][0], pairs[i][1]), 0);
    for (int bare = 0; bare < 2; bare++) {
        OK(kd_model_load(&again, ctx, folder, NULL));
        ck_assert(sum_of(model, "logits") == sum_of(again, "logits"));
        kd_model_free(again);
        if (!bare) ck_assert_int_gt(rename_in(folder, "\"vit.", "\""), 0);
    }
    rename_in(folder, "attention.q_proj.bias", "attention.x_proj.bias");
    FAILS(kd_model_load(&again, ctx, folder, NULL), KD_ERR_MISMATCH,
          "no tensor 'vit.encoder.layer.0.attention.attention.query.bias'");
    kd_model_free(model);
    model = encoder_made(ctx, AST(AST_CLASSES), NULL);
    OK(kd_model_save(model, folder, NULL));
    const int tensors = 1 + 4 + 2 * 16 + 2;
    ck_assert_int_eq(rename_in(folder, "\"audio_spectrogram_transformer.", "\""), tensors);
    OK(kd_model_load(&again, ctx, folder, NULL));
    ck_assert(sum_of(model, "logits") == sum_of(again, "logits"));
    kd_model_free(again);
    kd_model_free(model);
}
END_TEST

/* Poolers that a folder lacks are not missed, and those that it has are kept; a head's model needs
 * none. */
START_TEST(a_pooler_may_be_there_or_not)
{
    const char *folder = scratch_path("image-pooler"), *json;
    kd_model *model = encoder_made(ctx, DEIT(",\"kd_pooler\":false"), NULL), *again;
    OK(kd_model_save(model, folder, NULL));
    put(folder, DEIT(""));
    OK(kd_model_load(&again, ctx, folder, NULL));
    ck_assert(sum_of(model, "hidden") == sum_of(again, "hidden"));
    OK(kd_model_config(again, &json));
    ck_assert_ptr_nonnull(strstr(json, "\"kd_pooler\":false"));
    kd_model_free(again);
    kd_model_free(model);
    model = encoder_made(ctx, DEIT(",\"pooler_output_size\":7"), NULL);
    OK(kd_model_save(model, folder, NULL));
    OK(kd_model_load(&again, ctx, folder, NULL));
    OK(kd_model_config(again, &json));
    ck_assert_ptr_null(strstr(json, "kd_pooler"));
    kd_model_free(again);
    kd_model_free(model);
}
END_TEST

/* DeiT's second token, renamed to that of images with holes, which ViT's trunk was trained with:
 * five patches and a token have as many positions as four and two. */
START_TEST(what_belongs_to_another_task_is_left_out_and_the_rest_is_named)
{
    const char *folder = scratch_path("image-other");
    kd_model *model = encoder_made(ctx, DEIT(""), NULL), *again;
    OK(kd_model_save(model, folder, NULL));
    put(folder, PATCHES("vit", ",\"image_size\":[3,20],\"patch_size\":[3,4],\"num_channels\":2"));
    FAILS(kd_model_load(&again, ctx, folder, NULL), KD_ERR_MISMATCH,
          "tensor 'embeddings.distillation_token' of the weights has no place");
    rename_in(folder, "embeddings.distillation_token", "embeddings.mask_token");
    OK(kd_model_load(&again, ctx, folder, NULL));
    kd_model_free(again);
    put(folder, VIT(""));
    FAILS(kd_model_load(&again, ctx, folder, NULL), KD_ERR_SHAPE, "position_embeddings");
    kd_model_free(model);
}
END_TEST

Suite *image_folders_suite(void)
{
    Suite *suite = suite_create("image_folders");
    TCase *tests = tcase_create("image_folders");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_folder_comes_back_whole);
    tcase_add_test(tests, names_of_files_and_of_modules_are_read);
    tcase_add_test(tests, a_pooler_may_be_there_or_not);
    tcase_add_test(tests, what_belongs_to_another_task_is_left_out_and_the_rest_is_named);
    suite_add_tcase(suite, tests);
    return suite;
}
