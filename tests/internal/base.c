/* What base gives to all: growth, arenas, tables, bytes, whole reads and writes, rounding. */
#include "suites.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/context.h"
#include "base/io.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/object.h"
#include "base/table.h"

static kd_context *ctx;
static void setup(void) { ck_assert_int_eq(kd_context_create(&ctx, NULL), KD_OK); }
static void teardown(void) { kd_context_free(ctx); }

/* ---- memory ---- */

START_TEST(a_first_block_is_as_large_as_asked_for)
{
    int32_t *block = NULL;
    int64_t room = 0;
    ck_assert_int_eq(KD_RESERVE(ctx, &block, &room, 1000), KD_OK);
    ck_assert_int_eq(room, 1000);
    ck_assert_int_eq(KD_RESERVE(ctx, &block, &room, 1000), KD_OK);
    ck_assert_int_eq(room, 1000);
    kd__release(ctx, block);
}
END_TEST

START_TEST(one_at_a_time_costs_few_blocks_and_keeps_all)
{
    enum { COUNT = 1 << 16 };
    int32_t *block = NULL;
    int64_t room = 0;
    const uint64_t before = ctx->allocations;
    for (int32_t i = 0; i < COUNT; i++) {
        ck_assert_int_eq(KD_RESERVE(ctx, &block, &room, i + 1), KD_OK);
        block[i] = i;
    }
    for (int32_t i = 0; i < COUNT; i++) ck_assert_int_eq(block[i], i);
    ck_assert_int_le(ctx->allocations - before, 26); /* log 1.5 of 2^16, and the first few */
    ck_assert_int_lt(room, 2 * COUNT);
    kd__release(ctx, block);
}
END_TEST

START_TEST(rooms_of_two_arrays_grow_alike)
{
    char *small = NULL;
    double *large = NULL;
    int64_t room_of_small = 0, room_of_large = 0;
    for (int64_t i = 1; i < 5000; i += 7) {
        ck_assert_int_eq(KD_RESERVE(ctx, &small, &room_of_small, i), KD_OK);
        ck_assert_int_eq(KD_RESERVE(ctx, &large, &room_of_large, i), KD_OK);
        ck_assert_int_eq(room_of_small, room_of_large);
    }
    kd__release(ctx, small);
    kd__release(ctx, large);
}
END_TEST

START_TEST(a_renewed_block_never_stands_beside_the_old_one)
{
    char *block = NULL;
    int64_t room = 0;
    const int64_t before = (int64_t)ctx->bytes;
    ck_assert_int_eq(KD_RENEW(ctx, &block, &room, 1 << 20), KD_OK);
    atomic_store(&ctx->peak_bytes, atomic_load(&ctx->bytes));
    ck_assert_int_eq(KD_RENEW(ctx, &block, &room, (1 << 20) + 1), KD_OK);
    ck_assert_int_eq(room, (1 << 20) + 1);
    ck_assert_int_le((int64_t)ctx->peak_bytes - before, (1 << 20) + 4096);
    kd__release(ctx, block);
}
END_TEST

START_TEST(a_size_that_cannot_be_leaves_the_block)
{
    double *block = NULL;
    int64_t room = 0;
    ck_assert_int_eq(KD_RESERVE(ctx, &block, &room, 3), KD_OK);
    block[2] = 5;
    ck_assert_int_eq(KD_RESERVE(ctx, &block, &room, INT64_MAX / 2), KD_ERR_RANGE);
    ck_assert_int_eq(room, 3);
    ck_assert(block[2] == 5);
    kd__release(ctx, block);
}
END_TEST

