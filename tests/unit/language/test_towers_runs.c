/* Runs of towers: frozen ones, modalities that training drops, folders, checkpoints, towers out of
 * models, chunks, threads, memory, transformers as towers, what is refused. */
#include "towerkit.h"

static kd_context *ctx;
static tower_batch all;

static const int some_lack[2 * PAIRS] = { 0,        NO_IMAGE, NO_TEXT | NO_SOUND, NO_SOUND, 0,
                                          NO_TEXT,  0,        NO_IMAGE,           0,        0,
                                          NO_SOUND, NO_TEXT };

static void setup(void)
{
    ctx = make_context(2);
    memset(&all, 0, sizeof all);
    fill_towers(&all, ctx, 0, PAIRS, some_lack);
}

static void teardown(void)
{
    kd_batch_free(all.batch);
    kd_context_free(ctx);
}

static kd_model *made(const char *config)
{
    kd_model *model;
    OK(kd_model_create(&model, ctx, config, NULL));
    return model;
}

#define FUSED                                                                                      \
    ",\"fusion\":{\"type\":\"concat\",\"drop\":{\"sound\":0.4,\"text\":0.4,\"image\":0.4}}"
#define RUN TOWERS(SCALED UNIT_LENGTH THREE FUSED)

static const char *const outputs[] = { "embedding.image", "embedding.text", "embedding.sound",
                                       "fused" };

/* Fixed gradients of all embeddings and of what they are fused to. */
static void train(kd_model *model, kd_batch *batch)
{
    static float by[2 * PAIRS * JOINED];
    for (int i = 0; i < 2 * PAIRS * JOINED; i++) by[i] = number_at(5 * i);
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    for (int n = 0; n < 4; n++) {
        kd_array g;
        OK(kd_model_output(model, outputs[n], &g));
        g.data = by;
        OK(kd_model_add_output_gradient(model, outputs[n], &g));
    }
    OK(kd_model_backward(model));
}

static void check_same_parameters(kd_model *a, kd_model *b)
{
    kd_array p, q;
    OK(kd_model_parameters(a, &p));
    OK(kd_model_parameters(b, &q));
    ck_assert_int_eq(p.dims[0], q.dims[0]);
    ck_assert_mem_eq(p.data, q.data, (size_t)p.dims[0] * sizeof(float));
}

static void check_same_outputs(kd_model *a, kd_model *b)
{
    OK(kd_model_forward(a, all.batch, KD_MODE_EVALUATE));
    OK(kd_model_forward(b, all.batch, KD_MODE_EVALUATE));
    for (int n = 0; n < 4; n++) {
        kd_array x, y;
        OK(kd_model_output(a, outputs[n], &x));
        OK(kd_model_output(b, outputs[n], &y));
        ck_assert_mem_eq(x.data, y.data, (size_t)kd_array_count(&x) * sizeof(float));
    }
}

/* ---- frozen towers ---- */

START_TEST(a_frozen_tower_keeps_its_weights_and_the_others_learn_as_if_alone)
{
    kd_model *model = made(RUN), *free_one = made(RUN);
    kd_optimizer *optimizer;
    kd_array p;
    int32_t index;
    float before[44], image[8];
    OK(kd_model_freeze(model, "towers.text.*", 1));
    memcpy(before, tensor_named(model, "towers.text.embedding.weight", &index).data, sizeof before);
    memcpy(image, tensor_named(model, "towers.image.layers.0.weight", &index).data, sizeof image);
    train(model, all.batch);
    train(free_one, all.batch);
    ck_assert(largest_gradient(model, "towers.text.embedding.weight") == 0);
    ck_assert(largest_gradient(free_one, "towers.text.embedding.weight") > 0);
    NEAR(largest_gradient(model, "projection.text.weight"),
         largest_gradient(free_one, "projection.text.weight"), 0);
    NEAR(largest_gradient(model, "towers.image.layers.0.weight"),
         largest_gradient(free_one, "towers.image.layers.0.weight"), 0);
    OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
    FAILS(kd_model_output(model, "text.pooled", &p), KD_ERR_NOT_FOUND, "frozen");
    OK(kd_model_keep(model, "text.pooled", 1));
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    OK(kd_optimizer_step(optimizer, 0.1));
    OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
    OK(kd_model_output_present(model, "text.pooled", &p));
    train(model, all.batch);
    OK(kd_optimizer_step(optimizer, 0.1));
    p = tensor_named(model, "towers.text.embedding.weight", &index);
    ck_assert_mem_eq(before, p.data, sizeof before);
    p = tensor_named(model, "towers.image.layers.0.weight", &index);
    ck_assert(memcmp(image, p.data, sizeof image) != 0);
    kd_optimizer_free(optimizer);
    kd_model_free(free_one);
    kd_model_free(model);
}
END_TEST

/* One that was trained before has no gradient left over. */
START_TEST(a_tower_that_is_frozen_later_has_no_old_gradient)
{
    kd_model *model = made(RUN);
    kd_optimizer *optimizer;
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    train(model, all.batch);
    ck_assert(largest_gradient(model, "towers.sound.layers.0.weight") > 0);
    OK(kd_optimizer_step(optimizer, 0));
    OK(kd_model_freeze(model, "towers.sound.*", 1));
    train(model, all.batch);
    ck_assert(largest_gradient(model, "towers.sound.layers.0.weight") == 0);
    OK(kd_optimizer_step(optimizer, 0));
    OK(kd_model_freeze(model, "towers.sound.*", 0));
    train(model, all.batch);
    ck_assert(largest_gradient(model, "towers.sound.layers.0.weight") > 0);
    kd_optimizer_free(optimizer);
    kd_model_free(model);
}
END_TEST

/* Which rows have a gradient is told by the gradients, or by the towers: the same steps, lazy or
 * not, also where a tower had nothing to do in a pass. */
