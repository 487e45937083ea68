/* A batch in chunks gives what the batch gives: values and gradients of terms over all of it and of
 * terms of rows, dropout included. */
#include <kdistill/contrast.h>

#include "encoderkit.h"

enum { TEXTS = 9, DENSE = 5, MOST_CHUNKS = 4 };

static const int64_t lengths[TEXTS] = { 3, 5, 2, 7, 4, 1, 6, 3, 5 };
static const char config[] = BERT(SENTENCE ",\"hidden_dropout_prob\":0.2,"
                                           "\"attention_probs_dropout_prob\":0.2");

typedef struct {
    kd_batch *batch[MOST_CHUNKS];
    kd_targets *targets[MOST_CHUNKS];
    int32_t count;
} chunks;

static kd_context *ctx;

static void add_chunk(chunks *to, int64_t first, int64_t count)
{
    int64_t tokens[64], offsets[TEXTS + 1] = { 0 }, group[TEXTS], side[TEXTS], rows = 0, before = 0;
    float taught[TEXTS * DENSE], states[64 * 2];
    for (int64_t s = 0; s < first; s++) before += lengths[s];
    for (int64_t s = 0; s < count; s++) {
        for (int64_t i = 0; i < lengths[first + s]; i++, rows++) {
            tokens[rows] = ((before + rows) * 7 + 3) % 17;
            states[2 * rows] = weight_at(before + rows);
            states[2 * rows + 1] = weight_at(3 * (before + rows));
        }
        offsets[s + 1] = rows;
        group[s] = (first + s) / 4;
        side[s] = (first + s) % 2;
        for (int k = 0; k < DENSE; k++) taught[s * DENSE + k] = weight_at((first + s) * DENSE + k);
    }
    kd_array o = KD_ARRAY_1D(offsets, KD_INT64, count + 1), t = KD_ARRAY_1D(tokens, KD_INT64, rows),
             g = KD_ARRAY_1D(group, KD_INT64, count), d = KD_ARRAY_1D(side, KD_INT64, count),
             e = KD_ARRAY_2D(taught, KD_FLOAT32, count, DENSE),
             h = KD_ARRAY_2D(states, KD_FLOAT32, rows, 2);
    kd_batch **batch = &to->batch[to->count];
    kd_targets **targets = &to->targets[to->count++];
    OK(kd_batch_create(batch, ctx, NULL));
    OK(kd_batch_begin_packed(*batch, &o));
    OK(kd_batch_set(*batch, "tokens", &t, NULL));
    OK(kd_batch_set_per_sample(*batch, "group", &g, NULL));
    OK(kd_batch_set_per_sample(*batch, "side", &d, NULL));
    OK(kd_targets_create(targets, ctx, NULL));
    OK(kd_targets_begin(*targets, rows));
    OK(kd_targets_set_per_sample(*targets, "taught", &e, NULL));
    OK(kd_targets_set(*targets, "states", &h, NULL));
}

static void free_chunks(chunks *c)
{
    for (int32_t i = 0; i < c->count; i++) {
        kd_batch_free(c->batch[i]);
        kd_targets_free(c->targets[i]);
    }
}

/* Terms of the whole batch: of texts, one with a projection, and of rows; and one of each text. */
static kd_loss *make_loss(void)
{
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_pair_options pairs = KD_PAIR_OPTIONS_INIT;
    kd_projection_options p = KD_PROJECTION_OPTIONS_INIT;
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "embedding";
    OK(kd_loss_add(loss, KD_LOSS_CONTRASTIVE, 1, &o, NULL));
    pairs.group_field = "group";
    pairs.side_field = "side";
    OK(kd_loss_set_pairs(loss, 0, &pairs));
    o.teacher_field = "taught";
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 2, &o, NULL));
    o.student_output = "pooled";
    OK(kd_loss_add(loss, KD_LOSS_GRAM, 3, &o, NULL));
    p.to = 4;
    p.from = 12;
    OK(kd_loss_set_projection(loss, 2, &p));
    o.student_output = "hidden.0";
    o.teacher_field = "states";
    OK(kd_loss_add(loss, KD_LOSS_CKA, 1, &o, NULL));
    return loss;
}

static void run_whole(kd_model *model, kd_loss *loss, kd_loss_result *result)
{
    chunks c = { .count = 0 };
    add_chunk(&c, 0, TEXTS);
    OK(kd_model_forward(model, c.batch[0], KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, c.batch[0], c.targets[0], NULL, result));
    free_chunks(&c);
}