START_TEST(an_arena_holds_until_it_is_emptied)
{
    kd__arena arena = { .context = ctx };
    const char *texts[100];
    const int64_t before = (int64_t)ctx->bytes;
    char text[16];
    for (int i = 0; i < 100; i++) {
        const int size = snprintf(text, sizeof text, "text %d", i);
        ck_assert_int_eq(kd__arena_text(&arena, text, size, &texts[i]), KD_OK);
    }
    for (int i = 0; i < 100; i++) ck_assert_int_eq(atoi(texts[i] + 5), i);
    void *out = NULL;
    ck_assert_int_eq(kd__arena_take(&arena, INT64_MAX - 3, &out), KD_ERR_RANGE);
    ck_assert_int_eq(kd__arena_take(&arena, -1, &out), KD_ERR_RANGE);
    kd__arena_empty(&arena);
    ck_assert_int_eq((int64_t)ctx->bytes, before);
}
END_TEST

static int freed;
static void count_free(kd_context *context)
{
    freed++;
    kd_context_free(context);
}

START_TEST(an_object_gives_its_context_back_as_the_creator_says)
{
    void *object = NULL;
    ctx->free = count_free;
    ck_assert_int_eq(kd__object_create(&object, ctx, sizeof(kd__object)), KD_OK);
    kd__object_hold(object);
    ck_assert_int_eq(kd__object_drop(object), 0);
    ck_assert_int_eq(kd__object_drop(object), 1);
    kd__object_destroy(object);
    ck_assert_int_eq(freed, 1);
}
END_TEST

/* ---- tables ---- */

typedef struct {
    const uint64_t *keys;
    uint64_t key;
} wanted;

static int has_key(const void *key, int64_t number)
{
    const wanted *w = key;
    return w->keys[number] == w->key;
}

static int64_t find(const kd__table *table, const uint64_t *keys, uint64_t key, uint64_t hash)
{
    const wanted w = { keys, key };
    return kd__table_find(table, hash, has_key, &w);
}

/* `hash_of` may be bad: what is found does not depend on it. */
static void keys_are_found(uint64_t (*hash_of)(uint64_t), int64_t count)
{
    kd__table table = { .context = ctx };
    uint64_t *keys = malloc((size_t)count * sizeof *keys);
    for (int64_t i = 0; i < count; i++) {
        keys[i] = (uint64_t)i * (uint64_t)i + 1;
        ck_assert_int_eq(find(&table, keys, keys[i], hash_of(keys[i])), -1);
        ck_assert_int_eq(kd__table_add(&table, hash_of(keys[i]), i), KD_OK);
    }
    ck_assert_int_eq(table.count, count);
    for (int64_t i = 0; i < count; i++) {
        ck_assert_int_eq(find(&table, keys, keys[i], hash_of(keys[i])), i);
        ck_assert_int_eq(find(&table, keys, keys[i] + 1, hash_of(keys[i] + 1)), i ? -1 : 1);
    }
    kd__table_free(&table);
    ck_assert_int_eq(find(&table, keys, 1, hash_of(1)), -1);
    free(keys);
}

static uint64_t high_bits(uint64_t key) { return key << 32; }
static uint64_t low_bits(uint64_t key) { return key; }
static uint64_t one_hash(uint64_t key) { return key * 0 + 7; }

START_TEST(what_was_added_is_found)
{
    keys_are_found(low_bits, 20000);
    keys_are_found(high_bits, 2000);
    keys_are_found(one_hash, 300);
}
END_TEST

/* How far from its place a number lies, on average. */
static double mean_distance(const kd__table *table)
{
    double sum = 0;
    for (int64_t i = 0; i < table->size; i++)
        if (table->slots[i].number) sum += (double)((i - table->slots[i].hash) & (table->size - 1));
    return sum / (double)table->count;
}

START_TEST(steps_of_a_power_of_two_do_not_collide)
{
    for (int shift = 0; shift < 50; shift += getenv("KD_TEST_FEW") ? 12 : 3) {
        kd__table table = { .context = ctx };
        for (int64_t i = 0; i < 10000; i++)
            ck_assert_int_eq(kd__table_add(&table, (uint64_t)i << shift, i), KD_OK);
        ck_assert_double_lt(mean_distance(&table), 4);
        kd__table_free(&table);
    }
}
END_TEST