START_TEST(rows_that_towers_touch_are_all_that_a_lazy_step_changes)
{
    static const int lacks[][PAIRS] = { { 0 },
                                        { NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT },
                                        { NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT },
                                        { 0, NO_TEXT, NO_IMAGE, 0, NO_TEXT, NO_TEXT } };
    kd_model *models[3];
    kd_optimizer *optimizers[3];
    kd_group_options lazy = KD_GROUP_OPTIONS_INIT;
    lazy.lazy = 1;
    for (int i = 0; i < 3; i++) {
        models[i] = made(RUN);
        OK(kd_optimizer_create(&optimizers[i], ctx, KD_OPTIMIZER_SGD, NULL));
        OK(kd_optimizer_add_model(optimizers[i], models[i]));
        if (i == 1) OK(kd_optimizer_add_group(optimizers[i], "towers.text.*", &lazy));
    }
    for (int step = 0; step < 8; step++) {
        fill_towers(&all, ctx, 0, PAIRS, lacks[step % 4]);
        for (int i = 0; i < 3; i++) {
            kd_array view;
            train(models[i], all.batch);
            if (i == 2) OK(kd_model_gradients(models[i], &view)); /* any row may have changed */
            OK(kd_optimizer_step(optimizers[i], 0.1));
        }
    }
    check_same_parameters(models[0], models[1]);
    check_same_parameters(models[0], models[2]);
    for (int i = 0; i < 3; i++) {
        kd_optimizer_free(optimizers[i]);
        kd_model_free(models[i]);
    }
}
END_TEST

/* A cached frozen tower: its vectors are constants of the targets, the term is the same. */
START_TEST(cached_vectors_of_a_frozen_tower_stand_in_for_it)
{
    kd_model *model = made(TOWERS(UNIT_LENGTH TWO));
    kd_loss *live, *cached;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_pair_options pairs = KD_PAIR_OPTIONS_INIT;
    kd_targets *targets;
    kd_loss_result a = { .struct_size = sizeof a }, b = a;
    kd_array texts, present, g;
    float vectors[PAIRS * JOINED], gradient[44];
    int32_t index;
    OK(kd_model_freeze(model, "*.text.*", 1));
    OK(kd_loss_create(&live, ctx, NULL));
    OK(kd_loss_create(&cached, ctx, NULL));
    o.student_output = "embedding.image";
    pairs.other_output = "embedding.text";
    OK(kd_loss_add(live, KD_LOSS_CONTRASTIVE, 1, &o, NULL));
    OK(kd_loss_set_pairs(live, 0, &pairs));
    pairs.other_output = "teacher:text";
    OK(kd_loss_add(cached, KD_LOSS_CONTRASTIVE, 1, &o, NULL));
    OK(kd_loss_set_pairs(cached, 0, &pairs));
    OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
    memcpy(vectors, output_of(model, "embedding.text", &texts), sizeof vectors);
    OK(kd_model_output_present(model, "embedding.text", &present));
    texts.data = vectors;
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_targets_begin(targets, PAIRS));
    OK(kd_targets_set(targets, "text", &texts, &present));
    OK(kd_loss_backward(live, model, all.batch, NULL, NULL, &a));
    tensor_named(model, "towers.image.layers.0.weight", &index);
    OK(kd_model_tensor_gradient(model, index, &g));
    memcpy(gradient, g.data, sizeof gradient);
    OK(kd_model_zero_gradients(model));
    OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(cached, model, all.batch, targets, NULL, &b));
    ck_assert_int_eq(a.rows[0], 3);
    ck_assert_int_eq(b.rows[0], 3);
    NEAR(a.value, b.value, 1e-6);
    ck_assert(a.value > 0.1);
    for (int i = 0; i < 44; i++) NEAR(gradient[i], ((float *)g.data)[i], 1e-6);
    kd_targets_free(targets);
    kd_loss_free(cached);
    kd_loss_free(live);
    kd_model_free(model);
}
END_TEST

/* ---- modalities that training drops ---- */

/* The same sample drops the same modalities, whoever stands beside it and wherever. */
START_TEST(what_a_sample_drops_does_not_depend_on_its_batch)
{
    enum { DROP_PASSES = 12 };
    kd_model *model = made(RUN), *alone = made(RUN);
    uint64_t keys[2 * PAIRS];
    int differs = 0;
    for (int i = 0; i < 2 * PAIRS; i++) keys[i] = (uint64_t)(i * 7 + 1);
    tower_batch one = { 0 };
    const kd_array of_all = KD_ARRAY_2D(keys, KD_UINT64, PAIRS, 2);
    OK(kd_batch_set_samples(all.batch, NULL, &of_all, NULL));
    for (int pass = 0; pass < DROP_PASSES; pass++) {
        const int64_t s = pass % PAIRS;
        const kd_array of_one = KD_ARRAY_2D(keys + 2 * s, KD_UINT64, 1, 2);
        kd_array x, y, plain;
        fill_towers(&one, ctx, s, 1, some_lack);
        OK(kd_batch_set_samples(one.batch, NULL, &of_one, NULL));
        OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
        OK(kd_model_forward(alone, one.batch, KD_MODE_TRAIN));
        const float *a = output_of(model, "fused", &x) + s * JOINED;
        const float *b = output_of(alone, "fused", &y);
        for (int i = 0; i < JOINED; i++) NEAR(a[i], b[i], 1e-5);
        float kept[JOINED];
        memcpy(kept, b, sizeof kept);
        OK(kd_model_forward(alone, one.batch, KD_MODE_EVALUATE));
        differs += memcmp(kept, output_of(alone, "fused", &plain), sizeof kept) != 0;
    }
    ck_assert_int_gt(differs, 2);
    ck_assert_int_lt(differs, DROP_PASSES);
    kd_batch_free(one.batch);
    kd_model_free(alone);
    kd_model_free(model);
}
END_TEST