static void run_chunks(kd_model *model, kd_loss *loss, const int *cut, kd_loss_result *result)
{
    chunks c = { .count = 0 };
    for (int64_t first = 0; first < TEXTS; first += *cut++) add_chunk(&c, first, *cut);
    OK(kd_loss_backward_chunks(loss, model, c.batch, c.targets, c.count, NULL, result));
    free_chunks(&c);
}

static void check_same(const kd_array *a, const kd_array *b)
{
    const float *x = a->data, *y = b->data;
    double most = 0;
    for (int64_t i = 0; i < kd_array_count(a); i++) most = fmax(most, fabs(x[i]));
    ck_assert(most > 0);
    for (int64_t i = 0; i < kd_array_count(a); i++) NEAR(x[i], y[i], 1e-6 * most);
}

START_TEST(a_batch_in_chunks_is_the_batch)
{
    static const int cuts[][MOST_CHUNKS] = { { 4, 3, 2 }, { 9 }, { 1, 8 }, { 3, 3, 2, 1 } };
    ctx = make_context(2);
    kd_model *one = encoder_made(ctx, config, NULL), *cut = encoder_made(ctx, config, NULL);
    kd_loss *loss = make_loss(), *cut_loss = make_loss();
    for (int turn = 0; turn < 2; turn++) { /* the second pass draws other masks */
        kd_loss_result whole = { .struct_size = sizeof whole }, parts = whole;
        kd_array a, b;
        run_whole(one, loss, &whole);
        run_chunks(cut, cut_loss, cuts[_i], &parts);
        NEAR(parts.value, whole.value, 1e-6 * whole.value);
        for (int t = 0; t < 4; t++) {
            NEAR(parts.sum[t], whole.sum[t], 1e-6 * whole.sum[t]);
            ck_assert_int_eq(parts.rows[t], whole.rows[t]);
        }
        OK(kd_model_gradients(one, &a));
        OK(kd_model_gradients(cut, &b));
        check_same(&a, &b);
        OK(kd_loss_tensor_gradient(loss, 0, &a));
        OK(kd_loss_tensor_gradient(cut_loss, 0, &b));
        check_same(&a, &b);
    }
    kd_loss_free(loss);
    kd_loss_free(cut_loss);
    kd_model_free(one);
    kd_model_free(cut);
    kd_context_free(ctx);
}
END_TEST

static const char *output; /* of samples */

static void take_output(kd_model *model, kd_batch *batch, int32_t mode, float *to)
{
    kd_array v;
    OK(kd_model_forward(model, batch, mode));
    OK(kd_model_output(model, output, &v));
    memcpy(to, v.data, (size_t)kd_array_count(&v) * sizeof *to);
}

/* Embeddings drop rows of tokens, a classifier what it pooled of each text as well. */
START_TEST(what_is_rehearsed_is_what_is_trained)
{
    static const char classifier[] = BERT(CLASSES ",\"hidden_dropout_prob\":0.2");
    const int width = _i ? 3 : DENSE;
    static float rehearsed[2][TEXTS * DENSE], trained[TEXTS * DENSE], whole[TEXTS * DENSE],
        evaluated[TEXTS * DENSE];
    chunks c = { .count = 0 };
    kd_loss *loss;
    ctx = make_context(1);
    loss = make_loss();
    kd_model *model = encoder_made(ctx, _i ? classifier : config, NULL),
             *other = encoder_made(ctx, _i ? classifier : config, NULL);
    output = _i ? "logits" : "embedding";
    OK(kd_model_keep(model, "hidden.0", 1));
    add_chunk(&c, 0, 4);
    add_chunk(&c, 4, TEXTS - 4);
    add_chunk(&c, 0, TEXTS);
    for (int turn = 0; turn < 2; turn++) {
        take_output(other, c.batch[2], KD_MODE_TRAIN, whole);
        for (int i = 0; i < 2; i++) {
            take_output(model, c.batch[i], KD_MODE_REHEARSE, rehearsed[i]);
            if (!_i)
                FAILS(kd_loss_backward(loss, model, c.batch[i], c.targets[i], NULL, NULL),
                      KD_ERR_STATE, "KD_MODE_REHEARSE: no backward pass");
        }
        take_output(model, c.batch[0], KD_MODE_EVALUATE, evaluated);
        for (int i = 0; i < 2; i++) {
            const int64_t count = width * (i ? TEXTS - 4 : 4);
            take_output(model, c.batch[i], KD_MODE_TRAIN, trained);
            ck_assert(!memcmp(trained, rehearsed[i], (size_t)count * sizeof *trained));
            for (int64_t k = 0; k < count; k++)
                NEAR(trained[k], whole[k + (i ? 4 * width : 0)], 1e-6);
        }
        ck_assert(memcmp(evaluated, rehearsed[0], (size_t)(4 * width) * sizeof *evaluated));
    }
    free_chunks(&c);
    kd_loss_free(loss);
    kd_model_free(model);
    kd_model_free(other);
    kd_context_free(ctx);
}
END_TEST

