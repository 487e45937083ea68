/* Checkpoints of several ranks: any number of ranks goes on where any other stopped, a damaged or
 * unfinished save is never loaded. */
#include "rankcourse.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BREAK = 3, STEPS = 6 };

typedef struct {
    course_run *run;
    const char *folder;
    int32_t from, until; /* steps; from 0 begins */
    kd_status loaded[KIT_RANKS];
    char message[KIT_RANKS][512];
    int32_t moved[KIT_RANKS]; /* 1: a failed load changed parameters */
} stage;

static kd_checkpoint *checkpoint_of(course_parts *p, kd_context *ctx, int64_t *step)
{
    kd_checkpoint *made = NULL;
    if (kd_checkpoint_create(&made, ctx, NULL) != KD_OK ||
        kd_checkpoint_add_model(made, "student", p->model) != KD_OK ||
        kd_checkpoint_add_exchange(made, "optimizer", p->exchange) != KD_OK ||
        kd_checkpoint_add_loader(made, "loader", p->loader) != KD_OK ||
        kd_checkpoint_borrow_bytes(made, "step", step, sizeof *step) != KD_OK) {
        kd_checkpoint_free(made);
        return NULL;
    }
    return made;
}

static kd_status go_on(stage *s, course_parts *p, kd_checkpoint *saves, int32_t rank, int64_t *step)
{
    kd_array values;
    course_run *c = s->run;
    if (s->from) {
        float *before;
        TRY(kd_model_parameters(p->model, &values));
        const size_t bytes = (size_t)kd_array_count(&values) * sizeof(float);
        before = malloc(bytes);
        memcpy(before, values.data, bytes);
        s->loaded[rank] = kd_checkpoint_load(saves, s->folder);
        snprintf(s->message[rank], 512, "%s", kd_last_error());
        s->moved[rank] = s->loaded[rank] != KD_OK && memcmp(before, values.data, bytes);
        free(before);
        if (s->loaded[rank] != KD_OK) return KD_OK;
        if (*step != s->from) return kd_set_error(KD_ERR_STATE, "another step");
    }
    for (; *step < s->until; ++*step) TRY(take_step(p, c, &c->losses[rank][*step]));
    if (s->folder && s->until < STEPS) TRY(kd_checkpoint_save(saves, s->folder));
    TRY(kd_model_parameters(p->model, &values));
    keep_parameters(c, rank, &values);
    return KD_OK;
}

static kd_status run_stage(void *user, int32_t rank, kd_context *ctx, const kd_transport *transport)
{
    stage *s = user;
    course_parts p = { 0 };
    int64_t step = 0;
    kd_status status = make_parts(&p, s->run, ctx, transport);
    kd_checkpoint *saves = status == KD_OK ? checkpoint_of(&p, ctx, &step) : NULL;
    if (saves) status = go_on(s, &p, saves, rank, &step);
    else if (status == KD_OK) status = KD_ERR_STATE;
    kd_checkpoint_free(saves);
    free_parts(&p);
    return status;
}

static course_run *course_of(int32_t shard)
{
    course_run *c = new_run(KD_OPTIMIZER_ADAMW, STEPS);
    c->dropout = "0.1";
    c->optimizer.epsilon = 1e-4;
    c->optimizer.average_decay = 0.9;
    c->optimizer.clip_norm = 0.3;
    c->exchange.shard = shard;
    c->exchange.bucket_bytes = 1;
    c->samples = 72; /* an epoch is as long as three rounds */
    return c;
}

static stage *on_stage(course_run *c, const char *folder, int32_t ranks, int32_t from,
                       int32_t until)
{
    stage *s = calloc(1, sizeof *s);
    mesh net;
    rank_thread t[KIT_RANKS];
    *s = (stage){ .run = c, .folder = folder, .from = from, .until = until };
    mesh_make(&net, ranks);
    on_ranks(&net, t, 1, run_stage, s);
    for (int32_t r = 0; r < ranks; r++)
        ck_assert_msg(t[r].status == KD_OK, "rank %d of %d: %s", r, ranks, t[r].message);
    return s;
}

