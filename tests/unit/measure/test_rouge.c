/* ROUGE-L on random texts against the table of its definition, and on long texts. */
#include <time.h>

#include "unit.h"

static uint32_t dice_state = 11;
static int dice(int sides)
{
    dice_state = dice_state * 1664525u + 1013904223u;
    return (int)((dice_state >> 8) % (uint32_t)sides);
}

enum { MOST = 400 };

/* `count` words w0 to w(kinds - 1), as numbers and as a text. */
static void write_words(int *words, char *text, int count, int kinds)
{
    *text = 0;
    for (int i = 0; i < count; i++) {
        words[i] = dice(kinds);
        text += sprintf(text, "w%d ", words[i]);
    }
}

static int longest(const int *a, int n, const int *b, int m)
{
    static int table[MOST + 1][MOST + 1];
    for (int i = 1; i <= n; i++)
        for (int j = 1; j <= m; j++) {
            const int more = table[i - 1][j] > table[i][j - 1] ? table[i - 1][j] : table[i][j - 1];
            table[i][j] = a[i - 1] == b[j - 1] ? table[i - 1][j - 1] + 1 : more;
        }
    return n && m ? table[n][m] : 0;
}

START_TEST(rouge_is_that_of_its_definition)
{
    static const int kinds[] = { 1, 2, 3, 10, 100, 1000 };
    kd_context *ctx = make_context(1);
    for (int i = 0; i < 600; i++) {
        int a[MOST], b[MOST];
        char x[MOST * 8], y[MOST * 8];
        const int n = dice(MOST), m = i % 5 ? dice(MOST) : 64 * dice(4), k = kinds[i % 6];
        const char *text = x, *reference = y;
        double value;
        write_words(a, x, n, k);
        write_words(b, y, m, k);
        const double same = longest(a, n, b, m), right = same > 0 ? 2 * same / (n + m) : n + m == 0;
        OK(kd_compare_texts(ctx, KD_TEXT_ROUGE_L, &text, &reference, 1, &value));
        ck_assert_msg(fabs(value - right) < 1e-12, "%d and %d words of %d: %g, expected %g", n, m,
                      k, value, right);
    }
    kd_context_free(ctx);
}
END_TEST

/* Of words that are all the same, of few, and of many. */
START_TEST(long_texts_are_compared_in_time)
{
    static const int kinds[] = { 1, 3, 300, 30000 };
    enum { WORDS = 30000 };
    kd_context *ctx = make_context(1);
    int *words = malloc(WORDS * sizeof *words);
    char *x = malloc(WORDS * 8), *y = malloc(WORDS * 8);
    const char *text = x, *reference = y;
    for (int i = 0; i < 4; i++) {
        double value;
        write_words(words, x, getenv("KD_TEST_FEW") ? 300 : WORDS, kinds[i]);
        write_words(words, y, getenv("KD_TEST_FEW") ? 300 : WORDS, kinds[i]);
        const clock_t from = clock();
        OK(kd_compare_texts(ctx, KD_TEXT_ROUGE_L, &text, &reference, 1, &value));
        const double seconds = (double)(clock() - from) / CLOCKS_PER_SEC;
        ck_assert_msg(seconds < (is_loose() ? 60 : 0.4), "%d kinds of words: %.2f s", kinds[i],
                      seconds);
    }
    free(words);
    free(x);
    free(y);
    kd_context_free(ctx);
}
END_TEST

Suite *rouge_suite(void)
{
    Suite *suite = suite_create("rouge");
    TCase *tests = tcase_create("rouge");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, rouge_is_that_of_its_definition);
    tcase_add_test(tests, long_texts_are_compared_in_time);
    suite_add_tcase(suite, tests);
    return suite;
}