START_TEST(the_first_of_equal_keys_is_found)
{
    kd__table table = { .context = ctx };
    const uint64_t keys[] = { 5, 5, 5 };
    for (int64_t i = 0; i < 3; i++) ck_assert_int_eq(kd__table_add(&table, 5, i), KD_OK);
    ck_assert_int_eq(find(&table, keys, 5, 5), 0);
    ck_assert_int_eq(kd__table_add(&table, 5, UINT32_MAX), KD_ERR_RANGE);
    ck_assert_int_eq(kd__table_add(&table, 5, -1), KD_ERR_RANGE);
    kd__table_free(&table);
}
END_TEST

/* ---- messages ---- */

static const char *said_in(const char *text, const char *where)
{
    const kd_status status = kd__fail(KD_ERR_FORMAT, "%s", text);
    ck_assert_int_eq(kd__fail_in(status, where), KD_ERR_FORMAT);
    return kd_last_error();
}

START_TEST(a_place_is_said_once)
{
    ck_assert_str_eq(said_in("no head", "a/b"), "a/b: no head");
    ck_assert_str_eq(said_in("a/b: no head", "a/b"), "a/b: no head");
    ck_assert_str_eq(said_in("a/b/modules.json: no list", "a/b"), "a/b/modules.json: no list");
    ck_assert_str_eq(said_in("a/b/modules.json: no list", "a/b/"), "a/b/modules.json: no list");
    ck_assert_str_eq(said_in("attention: no head", "a"), "a: attention: no head");
    ck_assert_str_eq(said_in("a", "a"), "a: a");
}
END_TEST

/* ---- bytes and numbers ---- */

START_TEST(bytes_are_little_endian_at_any_address)
{
    static const char expected[] = "\0\2\1\6\5\4\3\16\15\14\13\12\11\10\7\0\0\300\77";
    uint8_t made[sizeof expected] = { 0 };
    kd__put16(made + 1, 0x0102);
    kd__put32(made + 3, 0x03040506);
    kd__put64(made + 7, 0x0708090a0b0c0d0eULL);
    kd__put_float(made + 15, 1.5F);
    ck_assert_mem_eq(made, expected, sizeof made);
    ck_assert_uint_eq(kd__get16(made + 1), 0x0102);
    ck_assert_uint_eq(kd__get32(made + 3), 0x03040506);
    ck_assert_uint_eq(kd__get64(made + 7), 0x0708090a0b0c0d0eULL);
    ck_assert(kd__get_float(made + 15) == 1.5F);
    kd__swap_bytes(made + 3, 1, 4);
    ck_assert_uint_eq(kd__get32(made + 3), 0x06050403);
    kd__put64(made, 0x3ff8000000000000ULL);
    ck_assert(kd__get_double(made) == 1.5);
}
END_TEST

START_TEST(numbers_are_rounded_up)
{
    for (int64_t unit = 1; unit < 40; unit++)
        for (int64_t n = 0; n < 200; n++) {
            ck_assert_int_eq(kd__ceil_div(n, unit), n / unit + (n % unit != 0));
            ck_assert_int_eq(kd__round_up(n, unit) % unit, 0);
            ck_assert(kd__round_up(n, unit) >= n && kd__round_up(n, unit) < n + unit);
        }
    ck_assert_int_eq(kd__clamp(-3, 0, 7), 0);
    ck_assert_int_eq(kd__clamp(9, 0, 7), 7);
    ck_assert_int_eq(kd__clamp(5, 0, 7), 5);
}
END_TEST

/* ---- reads and writes ---- */

enum { PIPED = 1 << 19 };
static int pipe_ends[2];

/* Alarms end after a while: where each takes longer than the time to the next, nothing else ran. */
static void note_alarm(int signal)
{
    static const struct itimerval never;
    static int alarms;
    (void)signal;
    if (++alarms == 100) setitimer(ITIMER_REAL, &never, NULL);
}

