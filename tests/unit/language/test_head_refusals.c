/* Heads for tasks that do not fit: each is refused by name, and the model is as it was. */
#include "imagekit.h"

#define HEADS(list) ",\"kd_heads\":{" list "}"

static kd_context *ctx;

static void setup(void) { ctx = make_context(1); }
static void teardown(void) { kd_context_free(ctx); }

START_TEST(what_does_not_fit_is_refused_by_name)
{
    static const struct {
        const char *json, *says;
    } bad[] = {
        { "{}", "kd_heads: x: config: the key \"num_labels\" is missing" },
        { "{\"num_labels\":0}", "num_labels" },
        { "{\"num_labels\":2,\"size\":3}", "the key \"size\" is unknown" },
        { "{\"num_labels\":2,\"from\":\"hidden.7\"}", "hidden.0 .. hidden.1" },
        { "{\"num_labels\":2,\"from\":\"attention.0.key\"}", "not 'attention.0.key'" },
        { "{\"num_labels\":2,\"level\":\"token\"}", "expected row or sample, got \"token\"" },
        { "{\"num_labels\":2,\"pooling\":\"best\"}", "last or weightedmean" },
        { "{\"num_labels\":2,\"level\":\"row\",\"pooling\":\"cls\"}", "leave the key out" },
        { "{\"num_labels\":2,\"from\":\"pooled\",\"level\":\"row\"}", "expected sample, got row" },
        { "{\"num_labels\":2,\"from\":\"pooled\",\"pooling\":\"cls\"}",
          "one row a sample already" },
        { "{\"num_labels\":2,\"dropout\":1}", "dropout: expected 0 to below 1" },
        { "{\"num_labels\":2,\"activation\":\"swish\"}", "activation" },
        { "{\"num_labels\":2,\"bias\":1}", "bias: expected true or false" },
        { "{\"num_labels\":2,\"hidden_size\":-1}", "hidden_size" },
        { "{\"num_labels\":2,\"initializer_range\":-1}", "initializer_range" },
        { "[]", "expected an object" },
    };
    kd_model *model = encoder_made(ctx, BERT(SENTENCE), NULL);
    char config[900];
    kd_model *made;
    kd_array a;
    OK(kd_model_parameters(model, &a));
    const int64_t before = a.dims[0];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *says = bad[i].says;
        FAILS(kd_model_add_head(model, "x", bad[i].json), KD_ERR_CONFIG, says);
        snprintf(config, sizeof config, BERT(SENTENCE ",\"kd_heads\":{\"x\":%s}"), bad[i].json);
        FAILS(kd_model_create(&made, ctx, config, NULL), KD_ERR_CONFIG, says);
    }
    FAILS(kd_model_add_head(model, "", "{\"num_labels\":2}"), KD_ERR_CONFIG, "a head's name");
    FAILS(kd_model_add_head(model, "a.b", "{\"num_labels\":2}"), KD_ERR_CONFIG, "a head's name");
    FAILS(kd_model_add_head(model, "x", "{\"num_labels\":"), KD_ERR_FORMAT, "kd_model_add_head");
    OK(kd_model_parameters(model, &a));
    ck_assert_int_eq(a.dims[0], before);
    FAILS(kd_model_create(&made, ctx, BERT(",\"kd_heads\":[]"), NULL), KD_ERR_CONFIG,
          "expected an object of heads");
    FAILS(kd_model_create(&made, ctx,
                          BERT(",\"kd_heads\":{\"x\":{\"num_labels\":2},\"x\":{\"num_labels\":2}}"),
                          NULL),
          KD_ERR_FORMAT, "appears twice");
    FAILS(
        kd_model_create(&made, ctx, VIT(HEADS("\"x\":{\"num_labels\":2,\"level\":\"row\"}")), NULL),
        KD_ERR_CONFIG, "expected sample, got row");
    FAILS(kd_model_create(&made, ctx, DEIT(TWO_HEADS HEADS("\"class\":{\"num_labels\":2}")), NULL),
          KD_ERR_CONFIG, "an output 'logits.class' already");
    FAILS(kd_model_create(&made, ctx,
                          "{\"model_type\":\"static_embedding\",\"vocab_size\":9,\"hidden_size\":4,"
                          "\"kd_heads\":{\"x\":{\"num_labels\":2}}}",
                          NULL),
          KD_ERR_UNSUPPORTED, "takes no heads");
    FAILS(kd_model_create(&made, ctx,
                          "{\"model_type\":\"mlp\",\"input_size\":5,\"num_labels\":2,"
                          "\"kd_heads\":{\"x\":{\"num_labels\":2}}}",
                          NULL),
          KD_ERR_CONFIG, "no hidden output");
    kd_model_free(model);
}
END_TEST

Suite *head_refusals_suite(void)
{
    Suite *suite = suite_create("head_refusals");
    TCase *tests = tcase_create("head_refusals");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_does_not_fit_is_refused_by_name);
    suite_add_tcase(suite, tests);
    return suite;
}