START_TEST(chunks_without_rows_add_nothing)
{
    chunks c = { .count = 0 };
    kd_loss_result result = { .struct_size = sizeof result }, whole = result;
    kd_array a, b;
    ctx = make_context(1);
    kd_loss *loss = make_loss(), *other_loss = make_loss();
    kd_model *model = encoder_made(ctx, config, NULL), *other = encoder_made(ctx, config, NULL);
    add_chunk(&c, 0, 0);
    add_chunk(&c, 0, TEXTS);
    add_chunk(&c, 0, 0);
    OK(kd_loss_backward_chunks(loss, model, c.batch, c.targets, 1, NULL, &result));
    ck_assert_double_eq(result.value, 0);
    OK(kd_loss_backward_chunks(loss, model, c.batch, c.targets, 3, NULL, &result));
    run_whole(other, other_loss, &whole);
    NEAR(result.value, whole.value, 1e-6 * whole.value);
    OK(kd_model_gradients(other, &a));
    OK(kd_model_gradients(model, &b));
    check_same(&a, &b);
    free_chunks(&c);
    kd_loss_free(loss);
    kd_loss_free(other_loss);
    kd_model_free(model);
    kd_model_free(other);
    kd_context_free(ctx);
}
END_TEST

START_TEST(chunks_that_do_not_fit_are_refused)
{
    chunks c = { .count = 0 };
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_loss_result result = { .struct_size = sizeof result };
    ctx = make_context(1);
    kd_loss *loss = make_loss();
    kd_model *model = encoder_made(ctx, config, NULL);
    add_chunk(&c, 0, 4);
    add_chunk(&c, 4, 3);
    FAILS(kd_loss_backward_chunks(loss, model, c.batch, c.targets, 0, NULL, NULL), KD_ERR_RANGE,
          "chunks: expected at least 1");
    OK(kd_targets_begin(c.targets[1], 11)); /* the rows of texts 4 to 6 */
    FAILS(kd_loss_backward_chunks(loss, model, c.batch, c.targets, 2, NULL, NULL), KD_ERR_NOT_FOUND,
          "no field 'taught'");
    /* and afterwards the loss and the model are as before */
    OK(kd_loss_backward_chunks(loss, model, c.batch, c.targets, 1, NULL, &result));
    ck_assert_int_eq(result.rows[1], 4);
    kd_model_free(model);
    o.shared_gradients = 1;
    model = encoder_made(ctx, config, &o);
    FAILS(kd_loss_backward_chunks(loss, model, c.batch, c.targets, 1, NULL, NULL), KD_ERR_STATE,
          "shared (shared_gradients)");
    free_chunks(&c);
    kd_loss_free(loss);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

/* Fields of a chunk are its own, in number and in kind, whatever counts are given. */
START_TEST(fields_of_another_chunk_are_refused)
{
    chunks c = { .count = 0 };
    kd_loss_counts counts = { .struct_size = sizeof counts, .terms = 4, .rows = { 9, 9, 9, 9 } };
    ctx = make_context(1);
    kd_loss *loss = make_loss();
    kd_model *model = encoder_made(ctx, config, NULL);
    add_chunk(&c, 0, 4);
    add_chunk(&c, 4, 3);
    kd_targets *exchanged[] = { c.targets[1], c.targets[0] };
    FAILS(kd_loss_backward_chunks(loss, model, c.batch, exchanged, 2, &counts, NULL), KD_ERR_SHAPE,
          "chunk 0: field");
    free_chunks(&c);
    kd_loss_free(loss);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

/* Nothing is asked of a chunk without rows. */
START_TEST(a_chunk_without_rows_needs_no_fields)
{
    for (int place = 0; place < 2; place++) {
        chunks c = { .count = 0 };
        kd_loss_result result = { .struct_size = sizeof result };
        ctx = make_context(1);
        kd_loss *loss = make_loss();
        kd_model *model = encoder_made(ctx, config, NULL);
        add_chunk(&c, 0, place ? TEXTS : 0);
        add_chunk(&c, 0, place ? 0 : TEXTS);
        kd_targets *given[] = { place ? c.targets[0] : NULL, place ? NULL : c.targets[1] };
        OK(kd_loss_backward_chunks(loss, model, c.batch, given, 2, NULL, &result));
        ck_assert_int_eq(result.rows[1], TEXTS);
        free_chunks(&c);
        kd_loss_free(loss);
        kd_model_free(model);
        kd_context_free(ctx);
    }
}
END_TEST

/* Terms of rows alone: the passes are parts of one batch all the same. */
START_TEST(chunks_of_row_terms_draw_as_the_batch_does)
{
    chunks c = { .count = 0 };
    kd_loss_result whole = { .struct_size = sizeof whole }, parts = whole;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss *loss;
    kd_array a, b;
    ctx = make_context(1);
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "embedding";
    o.teacher_field = "taught";
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    kd_model *one = encoder_made(ctx, config, NULL), *cut = encoder_made(ctx, config, NULL);
    run_whole(one, loss, &whole);
    add_chunk(&c, 0, 4);
    add_chunk(&c, 4, TEXTS - 4);
    OK(kd_loss_backward_chunks(loss, cut, c.batch, c.targets, 2, NULL, &parts));
    NEAR(parts.value, whole.value, 1e-6);
    OK(kd_model_gradients(one, &a));
    OK(kd_model_gradients(cut, &b));
    check_same(&a, &b);
    free_chunks(&c);
    kd_loss_free(loss);
    kd_model_free(one);
    kd_model_free(cut);
    kd_context_free(ctx);
}
END_TEST

/* Given up, or by an error: the next batch begins at its first row. */
START_TEST(a_rehearsal_that_is_given_up_is_forgotten)
{
    static float rehearsed[TEXTS * DENSE], trained[TEXTS * DENSE];
    chunks c = { .count = 0 };
    kd_batch *empty;
    kd_array at = KD_ARRAY_1D(((int64_t[]){ 0, 2 }), KD_INT64, 2);
    ctx = make_context(1);
    kd_model *model = encoder_made(ctx, config, NULL);
    output = "embedding";
    add_chunk(&c, 0, 4);
    add_chunk(&c, 4, TEXTS - 4);
    OK(kd_batch_create(&empty, ctx, NULL));
    OK(kd_batch_begin_packed(empty, &at)); /* without tokens */
    for (int by_error = 0; by_error < 2; by_error++) {
        take_output(model, c.batch[0], KD_MODE_REHEARSE, rehearsed);
        if (by_error)
            FAILS(kd_model_forward(model, empty, KD_MODE_REHEARSE), KD_ERR_NOT_FOUND, "tokens");
        else OK(kd_model_end_rehearsal(model));
        take_output(model, c.batch[1], KD_MODE_REHEARSE, rehearsed);
        take_output(model, c.batch[1], KD_MODE_TRAIN, trained);
        ck_assert(!memcmp(trained, rehearsed, (TEXTS - 4) * DENSE * sizeof *trained));
    }
    kd_batch_free(empty);
    free_chunks(&c);
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

Suite *chunks_suite(void)
{
    Suite *suite = suite_create("chunks");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_batch_in_chunks_is_the_batch, 0, 4);
    tcase_add_loop_test(tests, what_is_rehearsed_is_what_is_trained, 0, 2);
    tcase_add_test(tests, chunks_without_rows_add_nothing);
    tcase_add_test(tests, chunks_that_do_not_fit_are_refused);
    tcase_add_test(tests, fields_of_another_chunk_are_refused);
    tcase_add_test(tests, a_chunk_without_rows_needs_no_fields);
    tcase_add_test(tests, chunks_of_row_terms_draw_as_the_batch_does);
    tcase_add_test(tests, a_rehearsal_that_is_given_up_is_forgotten);
    suite_add_tcase(suite, tests);
    return suite;
}
