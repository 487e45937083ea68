/* Backward passes of models with frozen parts: they end at the lowest layer that is trained, and
 * what is trained has the gradients of a pass that goes all the way. */
#include "encoderkit.h"

#define LLAMA(more)                                                                                \
    "{\"model_type\":\"llama\",\"vocab_size\":17,\"hidden_size\":12,\"num_hidden_layers\":4,"      \
    "\"num_attention_heads\":3,\"num_key_value_heads\":1,\"head_dim\":4,"                          \
    "\"intermediate_size\":20,\"max_position_embeddings\":16,\"initializer_range\":0.3" more "}"
#define QWEN3                                                                                      \
    "{\"model_type\":\"qwen3\",\"vocab_size\":17,\"hidden_size\":12,\"num_hidden_layers\":4,"      \
    "\"num_attention_heads\":2,\"num_key_value_heads\":1,\"head_dim\":4,"                          \
    "\"intermediate_size\":20,\"max_position_embeddings\":16,\"initializer_range\":0.3}"
#define MODERN                                                                                     \
    "{\"model_type\":\"modernbert\",\"vocab_size\":17,\"hidden_size\":12,"                         \
    "\"num_hidden_layers\":4,\"num_attention_heads\":3,\"intermediate_size\":20,"                  \
    "\"max_position_embeddings\":16,\"initializer_range\":0.3,\"pad_token_id\":0,"                 \
    "\"global_attn_every_n_layers\":2,\"local_attention\":4}"

static kd_context *ctx;
static kd_batch *batch;
static int layers_passed; /* by backward passes */

static int32_t count_layers(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)user, (void)done, (void)total;
    layers_passed += !strcmp(stage, "backward");
    return 0;
}

static void setup(void)
{
    static const kd_progress progress = { .struct_size = sizeof progress,
                                          .progress = count_layers };
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    o.threads = 2;
    o.seed = 7;
    o.progress = &progress;
    OK(kd_context_create(&ctx, &o));
    OK(kd_context_set_blas_threads(ctx, 1));
    batch = encoder_batch(ctx);
}

static void teardown(void)
{
    kd_batch_free(batch);
    kd_context_free(ctx);
}

/* Passes with this output's gradient; layers that the last one went through. */
static int passed(kd_model *model, const char *output, int passes)
{
    for (int i = 0; i < passes; i++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        push_back(model, output);
        layers_passed = 0;
        OK(kd_model_backward(model));
    }
    return layers_passed;
}

/* Patterns with commas between them; a leading "!" trains what it matches. */
static void freeze(kd_model *model, const char *patterns)
{
    char copy[400], *rest = copy;
    snprintf(copy, sizeof copy, "%s", patterns);
    for (char *p; (p = strsep(&rest, ",")) != NULL;)
        OK(kd_model_freeze(model, p + (*p == '!'), *p != '!'));
}

/* Trained tensors have the free model's gradients, frozen ones 0. trained: by tensor. */
static void compare(kd_model *model, kd_model *free_one, const uint8_t *trained, const char *what)
{
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array g, f;
        OK(kd_model_tensor(model, i, &name, NULL));
        OK(kd_model_tensor_gradient(model, i, &g));
        OK(kd_model_tensor_gradient(free_one, i, &f));
        for (int64_t j = 0; j < kd_array_count(&g); j++)
            ck_assert_msg(((float *)g.data)[j] == (trained[i] ? ((float *)f.data)[j] : 0),
                          "%s: %s: %g, %g", what, name, ((float *)g.data)[j], ((float *)f.data)[j]);
    }
}

/* Which tensors are trained is found with an optimizer: a step of weight decay changes them. */
static void find_trained(kd_model *model, uint8_t *trained)
{
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    kd_optimizer *optimizer;
    int32_t count;
    kd_array v;
    o.weight_decay = 0.5;
    OK(kd_model_parameters(model, &v));
    const size_t bytes = (size_t)kd_array_count(&v) * sizeof(float);
    float *kept = malloc(bytes);
    memcpy(kept, v.data, bytes);
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, &o));
    OK(kd_optimizer_add_model(optimizer, model));
    OK(kd_model_tensor_count(model, &count));
    ck_assert_int_le(count, 100);
    for (int32_t i = 0; i < count; i++) {
        OK(kd_model_tensor(model, i, NULL, &v));
        *(float *)v.data = 1;
    }
    OK(kd_optimizer_step(optimizer, 0.1));
    for (int32_t i = 0; i < count; i++) {
        OK(kd_model_tensor(model, i, NULL, &v));
        trained[i] = *(float *)v.data != 1;
    }
    OK(kd_model_parameters(model, &v));
    memcpy(v.data, kept, bytes);
    free(kept);
    kd_optimizer_free(optimizer);
}