/* Shares near 1: one modality is left, so that a mean of what is there is never 0. */
START_TEST(never_all_modalities_are_dropped)
{
    kd_model *model = made(TOWERS(UNIT_LENGTH THREE ",\"fusion\":{\"type\":\"mean\",\"missing\":"
                                                    "\"mean\",\"drop\":{\"image\":1,\"text\":0.99,"
                                                    "\"sound\":0.99}}"));
    kd_array out;
    for (int pass = 0; pass < 20; pass++) {
        OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
        const float *fused = output_of(model, "fused", &out);
        for (int s = 0; s < PAIRS; s++) {
            double size = 0;
            for (int i = 0; i < JOINED; i++)
                size += (double)fused[s * JOINED + i] * fused[s * JOINED + i];
            ck_assert(size > 0.05);
        }
    }
    kd_model_free(model);
}
END_TEST

/* ---- folders and checkpoints ---- */

START_TEST(a_folder_and_a_checkpoint_give_the_same_bits)
{
    kd_model *model = made(RUN), *loaded, *restored = made(RUN);
    kd_optimizer *one, *other;
    kd_checkpoint *saves, *loads;
    const char *folder = scratch_path("towers"), *path = scratch_path("towers.kdc");
    OK(kd_optimizer_create(&one, ctx, KD_OPTIMIZER_ADAMW, NULL));
    OK(kd_optimizer_add_model(one, model));
    train(model, all.batch);
    OK(kd_optimizer_step(one, 0.01));
    OK(kd_model_save(model, folder, NULL));
    OK(kd_model_load(&loaded, ctx, folder, NULL));
    check_same_parameters(model, loaded);
    check_same_outputs(model, loaded);
    OK(kd_checkpoint_create(&saves, ctx, NULL));
    OK(kd_checkpoint_add_model(saves, "student", model));
    OK(kd_checkpoint_add_optimizer(saves, "optimizer", one));
    OK(kd_checkpoint_save(saves, path));
    OK(kd_optimizer_create(&other, ctx, KD_OPTIMIZER_ADAMW, NULL));
    OK(kd_optimizer_add_model(other, restored));
    OK(kd_checkpoint_create(&loads, ctx, NULL));
    OK(kd_checkpoint_add_model(loads, "student", restored));
    OK(kd_checkpoint_add_optimizer(loads, "optimizer", other));
    OK(kd_checkpoint_load(loads, path));
    for (int step = 0; step < 3; step++) { /* what is dropped goes on as well */
        train(model, all.batch);
        OK(kd_optimizer_step(one, 0.01));
        train(restored, all.batch);
        OK(kd_optimizer_step(other, 0.01));
    }
    check_same_parameters(model, restored);
    kd_checkpoint_free(saves);
    kd_checkpoint_free(loads);
    kd_optimizer_free(one);
    kd_optimizer_free(other);
    kd_model_free(loaded);
    kd_model_free(restored);
    kd_model_free(model);
}
END_TEST

START_TEST(towers_come_from_models_and_go_back_to_folders)
{
    static const char joined[] = "{\"model_type\":\"towers\",\"projection_dim\":5,\"towers\":{"
                                 "\"text\":{},\"image\":{\"input\":\"pixels\"}}}",
                      text_config[] = "{\"model_type\":\"static_embedding\",\"vocab_size\":11,"
                                      "\"hidden_size\":4,\"normalize\":true}",
                      image_config[] = "{\"model_type\":\"mlp\",\"input_size\":8,\"num_labels\":6}";
    kd_model *model, *text, *image = made(image_config), *back, *first = made(text_config);
    char vocabulary[600];
    size_t size;
    const char *from = scratch_path("tower-from");
    kd_array a, b;
    const char *folder = scratch_path("tower-text");
    OK(kd_model_save(first, from, NULL));
    kd_model_free(first);
    snprintf(vocabulary, sizeof vocabulary, "%s/vocab.txt", from);
    write_file(vocabulary, "a\nb\n", 4);
    OK(kd_model_load(&text, ctx, from, NULL));
    const char *const names[] = { "image", "text" }, *const absent[] = { "sound" };
    kd_model *const models[] = { image, text };
    OK(kd_towers_create(&model, ctx, joined, names, models, 2, NULL));
    OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
    OK(kd_model_forward(text, all.batch, KD_MODE_EVALUATE));
    const float *of_tower = output_of(model, "text.embedding", &a);
    const float *of_model = output_of(text, "embedding", &b);
    for (int s = 0; s < PAIRS; s++)
        for (int i = 0; i < 4 && !(some_lack[s] & NO_TEXT); i++)
            ck_assert(of_tower[s * 4 + i] == of_model[s * 4 + i]);
    OK(kd_towers_save(model, "text", folder, NULL));
    OK(kd_model_load(&back, ctx, folder, NULL));
    check_same_parameters(text, back);
    snprintf(vocabulary, sizeof vocabulary, "%s/vocab.txt", folder);
    free(read_whole(vocabulary, &size));
    ck_assert_uint_eq(size, 4);
    FAILS(kd_towers_save(model, "sound", folder, NULL), KD_ERR_NOT_FOUND, "no tower 'sound'");
    FAILS(kd_towers_save(text, "text", folder, NULL), KD_ERR_NOT_FOUND, "no tower 'text'");
    kd_model *none = NULL;
    FAILS(kd_towers_create(&none, ctx, joined, absent, models, 1, NULL), KD_ERR_NOT_FOUND,
          "no tower \"sound\"");
    FAILS(kd_towers_create(&none, ctx,
                           "{\"model_type\":\"towers\",\"towers\":{\"image\":{"
                           "\"num_labels\":7}}}",
                           names, models, 1, NULL),
          KD_ERR_CONFIG, "\"num_labels\" is the given model's to say");
    FAILS(kd_towers_create(&none, ctx, "{\"model_type\":\"towers\"}", names, models, 1, NULL),
          KD_ERR_CONFIG, "towers");
    ck_assert(!none);
    kd_model_free(back);
    kd_model_free(image);
    kd_model_free(text);
    kd_model_free(model);
}
END_TEST

/* ---- chunks, threads, memory ---- */