static void remove_folder(const char *path)
{
    char inner[600];
    DIR *directory = opendir(path);
    for (struct dirent *e; directory && (e = readdir(directory));) {
        if (e->d_name[0] == '.') continue;
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        if (unlink(inner)) remove_folder(inner);
    }
    if (directory) closedir(directory);
    rmdir(path);
}

START_TEST(other_ranks_go_on_as_an_unbroken_run)
{
    const int32_t before = 1 + _i / 4, after = 1 + _i % 4, shard = _i % 3 != 0;
    const char *folder = scratch_path("saves-pairs");
    course_run *broken = course_of(shard), *whole = course_of(shard), *one = course_of(1);
    remove_folder(folder);
    free(on_stage(broken, folder, before, 0, BREAK));
    free(on_stage(broken, folder, after, BREAK, STEPS));
    free(on_stage(whole, NULL, after, 0, STEPS));
    free(on_stage(one, NULL, 1, 0, STEPS));
    if (before == after)
        ck_assert_mem_eq(broken->parameters[0], whole->parameters[0],
                         (size_t)whole->count * sizeof(float));
    near_each_other(broken, one);
    free(broken);
    free(whole);
    free(one);
}
END_TEST

/* ---- damage ---- */

static int64_t size_of(const char *path)
{
    struct stat facts;
    return stat(path, &facts) ? -1 : (int64_t)facts.st_size;
}

/* All ranks refuse, nothing moved. */
static void refuses(course_run *c, const char *folder, int32_t ranks, kd_status of_one,
                    const char *text)
{
    stage *s = on_stage(c, folder, ranks, BREAK, STEPS);
    int told = 0;
    for (int32_t r = 0; r < ranks; r++) {
        ck_assert_msg(s->loaded[r] != KD_OK, "it was loaded");
        ck_assert_int_eq(s->moved[r], 0);
        told += s->loaded[r] == of_one && strstr(s->message[r], text) != NULL;
        ck_assert_msg(s->loaded[r] == of_one || s->loaded[r] == KD_ERR_PEER, "%s: %s",
                      kd_status_name(s->loaded[r]), s->message[r]);
        ck_assert_msg(strstr(s->message[r], text), "%s", s->message[r]);
    }
    ck_assert_int_gt(told, 0);
    free(s);
}

START_TEST(a_damaged_save_is_named_and_nothing_is_loaded)
{
    static const char *const names[] = { "common.kdc", "state-00000-of-00002.safetensors",
                                         "state-00001-of-00002.safetensors" };
    const char *folder = scratch_path("saves-damage");
    char path[700];
    course_run *c = course_of(1);
    remove_folder(folder);
    free(on_stage(c, folder, 2, 0, BREAK));
    for (int f = 0; f < 3; f++) {
        snprintf(path, sizeof path, "%s/save-0000001/%s", folder, names[f]);
        size_t size;
        char *bytes = read_whole(path, &size);
        ck_assert_uint_gt(size, 100);
        for (size_t k = 0; k < 5; k++) {
            const size_t at = k * (size - 1) / 4;
            bytes[at] ^= 4;
            write_file(path, bytes, size);
            refuses(c, folder, 1 + (int32_t)k % 3, KD_ERR_FORMAT, names[f]);
            bytes[at] ^= 4;
        }
        write_file(path, bytes, size - 1);
        refuses(c, folder, 2, KD_ERR_FORMAT, names[f]);
        write_file(path, bytes, size);
        free(bytes);
    }
    free(on_stage(c, folder, 3, BREAK, STEPS));
    free(c);
}
END_TEST