typedef struct {
    const char *config, *output, *frozen;
    int layers; /* that the backward pass goes through */
} some;

static const some cases[] = {
    { LLAMA(""), "logits", "model.embed_tokens.*,model.layers.0.*,model.layers.1.*", 2 },
    { LLAMA(""), "logits", "*,!model.layers.2.mlp.*,!*norm.weight,model.layers.0.*norm*", 3 },
    { LLAMA(""), "logits", "*,!model.layers.2.mlp.down_proj.weight", 2 },
    { LLAMA(""), "logits", "*,!model.layers.2.post_attention_layernorm.weight", 2 },
    { LLAMA(""), "logits", "*,!model.layers.2.input_layernorm.weight,!lm_head.weight", 2 },
    { LLAMA(""), "logits", "*,!model.layers.1.self_attn.k_proj.weight", 3 },
    { LLAMA(""), "logits", "*,!lm_head.weight", 0 },
    { LLAMA(""), "logits", "*,!model.norm.weight", 0 },
    { LLAMA(""), "hidden.2", "*,!model.layers.1.*", 3 },
    { LLAMA(""), "logits", "*,!model.embed_tokens.weight", 4 },
    { LLAMA(",\"tie_word_embeddings\":true"), "logits", "model.layers.*", 4 },
    { LLAMA(",\"tie_word_embeddings\":true"), "logits", "*,!model.layers.3.*", 1 },
    { LLAMA(",\"kd_layer_repeats\":2"), "logits", "*,!model.layers.1.*", 2 },
    { LLAMA(",\"kd_layer_repeats\":2,\"kd_layer_sharing\":\"stack\""), "logits",
      "*,!model.layers.1.*", 3 },
    { LLAMA(",\"kd_embedding_size\":8,\"tie_word_embeddings\":true"), "logits",
      "*,!model.layers.2.*", 2 },
    { QWEN3, "logits", "*,!model.layers.2.self_attn.q_norm.weight", 2 },
    { BERT(NO_DROPOUT), "hidden", "*embeddings*,*layer.0.*", 1 },
    { BERT(NO_DROPOUT), "hidden", "*,!*layer.1.output.*", 1 },
    { BERT(NO_DROPOUT), "hidden", "*,!*layer.0.output.dense.bias", 2 },
    { BERT(NO_DROPOUT SENTENCE), "embedding", "*,!dense.*", 0 },
    { BERT(NO_DROPOUT), "hidden", "*,!*embeddings.LayerNorm.bias", 2 },
    { MODERN, "hidden", "*,!*layers.2.*", 2 },
    { MODERN, "hidden", "*,!*layers.0.attn.Wqkv.weight", 4 },
};

START_TEST(the_pass_ends_at_the_lowest_layer_that_is_trained)
{
    const some *c = &cases[_i];
    for (int recompute = 0; recompute < 2; recompute++) {
        kd_model_options o = KD_MODEL_OPTIONS_INIT;
        uint8_t trained[100];
        char what[40];
        o.recompute = recompute;
        kd_model *model = encoder_made(ctx, c->config, &o),
                 *free_one = encoder_made(ctx, c->config, &o);
        snprintf(what, sizeof what, "case %d", _i);
        passed(model, c->output, 1); /* old gradients everywhere */
        freeze(model, c->frozen);
        find_trained(model, trained);
        for (int passes = 1; passes <= 2; passes++) { /* overwritten, then added to */
            const int layers = passed(model, c->output, 1);
            ck_assert_msg(layers == c->layers, "%s: %d layers", what, layers);
            passed(free_one, c->output, 1);
            compare(model, free_one, trained, what);
        }
        OK(kd_model_zero_gradients(model));
        OK(kd_model_zero_gradients(free_one));
        OK(kd_model_freeze(model, "*", 0)); /* and all the way again */
        memset(trained, 1, sizeof trained);
        passed(model, c->output, 1);
        passed(free_one, c->output, 1);
        compare(model, free_one, trained, what);
        kd_model_free(free_one);
        kd_model_free(model);
    }
}
END_TEST