/* Towers with dropout of their own, and modalities that are dropped. */
#define DROPPING                                                                                   \
    TOWERS(SCALED UNIT_LENGTH                                                                      \
           ",\"towers\":{\"image\":{\"model_type\":\"mlp\",\"input_size\":8,\"hidden_sizes\":"     \
           "[7],\"num_labels\":6,\"input\":\"pixels\",\"input_dropout_prob\":0.2,"                 \
           "\"hidden_dropout_prob\":0.2}," TEXT_TOWER "," SOUND_TOWER "}" FUSED)

static kd_loss *chunk_loss(void)
{
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_pair_options pairs = KD_PAIR_OPTIONS_INIT;
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "embedding.image";
    pairs.other_output = "embedding.text";
    pairs.scale_output = "logit_scale";
    OK(kd_loss_add(loss, KD_LOSS_CONTRASTIVE, 1, &o, NULL));
    OK(kd_loss_set_pairs(loss, 0, &pairs));
    pairs.bias_output = "logit_bias";
    OK(kd_loss_add(loss, KD_LOSS_SIGMOID_CONTRASTIVE, 1, &o, NULL));
    OK(kd_loss_set_pairs(loss, 1, &pairs));
    o.student_output = "fused";
    o.teacher_field = "taught";
    OK(kd_loss_add(loss, KD_LOSS_GRAM, 1, &o, NULL));
    OK(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL));
    return loss;
}

static kd_loss *chunk_loss_of_pairs(void)
{
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_pair_options pairs = KD_PAIR_OPTIONS_INIT;
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "embedding.image";
    pairs.other_output = "embedding.text";
    OK(kd_loss_add(loss, KD_LOSS_CONTRASTIVE, 1, &o, NULL));
    OK(kd_loss_set_pairs(loss, 0, &pairs));
    return loss;
}

static void fill_chunk(tower_batch *b, kd_targets **targets, int64_t first, int64_t count)
{
    float taught[2 * PAIRS * JOINED];
    const kd_array t = KD_ARRAY_2D(taught, KD_FLOAT32, count, JOINED);
    for (int i = 0; i < count * JOINED; i++) taught[i] = number_at(first * JOINED + i);
    fill_towers(b, ctx, first, count, some_lack);
    OK(kd_targets_create(targets, ctx, NULL));
    OK(kd_targets_begin(*targets, count));
    OK(kd_targets_set(*targets, "taught", &t, NULL));
}

START_TEST(chunks_are_the_batch_whatever_they_lack)
{
    static const int cuts[][3] = { { 3, 2, 1 }, { 1, 1, 4 }, { 2, 2, 2 } };
    kd_model *one = made(DROPPING), *cut = made(DROPPING);
    kd_loss *loss = chunk_loss(), *cut_loss = chunk_loss();
    for (int turn = 0; turn < 2; turn++) {
        kd_loss_result whole = { .struct_size = sizeof whole }, parts = whole;
        tower_batch pieces[3] = { { 0 } };
        kd_batch *chunks[3];
        kd_targets *targets[3], *of_all;
        kd_array a, b;
        double most = 0;
        for (int64_t i = 0, first = 0; i < 3; first += cuts[_i][i++]) {
            fill_chunk(&pieces[i], &targets[i], first, cuts[_i][i]);
            chunks[i] = pieces[i].batch;
        }
        fill_chunk(&all, &of_all, 0, PAIRS);
        OK(kd_model_forward(one, all.batch, KD_MODE_TRAIN));
        OK(kd_loss_backward(loss, one, all.batch, of_all, NULL, &whole));
        OK(kd_loss_backward_chunks(cut_loss, cut, chunks, targets, 3, NULL, &parts));
        ck_assert(whole.value > 0.1);
        NEAR(parts.value, whole.value, 2e-6 * whole.value);
        for (int t = 0; t < 4; t++) ck_assert_int_eq(parts.rows[t], whole.rows[t]);
        ck_assert_int_eq(whole.rows[0], 3);
        OK(kd_model_gradients(one, &a));
        OK(kd_model_gradients(cut, &b));
        for (int64_t i = 0; i < a.dims[0]; i++) most = fmax(most, fabs(((float *)a.data)[i]));
        for (int64_t i = 0; i < a.dims[0]; i++)
            NEAR(((float *)a.data)[i], ((float *)b.data)[i], 3e-6 * most);
        for (int i = 0; i < 3; i++) {
            kd_batch_free(chunks[i]);
            kd_targets_free(targets[i]);
        }
        kd_targets_free(of_all);
        OK(kd_model_zero_gradients(one));
        OK(kd_model_zero_gradients(cut));
    }
    kd_loss_free(loss);
    kd_loss_free(cut_loss);
    kd_model_free(one);
    kd_model_free(cut);
}
END_TEST

/* A host that rehearses and trains parts itself, and evaluates in between. */
START_TEST(what_was_rehearsed_is_trained_whatever_is_evaluated_between)
{
    kd_model *model = made(DROPPING);
    tower_batch parts[2] = { { 0 } };
    float rehearsed[2][PAIRS * JOINED];
    kd_array out;
    for (int i = 0; i < 2; i++) {
        fill_towers(&parts[i], ctx, 3 * i, 3, some_lack);
        OK(kd_model_forward(model, parts[i].batch, KD_MODE_REHEARSE));
        memcpy(rehearsed[i], output_of(model, "embedding.image", &out), 3 * JOINED * sizeof(float));
    }
    for (int i = 0; i < 2; i++) {
        OK(kd_model_forward(model, parts[i].batch, KD_MODE_TRAIN));
        ck_assert_mem_eq(rehearsed[i], output_of(model, "embedding.image", &out),
                         3 * JOINED * sizeof(float));
        OK(kd_model_forward(model, parts[0].batch, KD_MODE_EVALUATE));
    }
    for (int i = 0; i < 2; i++) kd_batch_free(parts[i].batch);
    kd_model_free(model);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    float *first = NULL;
    int64_t count = 0;
    for (int threads = 1; threads <= 3; threads++) {
        kd_context *many = make_context(threads);
        kd_model *model;
        kd_array g;
        OK(kd_model_create(&model, many, DROPPING, NULL));
        train(model, all.batch);
        OK(kd_model_gradients(model, &g));
        if (!first) {
            count = g.dims[0];
            first = malloc((size_t)count * sizeof *first);
            memcpy(first, g.data, (size_t)count * sizeof *first);
        }
        ck_assert_mem_eq(first, g.data, (size_t)count * sizeof *first);
        kd_model_free(model);
        kd_context_free(many);
    }
    free(first);
}
END_TEST