/* Slow, and a page at a time: writes wait with nothing written when they are interrupted. */
static void *drain(void *to)
{
    sigset_t alarms;
    ssize_t n = 1;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL);
    for (int64_t at = 0; n > 0; at += n) {
        usleep(2000);
        n = read(pipe_ends[0], (char *)to + at, kd__min(PIPED - at, 4096));
    }
    return NULL;
}

START_TEST(writes_go_on_after_parts_and_interrupts)
{
    char *from = malloc(PIPED), *to = calloc(1, PIPED);
    struct sigaction action = { .sa_handler = note_alarm }; /* no SA_RESTART */
    const struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };
    pthread_t thread;
    for (int i = 0; i < PIPED; i++) from[i] = (char)(i * 7 + i / 256);
    ck_assert_int_eq(pipe(pipe_ends), 0);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    pthread_create(&thread, NULL, drain, to);
    const int failed = kd__write_all(pipe_ends[1], from, PIPED);
    setitimer(ITIMER_REAL, &never, NULL);
    close(pipe_ends[1]);
    pthread_join(thread, NULL);
    ck_assert_int_eq(failed, 0);
    ck_assert_mem_eq(from, to, PIPED);
    close(pipe_ends[0]);
    free(from);
    free(to);
}
END_TEST

START_TEST(reads_tell_how_much_there_was)
{
    char bytes[16];
    int64_t got = -1;
    ck_assert_int_eq(pipe(pipe_ends), 0);
    ck_assert_int_eq(write(pipe_ends[1], "abc", 3), 3);
    close(pipe_ends[1]);
    ck_assert_int_eq(kd__read_all(pipe_ends[0], bytes, sizeof bytes, &got), 0);
    ck_assert_int_eq(got, 3);
    close(pipe_ends[0]);
    errno = 0;
    ck_assert_int_eq(kd__read_all(pipe_ends[0], bytes, 1, &got), -1);
    ck_assert_int_eq(errno, EBADF);
    FILE *file = tmpfile();
    ck_assert_int_eq(kd__write_all(fileno(file), "0123456789", 10), 0);
    ck_assert_int_eq(kd__read_all_at(fileno(file), bytes, 4, 3, &got), 0);
    ck_assert_mem_eq(bytes, "3456", 4);
    ck_assert_int_eq(kd__read_all_at(fileno(file), bytes, 4, 8, &got), 0);
    ck_assert_int_eq(got, 2);
    fclose(file);
}
END_TEST

Suite *base_suite(void)
{
    Suite *suite = suite_create("base");
    TCase *tests = tcase_create("base");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_first_block_is_as_large_as_asked_for);
    tcase_add_test(tests, one_at_a_time_costs_few_blocks_and_keeps_all);
    tcase_add_test(tests, rooms_of_two_arrays_grow_alike);
    tcase_add_test(tests, a_renewed_block_never_stands_beside_the_old_one);
    tcase_add_test(tests, a_size_that_cannot_be_leaves_the_block);
    tcase_add_test(tests, an_arena_holds_until_it_is_emptied);
    tcase_add_test(tests, an_object_gives_its_context_back_as_the_creator_says);
    tcase_add_test(tests, what_was_added_is_found);
    tcase_add_test(tests, steps_of_a_power_of_two_do_not_collide);
    tcase_add_test(tests, the_first_of_equal_keys_is_found);
    tcase_add_test(tests, a_place_is_said_once);
    tcase_add_test(tests, bytes_are_little_endian_at_any_address);
    tcase_add_test(tests, numbers_are_rounded_up);
    tcase_add_test(tests, writes_go_on_after_parts_and_interrupts);
    tcase_add_test(tests, reads_tell_how_much_there_was);
    suite_add_tcase(suite, tests);
    return suite;
}