/* Below the lowest adapter nothing is trained either. */
START_TEST(the_pass_ends_at_the_lowest_adapter)
{
    kd_model *model = encoder_made(ctx, LLAMA(""), NULL),
             *deeper = encoder_made(ctx, LLAMA(""), NULL);
    uint8_t trained[100];
    int32_t count;
    OK(kd_model_add_lora(model, "*layers.2.*_proj.weight", NULL));
    OK(kd_model_add_lora(deeper, "*layers.2.*_proj.weight", NULL));
    OK(kd_model_freeze(deeper, "model.embed_tokens.weight", 0));
    ck_assert_int_eq(passed(model, "logits", 1), 2);
    ck_assert_int_eq(passed(deeper, "logits", 1), 4);
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        OK(kd_model_tensor(model, i, &name, NULL));
        trained[i] = strstr(name, "lora_") || (strstr(name, "layers.2.") && strstr(name, "_proj"));
    }
    compare(model, deeper, trained, "adapters");
    kd_model_free(deeper);
    kd_model_free(model);
}
END_TEST

/* A step that was begun hears of every layer; the bits are those of a step afterward. */
START_TEST(a_begun_step_goes_on_below_the_lowest_layer)
{
    static const int shares[] = { 0, 0, 1 };
    kd_array p[3];
    kd_model *models[3];
    for (int i = 0; i < 3; i++) {
        kd_model_options o = KD_MODEL_OPTIONS_INIT;
        kd_optimizer_options adam = KD_OPTIMIZER_OPTIONS_INIT;
        kd_optimizer *optimizer;
        o.shared_gradients = shares[i];
        models[i] = encoder_made(ctx, LLAMA(""), &o);
        OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, &adam));
        OK(kd_optimizer_add_model(optimizer, models[i]));
        freeze(models[i], "model.embed_tokens.*,model.layers.0.*,model.layers.1.*");
        for (int step = 0; step < 3; step++) {
            if (i) OK(kd_optimizer_begin_step(optimizer, 0.01));
            ck_assert_int_eq(passed(models[i], "logits", 1), 2);
            OK(kd_optimizer_step(optimizer, 0.01));
        }
        OK(kd_model_parameters(models[i], &p[i]));
        if (i) ck_assert_mem_eq(p[0].data, p[i].data, (size_t)p[0].dims[0] * sizeof(float));
        kd_optimizer_free(optimizer);
    }
    for (int i = 0; i < 3; i++) kd_model_free(models[i]);
}
END_TEST

/* Of a tower parts may be frozen, too, and of an embedding its table. */
START_TEST(parts_of_networks_of_other_engines_are_frozen)
{
    static const some others[] = {
        { "{\"model_type\":\"static_embedding\",\"vocab_size\":17,\"hidden_size\":6,"
          "\"num_labels\":3}",
          "logits", "embedding.weight", 0 },
        { "{\"model_type\":\"towers\",\"projection_dim\":5,\"towers\":{\"a\":" LLAMA(
              "") ","
                  "\"b\":" LLAMA("") "}}",
          "embedding.a", "towers.a.model.embed_tokens.*,towers.a.model.layers.0.*", 3 },
    };
    for (int k = 0; k < 2; k++) {
        kd_model *model = encoder_made(ctx, others[k].config, NULL),
                 *free_one = encoder_made(ctx, others[k].config, NULL);
        uint8_t trained[100];
        passed(model, others[k].output, 1);
        freeze(model, others[k].frozen);
        find_trained(model, trained);
        ck_assert_int_eq(passed(model, others[k].output, 1), others[k].layers);
        passed(free_one, others[k].output, 1);
        compare(model, free_one, trained, others[k].output);
        kd_model_free(free_one);
        kd_model_free(model);
    }
}
END_TEST

Suite *frozen_suite(void)
{
    Suite *suite = suite_create("frozen");
    TCase *tests = tcase_create("frozen");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, the_pass_ends_at_the_lowest_layer_that_is_trained, 0,
                        sizeof cases / sizeof *cases);
    tcase_add_test(tests, the_pass_ends_at_the_lowest_adapter);
    tcase_add_test(tests, a_begun_step_goes_on_below_the_lowest_layer);
    tcase_add_test(tests, parts_of_networks_of_other_engines_are_frozen);
    suite_add_tcase(suite, tests);
    return suite;
}