static int64_t bytes_of(kd_context *context)
{
    kd_context_info info = { .struct_size = sizeof info };
    OK(kd_context_get_info(context, &info));
    return info.bytes;
}

static int64_t bytes_now(void) { return bytes_of(ctx); }

START_TEST(memory_is_told_before_it_is_taken_and_does_not_grow)
{
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model_memory_info plan = { .struct_size = sizeof plan };
    kd_model *model = made(RUN);
    train(model, all.batch); /* the context's scratch is taken here */
    kd_model_free(model);
    o.max_rows = PAIRS;
    OK(kd_model_estimate_memory(ctx, RUN, &o, &plan));
    const int64_t before = bytes_now();
    OK(kd_model_create(&model, ctx, RUN, &o));
    train(model, all.batch);
    const int64_t taken = bytes_now() - before;
    ck_assert_msg(taken >= plan.total_bytes && taken < plan.total_bytes + 32768,
                  "told %lld, taken %lld", (long long)plan.total_bytes, (long long)taken);
    for (int i = 0; i < 1000; i++) train(model, all.batch);
    ck_assert_int_eq(bytes_now() - before, taken);
    kd_model_free(model);
}
END_TEST

/* What a pass lacks changes from batch to batch: places grow to the largest and no further. */
START_TEST(changing_presence_does_not_grow_the_memory)
{
    static const int lacks[][PAIRS] = { { 0 },
                                        { NO_IMAGE, NO_TEXT, NO_SOUND, 0, 0, 7 },
                                        { NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT },
                                        { 0, 0, 0, NO_IMAGE | NO_SOUND, 0, 0 } };
    kd_model *model = made(RUN);
    int64_t taken = 0;
    for (int turn = 0; turn < 40; turn++) {
        fill_towers(&all, ctx, 0, PAIRS, lacks[turn % 4]);
        train(model, all.batch);
        if (turn == 7) taken = bytes_now();
    }
    ck_assert_int_eq(bytes_now(), taken);
    kd_model_free(model);
}
END_TEST

/* ---- transformers as towers ---- */

#define TRANSFORMERS                                                                               \
    "{\"model_type\":\"towers\",\"projection_dim\":6,\"normalize\":true,\"towers\":{"              \
    "\"image\":{\"model_type\":\"vit\",\"image_size\":4,\"patch_size\":2,\"num_channels\":1,"      \
    "\"hidden_size\":8,\"num_hidden_layers\":2,\"num_attention_heads\":2,"                         \
    "\"intermediate_size\":12,\"initializer_range\":0.3},"                                         \
    "\"text\":{\"model_type\":\"bert\",\"vocab_size\":17,\"hidden_size\":12,"                      \
    "\"num_hidden_layers\":2,\"num_attention_heads\":3,\"intermediate_size\":20,"                  \
    "\"max_position_embeddings\":12,\"initializer_range\":0.3,\"kd_pooling\":\"mean\","            \
    "\"hidden_dropout_prob\":0.0,\"attention_probs_dropout_prob\":0.0%s}},"                        \
    "\"fusion\":{\"type\":\"gated\"}}"

enum { TEXTS = 4, TEXT_ROWS = 9 };

/* Packed tokens beside images of samples; the third sample has no image, the second no text. */
static kd_batch *packed(int of_samples)
{
    static int64_t tokens[TEXT_ROWS] = { 2, 7, 16, 4, 11, 3, 9, 5, 12 },
                   offsets[] = { 0, 3, 3, 5, TEXT_ROWS };
    static float pixels[TEXTS * 16];
    static uint8_t there[TEXTS] = { 1, 1, 0, 1 };
    const kd_array o = KD_ARRAY_1D(offsets, KD_INT64, TEXTS + 1),
                   t = KD_ARRAY_1D(tokens, KD_INT64, TEXT_ROWS),
                   x = KD_ARRAY_2D(pixels, KD_FLOAT32, TEXTS, 16),
                   p = KD_ARRAY_1D(there, KD_UINT8, TEXTS);
    kd_batch *batch;
    for (int i = 0; i < TEXTS * 16; i++) pixels[i] = number_at(i);
    OK(kd_batch_create(&batch, ctx, NULL));
    if (of_samples) OK(kd_batch_begin(batch, TEXTS));
    else OK(kd_batch_begin_packed(batch, &o));
    if (of_samples) OK(kd_batch_set_ragged(batch, "tokens", &t, &o, NULL));
    else OK(kd_batch_set(batch, "tokens", &t, NULL));
    OK(kd_batch_set_per_sample(batch, "pixels", &x, &p));
    return batch;
}

static double push_all(kd_model *model, kd_batch *batch)
{
    static float by[TEXTS * 8];
    static const char *const names[] = { "embedding.image", "embedding.text", "fused" };
    double sum = 0;
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    for (int n = 0; n < 3; n++) {
        kd_array g;
        const float *x = output_of(model, names[n], &g);
        for (int64_t i = 0; i < kd_array_count(&g); i++) {
            by[i] = number_at(7 * i + n);
            sum += (double)by[i] * x[i];
        }
        g.data = by;
        OK(kd_model_add_output_gradient(model, names[n], &g));
    }
    OK(kd_model_backward(model));
    return sum;
}

