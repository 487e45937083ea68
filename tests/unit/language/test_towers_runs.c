/* Runs of towers: frozen ones, modalities that training drops, folders, checkpoints, towers out of
 * models, chunks, threads, memory. */
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
    suite_add_tcase(suite, tests);
    return suite;
}