START_TEST(a_save_without_manifest_is_none)
{
    const char *folder = scratch_path("saves-manifest");
    char path[700], old[700];
    course_run *c = course_of(1);
    remove_folder(folder);
    refuses(c, folder, 2, KD_ERR_NOT_FOUND, "no save with a manifest");
    for (int i = 0; i < 4; i++) free(on_stage(c, folder, 2, 0, BREAK - 1));
    snprintf(path, sizeof path, "%s/save-0000002", folder);
    ck_assert_int_eq(size_of(path), -1); /* two are kept */
    free(on_stage(c, folder, 3, 0, BREAK));
    snprintf(path, sizeof path, "%s/save-0000004/manifest.json", folder);
    ck_assert_int_gt(size_of(path), 0);
    /* the newest did not come to its end */
    snprintf(path, sizeof path, "%s/save-0000005/manifest.json", folder);
    snprintf(old, sizeof old, "%s/save-0000005/manifest.old", folder);
    ck_assert_int_eq(rename(path, old), 0);
    stage *s = on_stage(c, folder, 2, BREAK - 1, STEPS);
    ck_assert_int_eq(s->loaded[0], KD_OK);
    free(s);
    static const char *const texts[] = { "",
                                         "{",
                                         "[]",
                                         "{\"version\":2}",
                                         "{\"version\":1}",
                                         "{\"version\":1,\"ranks\":2,\"files\":[]}",
                                         "{\"version\":1,\"ranks\":1,\"files\":[1,2]}" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_file(path, texts[i], strlen(texts[i]));
        refuses(c, folder, 2, i == 3 ? KD_ERR_VERSION : KD_ERR_FORMAT, "manifest.json");
    }
    free(c);
}
END_TEST

static kd_status save_one_file(void *user, int32_t rank, kd_context *ctx,
                               const kd_transport *transport)
{
    course_parts p = { 0 };
    kd_checkpoint *saves = NULL;
    (void)rank;
    kd_status status = make_parts(&p, user, ctx, transport);
    if (status == KD_OK) status = kd_checkpoint_create(&saves, ctx, NULL);
    if (status == KD_OK) status = kd_checkpoint_add_optimizer(saves, "optimizer", p.optimizer);
    if (status == KD_OK) status = kd_checkpoint_save(saves, scratch_path("part.kdc"));
    kd_checkpoint_free(saves);
    free_parts(&p);
    return status;
}

START_TEST(a_part_of_a_state_is_no_checkpoint_of_one_file)
{
    course_run *c = course_of(1);
    mesh net;
    rank_thread t[KIT_RANKS];
    mesh_make(&net, 2);
    on_ranks(&net, t, 1, save_one_file, c);
    for (int r = 0; r < 2; r++)
        ck_assert_msg(t[r].status == KD_ERR_STATE &&
                          strstr(t[r].message, "call kd_checkpoint_add_exchange"),
                      "%s", t[r].message);
    free(c);
}
END_TEST

START_TEST(an_exchange_is_a_part_when_it_has_its_optimizer)
{
    kd_context *ctx = make_context(1);
    kd_checkpoint *saves;
    kd_exchange *bare;
    OK(kd_checkpoint_create(&saves, ctx, NULL));
    OK(kd_exchange_create(&bare, ctx, NULL, NULL));
    FAILS(kd_checkpoint_add_exchange(saves, "x", NULL), KD_ERR_INVALID, "exchange is NULL");
    FAILS(kd_checkpoint_add_exchange(saves, "x", bare), KD_ERR_STATE, "no optimizer");
    kd_checkpoint_free(saves);
    kd_exchange_free(bare);
    kd_context_free(ctx);
}
END_TEST

Suite *exchange_saves_suite(void)
{
    Suite *suite = suite_create("exchange_saves");
    TCase *tests = tcase_create("exchange_saves");
    tcase_set_tags(tests, "slow"); /* threads that wait for each other */
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, other_ranks_go_on_as_an_unbroken_run, 0, 16);
    tcase_add_test(tests, a_damaged_save_is_named_and_nothing_is_loaded);
    tcase_add_test(tests, a_save_without_manifest_is_none);
    tcase_add_test(tests, a_part_of_a_state_is_no_checkpoint_of_one_file);
    tcase_add_test(tests, an_exchange_is_a_part_when_it_has_its_optimizer);
    suite_add_tcase(suite, tests);
    return suite;
}