/* Packed rows of the batch, or ragged rows beside samples: the same, and gradients are right. */
START_TEST(transformers_are_towers_of_packed_and_of_ragged_tokens)
{
    char config[2000];
    kd_batch *rows = packed(0), *ragged = packed(1);
    kd_array g, p, out;
    snprintf(config, sizeof config, TRANSFORMERS, "");
    kd_model *model = made(config), *other = made(config);
    const double a = push_all(model, rows), b = push_all(other, ragged);
    NEAR(a, b, 1e-9);
    OK(kd_model_parameters(model, &p));
    OK(kd_model_gradients(model, &g));
    float *x = p.data, *dx = malloc((size_t)p.dims[0] * sizeof *dx);
    memcpy(dx, g.data, (size_t)p.dims[0] * sizeof *dx);
    for (int64_t i = 0; i < p.dims[0]; i += 13) {
        const float before = x[i];
        x[i] = before + 5e-3f;
        const double above = push_all(model, rows);
        x[i] = before - 5e-3f;
        const double below = push_all(model, rows);
        x[i] = before;
        NEAR((above - below) / 1e-2, dx[i], 5e-3 * (1 + fabs(dx[i])));
    }
    OK(kd_model_forward(model, rows, KD_MODE_TRAIN));
    OK(kd_model_output(model, "text.hidden.1", &out));
    ck_assert_int_eq(out.dims[0], TEXT_ROWS);
    OK(kd_model_output(model, "image.hidden.0", &out));
    ck_assert_int_eq(out.dims[0], TEXTS);
    ck_assert(((float *)out.data)[2 * out.dims[1] * out.dims[2]] == 0);
    OK(kd_model_forward(other, ragged, KD_MODE_TRAIN));
    FAILS(kd_model_output(other, "text.hidden.1", &out), KD_ERR_UNSUPPORTED, "its rows are those");
    OK(kd_model_output(other, "text.pooled", &out));
    free(dx);
    kd_batch_free(rows);
    kd_batch_free(ragged);
    kd_model_free(other);
    kd_model_free(model);
}
END_TEST

START_TEST(memory_of_transformers_is_told_and_less_where_a_tower_is_frozen)
{
    char config[2000];
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_model_memory_info plan[2] = { { .struct_size = sizeof *plan },
                                     { .struct_size = sizeof *plan } };
    kd_batch *rows = packed(0);
    for (int frozen = 0; frozen < 2; frozen++) {
        kd_context *fresh = make_context(2); /* without scratch */
        kd_model *model;
        snprintf(config, sizeof config, TRANSFORMERS,
                 frozen ? ",\"rows_per_sample\":4,\"frozen\":true" : ",\"rows_per_sample\":4");
        o.max_rows = TEXTS;
        OK(kd_model_estimate_memory(fresh, config, &o, &plan[frozen]));
        const int64_t before = bytes_of(fresh);
        OK(kd_model_create(&model, fresh, config, &o));
        push_all(model, rows);
        const int64_t taken = bytes_of(fresh) - before;
        ck_assert_msg(taken >= plan[frozen].total_bytes &&
                          taken < plan[frozen].total_bytes + 65536, /* tables of tensors */
                      "told %lld, taken %lld", (long long)plan[frozen].total_bytes,
                      (long long)taken);
        kd_model_free(model);
        kd_context_free(fresh);
    }
    ck_assert_int_lt(plan[1].activation_bytes, plan[0].activation_bytes);
    kd_batch_free(rows);
}
END_TEST

/* Each text lacks: packed tokens are no rows, and the images are still there. */
START_TEST(a_batch_of_images_whose_texts_all_lack_is_not_empty)
{
    char config[2000];
    int64_t offsets[] = { 0, 0, 0 }, none = 0;
    float pixels[32];
    const kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 3), t = KD_ARRAY_1D(&none, KD_INT64, 0),
                   x = KD_ARRAY_2D(pixels, KD_FLOAT32, 2, 16);
    kd_batch *batch;
    kd_array out, present;
    for (int i = 0; i < 32; i++) pixels[i] = number_at(i);
    snprintf(config, sizeof config, TRANSFORMERS, "");
    kd_model *model = made(config);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &o));
    OK(kd_batch_set(batch, "tokens", &t, NULL));
    OK(kd_batch_set_per_sample(batch, "pixels", &x, NULL));
    push_all(model, batch);
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    ck_assert(output_of(model, "embedding.image", &out)[0] != 0);
    OK(kd_model_output_present(model, "embedding.text", &present));
    ck_assert(!((uint8_t *)present.data)[0] && !((uint8_t *)present.data)[1]);
    OK(kd_model_output_present(model, "embedding.image", &present));
    ck_assert(!present.data);
    kd_batch_free(batch);
    kd_model_free(model);
}
END_TEST

/* ---- networks with peculiarities ---- */

#define WITH_NORM                                                                                  \
    TOWERS(UNIT_LENGTH ",\"towers\":{\"image\":{\"model_type\":\"sequential\",\"input_shape\":"    \
                       "[2,2,2],\"input\":\"pixels\",\"layers\":[{\"type\":\"conv2d\","            \
                       "\"channels\":3,\"kernel_size\":2},{\"type\":\"batch_norm2d\"},"            \
                       "{\"type\":\"linear\",\"units\":6}]}," TEXT_TOWER "}")

