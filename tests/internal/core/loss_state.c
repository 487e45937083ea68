/* A loss's part of a checkpoint whose bytes were changed, under a checksum that fits: it is read or
 * refused, and nothing is taken that the file does not hold. */
#include <check.h>
#include <kdistill.h>

#include "core/loss/loss.h"
#include "math/random.h"
#include "internal/suites.h"

enum { TRIALS = 4000, MOST_BYTES = 4096 };

static kd_loss *make_loss(kd_context *context, int64_t to)
{
    static const int32_t kinds[] = { KD_LOSS_HIDDEN_COSINE, KD_LOSS_VARIATIONAL, KD_LOSS_CKA };
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    kd_loss *loss = NULL;
    ck_assert(kd_loss_create(&loss, context, NULL) == KD_OK);
    for (int32_t i = 0; i < 3; i++) {
        ck_assert(kd_loss_add(loss, kinds[i], 1, NULL, NULL) == KD_OK);
        o.kind = i ? KD_PROJECTION_LINEAR_BIAS : KD_PROJECTION_MLP;
        o.from = to ? 3 : 0;
        o.to = to;
        ck_assert(kd_loss_set_projection(loss, i, &o) == KD_OK);
    }
    return loss;
}

/* One to four bytes of 2^k - 1, 0, 255 or another value. */
static void damage(char *bytes, int64_t size, uint64_t stream)
{
    static const unsigned char values[] = { 0, 1, 127, 128, 255 };
    const uint64_t changes = 1 + kd__below(stream, 0, 4);
    for (uint64_t i = 1; i <= changes; i++) {
        const uint64_t at = kd__below(stream, 2 * i, (uint64_t)size);
        bytes[at] = (char)values[kd__below(stream, 2 * i + 1, 5)];
    }
}

/* Into a loss whose widths are open, or the one that was saved. */
static void restore(kd_context *context, const kd__text *state, uint64_t trial)
{
    char bytes[MOST_BYTES];
    kd_loss *loss = make_loss(context, trial % 2 ? 0 : 5);
    const uint64_t stream = kd__stream(11, trial, 0);
    memcpy(bytes, state->bytes, (size_t)state->size);
    damage(bytes, state->size, stream);
    const int64_t size = trial % 3 ? state->size
                                   : (int64_t)kd__below(stream, 99, (uint64_t)state->size);
    for (int apply = 0; apply < 2; apply++) {
        kd__state_reader reader = { bytes, bytes + size, "loss" };
        if (kd__loss_restore(loss, &reader, apply) != KD_OK) break;
    }
    kd_loss_free(loss);
}

START_TEST(damaged_states_are_read_or_refused)
{
    kd_context *context = NULL;
    kd_context_info info = { .struct_size = sizeof info };
    ck_assert(kd_context_create(&context, NULL) == KD_OK);
    kd_loss *saved = make_loss(context, 5);
    kd__text state = { .context = context };
    ck_assert(kd__loss_save(saved, &state) == KD_OK);
    ck_assert_int_lt(state.size, MOST_BYTES);
    for (uint64_t trial = 0; trial < TRIALS; trial++) restore(context, &state, trial);
    ck_assert(kd_context_get_info(context, &info) == KD_OK);
    ck_assert_uint_lt(info.peak_bytes, 4000000);
    kd__text_free(&state);
    kd_loss_free(saved);
    kd_context_free(context);
}
END_TEST

Suite *loss_state_suite(void)
{
    Suite *suite = suite_create("loss_state");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, damaged_states_are_read_or_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