/* Statistics are those of the samples that are there; a part of a batch has not the whole's. */
START_TEST(batch_norms_see_the_images_that_are_there_and_no_chunks)
{
    static const int lacks[PAIRS] = { 0, NO_IMAGE, 0, 0, NO_IMAGE, 0 };
    kd_model *model = made(WITH_NORM), *other = made(WITH_NORM);
    kd_loss *loss = chunk_loss_of_pairs();
    tower_batch parts[2] = { { 0 } };
    int32_t index;
    fill_towers(&all, ctx, 0, PAIRS, lacks);
    OK(kd_model_forward(model, all.batch, KD_MODE_TRAIN));
    for (int i = 0; i < 2 * PIXELS; i++) { /* what is absent may be anything */
        all.pixels[PIXELS + i % PIXELS] = 1e6f;
        all.pixels[4 * PIXELS + i % PIXELS] = -1e6f;
    }
    const kd_array x = KD_ARRAY_2D(all.pixels, KD_FLOAT32, PAIRS, PIXELS),
                   p = KD_ARRAY_1D(all.has_image, KD_UINT8, PAIRS);
    OK(kd_batch_set(all.batch, "pixels", &x, &p));
    OK(kd_model_forward(other, all.batch, KD_MODE_TRAIN));
    const kd_array a = tensor_named(model, "towers.image.layers.1.running_var", &index),
                   b = tensor_named(other, "towers.image.layers.1.running_var", &index);
    ck_assert_mem_eq(a.data, b.data, 3 * sizeof(float));
    ck_assert(((float *)a.data)[0] != 1);
    for (int i = 0; i < 2; i++) fill_towers(&parts[i], ctx, 3 * i, 3, lacks);
    kd_batch *chunks[] = { parts[0].batch, parts[1].batch };
    FAILS(kd_loss_backward_chunks(loss, model, chunks, NULL, 2, NULL, NULL), KD_ERR_UNSUPPORTED,
          "tower 'image': batch norm");
    kd_loss_free(loss); /* a term of rows, which needs no rehearsal */
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    float wanted[3 * JOINED] = { 0 };
    const kd_array w = KD_ARRAY_2D(wanted, KD_FLOAT32, 3, JOINED);
    o.student_output = "embedding.image";
    o.label_field = "wanted";
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_MEAN_SQUARED_ERROR, 1, &o, NULL));
    for (int i = 0; i < 2; i++) OK(kd_batch_set(chunks[i], "wanted", &w, NULL));
    FAILS(kd_loss_backward_chunks(loss, model, chunks, NULL, 2, NULL, NULL), KD_ERR_UNSUPPORTED,
          "tower 'image': batch norm");
    kd_batch_free(chunks[0]);
    kd_batch_free(chunks[1]);
    kd_loss_free(loss);
    kd_model_free(other);
    kd_model_free(model);
}
END_TEST

#define CAPTIONS                                                                                   \
    "{\"model_type\":\"towers\",\"projection_dim\":5,\"normalize\":true,\"towers\":{"              \
    "\"image\":{\"model_type\":\"mlp\",\"input_size\":16,\"num_labels\":6,"                        \
    "\"input\":\"pixels\"},\"text\":{\"model_type\":\"llama\",\"vocab_size\":17,"                  \
    "\"hidden_size\":8,\"intermediate_size\":12,\"num_hidden_layers\":2,"                          \
    "\"num_attention_heads\":2,\"max_position_embeddings\":16,\"initializer_range\":0.3}}}"

/* A decoder as a tower: next tokens through its head, in blocks, and pairs by its last rows. */
START_TEST(a_decoder_learns_captions_and_pairs_at_once)
{
    kd_model *model = made(CAPTIONS);
    kd_loss *loss;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_pair_options pairs = KD_PAIR_OPTIONS_INIT;
    kd_loss_result r = { .struct_size = sizeof r };
    kd_batch *batch = packed(0);
    kd_array p, g;
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "text.logits";
    o.label_field = "tokens";
    o.align = KD_ALIGN_NEXT;
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &o, NULL));
    o = (kd_term_options)KD_TERM_OPTIONS_INIT;
    o.student_output = "embedding.image";
    OK(kd_loss_add(loss, KD_LOSS_CONTRASTIVE, 1, &o, NULL));
    pairs.other_output = "embedding.text";
    OK(kd_loss_set_pairs(loss, 1, &pairs));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, batch, NULL, NULL, &r));
    ck_assert_int_eq(r.rows[0], 2 + 1 + 3);
    ck_assert_int_eq(r.rows[1], 2);
    OK(kd_model_parameters(model, &p));
    OK(kd_model_gradients(model, &g));
    float *x = p.data, *dx = g.data;
    OK(kd_model_keep(model, "text.logits", 1));
    for (int64_t i = 0; i < p.dims[0]; i += 7) {
        double values[2];
        const float before = x[i];
        for (int side = 0; side < 2; side++) {
            x[i] = before + (side ? -4e-3f : 4e-3f);
            OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
            OK(kd_loss_forward(loss, model, batch, NULL, NULL, &r));
            values[side] = r.value;
        }
        x[i] = before;
        NEAR((values[0] - values[1]) / 8e-3, dx[i], 3e-3 * (1 + fabs(dx[i])));
    }
    kd_loss_free(loss);
    kd_batch_free(batch);
    kd_model_free(model);
}
END_TEST

/* ---- what is refused ---- */

static void refuses(const char *config, kd_status status, const char *text)
{
    kd_model *none = NULL;
    FAILS(kd_model_create(&none, ctx, config, NULL), status, text);
    ck_assert(!none);
}

START_TEST(configs_that_make_no_sense_are_refused_by_name)
{
    refuses("{\"model_type\":\"towers\",\"towers\":{" IMAGE_TOWER "," TEXT_TOWER "}}",
            KD_ERR_CONFIG,
            "embedding.image has 6 numbers, embedding.text has 4: set "
            "projection_dim");
    refuses("{\"model_type\":\"towers\"}", KD_ERR_CONFIG, "an object of 1 to 16 towers");
    refuses("{\"model_type\":\"towers\",\"towers\":{}}", KD_ERR_CONFIG, "1 to 16 towers");
    refuses("{\"model_type\":\"towers\",\"towers\":{\"a.b\":{}}}", KD_ERR_CONFIG, "\"a.b\"");
    refuses("{\"model_type\":\"towers\",\"towers\":{\"a\":3}}", KD_ERR_CONFIG, "tower 'a'");
    refuses("{\"model_type\":\"towers\",\"towers\":{\"a\":{\"model_type\":\"towers\"}}}",
            KD_ERR_CONFIG, "none holds towers");
    refuses(TOWERS(TWO ",\"fusion\":{\"type\":\"sum\"}"), KD_ERR_CONFIG, "mean, concat or gated");
    refuses(TOWERS(TWO ",\"fusion\":{\"missing\":\"zero\"}"), KD_ERR_CONFIG, "learned or mean");
    refuses(TOWERS(TWO ",\"fusion\":{\"drop\":{\"sound\":0.1}}"), KD_ERR_CONFIG,
            "no tower \"sound\"");
    refuses(TOWERS(TWO ",\"fusion\":{\"drop\":{\"text\":1.5}}"), KD_ERR_CONFIG, "0 to 1");
    refuses(TOWERS(TWO ",\"fusion\":{\"out_features\":9}"), KD_ERR_CONFIG, "as many numbers");
    refuses(TOWERS(TWO ",\"fusion\":7"), KD_ERR_CONFIG, "fusion: expected an object");
    refuses(TOWERS(TWO ",\"logit_scale_init_value\":5"), KD_ERR_CONFIG, "logit_scale_init_value");
    refuses(TOWERS(TWO ",\"pooling\":\"mean\""), KD_ERR_CONFIG, "\"pooling\" is unknown");
    refuses(TOWERS(",\"towers\":{\"image\":{\"model_type\":\"mlp\",\"input_size\":3,"
                   "\"num_labels\":2,\"output\":\"hidden.7\"}}"),
            KD_ERR_CONFIG, "tower 'image': config: output: expected an output of the network");
    refuses(TOWERS(",\"towers\":{\"image\":{\"model_type\":\"mlp\",\"input_size\":3,"
                   "\"num_labels\":2,\"pooling\":\"median\"}}"),
            KD_ERR_CONFIG, "pooling");
}
END_TEST

START_TEST(batches_and_calls_that_do_not_fit_are_refused_by_name)
{
    kd_model *model = made(RUN), *none = NULL;
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    kd_student_options cut = KD_STUDENT_OPTIONS_INIT;
    kd_batch *other;
    float x[6] = { 0 };
    const kd_array xs = KD_ARRAY_2D(x, KD_FLOAT32, 2, 3);
    OK(kd_batch_create(&other, ctx, NULL));
    OK(kd_batch_begin(other, 2));
    FAILS(kd_model_forward(model, other, KD_MODE_TRAIN), KD_ERR_NOT_FOUND,
          "none of the fields that the towers read: 'pixels', 'tokens', 'frames'");
    OK(kd_batch_set(other, "pixels", &xs, NULL));
    FAILS(kd_model_forward(model, other, KD_MODE_TRAIN), KD_ERR_SHAPE,
          "tower 'image': field 'pixels': expected 8 numbers a row, got 3");
    FAILS(kd_student_create(&none, model, &cut), KD_ERR_UNSUPPORTED, "towers");
    o.weights = KD_INT8;
    o.frozen = 1;
    FAILS(kd_model_create(&none, ctx, RUN, &o), KD_ERR_UNSUPPORTED, "float32 only");
    o.weights = KD_FLOAT32;
    o.frozen = 0;
    o.shared_gradients = 1;
    FAILS(kd_model_create(&none, ctx, RUN, &o), KD_ERR_UNSUPPORTED, "shared_gradients");
    kd_model *still = made(TOWERS(",\"towers\":{" TEXT_TOWER ",\"image\":{\"model_type\":\"mlp\","
                                  "\"input_size\":8,\"num_labels\":6,\"input\":\"pixels\","
                                  "\"frozen\":true}}"));
    OK(kd_model_forward(still, all.batch, KD_MODE_TRAIN));
    OK(kd_model_freeze(still, "towers.image.*", 0));
    FAILS(kd_model_forward(still, all.batch, KD_MODE_TRAIN), KD_ERR_STATE, "leave \"frozen\" out");
    kd_model_free(still);
    kd_batch_free(other);
    kd_model_free(model);
}
END_TEST

Suite *towers_runs_suite(void)
{
    Suite *suite = suite_create("towers_runs");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_frozen_tower_keeps_its_weights_and_the_others_learn_as_if_alone);
    tcase_add_test(tests, a_tower_that_is_frozen_later_has_no_old_gradient);
    tcase_add_test(tests, rows_that_towers_touch_are_all_that_a_lazy_step_changes);
    tcase_add_test(tests, cached_vectors_of_a_frozen_tower_stand_in_for_it);
    tcase_add_test(tests, what_a_sample_drops_does_not_depend_on_its_batch);
    tcase_add_test(tests, never_all_modalities_are_dropped);
    tcase_add_test(tests, a_folder_and_a_checkpoint_give_the_same_bits);
    tcase_add_test(tests, towers_come_from_models_and_go_back_to_folders);
    tcase_add_loop_test(tests, chunks_are_the_batch_whatever_they_lack, 0, 3);
    tcase_add_test(tests, what_was_rehearsed_is_trained_whatever_is_evaluated_between);
    tcase_add_test(tests, any_number_of_threads_gives_the_same_bits);
    tcase_add_test(tests, memory_is_told_before_it_is_taken_and_does_not_grow);
    tcase_add_test(tests, changing_presence_does_not_grow_the_memory);
    tcase_add_test(tests, memory_of_transformers_is_told_and_less_where_a_tower_is_frozen);
    tcase_add_test(tests, transformers_are_towers_of_packed_and_of_ragged_tokens);
    tcase_add_test(tests, a_batch_of_images_whose_texts_all_lack_is_not_empty);
    tcase_add_test(tests, batch_norms_see_the_images_that_are_there_and_no_chunks);
    tcase_add_test(tests, a_decoder_learns_captions_and_pairs_at_once);
    tcase_add_test(tests, configs_that_make_no_sense_are_refused_by_name);
    tcase_add_test(tests, batches_and_calls_that_do_not_fit_are_refused_by_name);
    suite_add_tcase(suite, tests);
    return suite;
}
