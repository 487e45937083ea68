/* Texts that are made to end or to stop a verifier: on a small stack, in time in proportion to
 * their length. */
#include <pthread.h>
#include <time.h>

#include "unit.h"

enum { L = KD_VERIFY_LATEX };

/* A unit that is repeated, between a head and a tail. */
static const struct {
    const char *head, *unit, *tail;
} hostile[] = {
    { "", "\\boxed{", "" },
    { "", "\\boxed{", "}" },
    { "", "\\boxed ", "" },
    { "", "\\fbox{x} ", "" },
    { "", "\\text{", "" },
    { "\\boxed{", "{", "}" },
    { "", "{", "" },
    { "", "}", "" },
    { "", "(", "" },
    { "", "[", ")" },
    { "", "|", "" },
    { "", "$", "" },
    { "", "$ ", "5" },
    { "", "\\(", "" },
    { "", "\\[", "5" },
    { "", "<think>", "" },
    { "", "</think>", "5" },
    { "", "<think>x</think>", "" },
    { "", "####", "5" },
    { "", "#", "5" },
    { "", "answer is", "5" },
    { "", "answer: ", "5" },
    { "", "\na: ", "5" },
    { "", "a ", ": 5" },
    { "", "      a", ":" },
    { "", "the final answer*", "" },
    { "2", "^2", "" },
    { "2", "^{2", "" },
    { "3", "!", "" },
    { "", "-", "5" },
    { "", "1,", "1" },
    { "", "1,000,", "000" },
    { "", "9", "" },
    { "0.", "3", "" },
    { "", "1+", "1" },
    { "", "\\frac", "" },
    { "", "\\frac{1}{", "" },
    { "", "\\sqrt", "2" },
    { "", "\\left(", "" },
    { "", "\\sin", "" },
    { "", "\\begin{array}", "" },
    { "", "\\begin{pmatrix}1&", "" },
    { "", "\\overline{", "" },
    { "", "\\", "" },
    { "", "a", "" },
    { "", "x", "5" },
    { "", "ab ", "5" },
    { "", " ", "5" },
    { "", "\n", "5" },
    { "", "*", "5" },
    { "", "5th ", "" },
    { "", ".", "5" },
    { "", "\xe2\x88\x92", "5" },
    { "", "\xef\xbc\x91", "" },
    { "", "\xe4\xb8\xad", "5" },
    { "", "\xc2\xb2", "" },
    { "", "\xff", "5" },
    { "", "\xe2", "" },
    { "x", "=x", "" },
    { "x", "<x", "" },
    { "", "\\pm 1,", "" },
    { "", "\\cup", "" },
    { "", "1 ", "" },
    { "", "\\{", "" },
    { "\\boxed{", "(1,", "}" },
    { "\\boxed{", "-", "1}" },
    { "\\boxed{", "\\sqrt{", "}" },
    { "", "e", "5" },
    { "", "'", "x" },
    { "", "_", "" },
    { "", "\\boxed{}", "5" },
    { "", "\\fbox{7} and ", "5" },
    { "", "\\boxed 5 and ", "5" },
    { "", "\\text{and ", "5" },
    { "", "$5 ", "5" },
    { "", "<think></think>", "5" },
    { "", "\n#### 5\nQuestion:", "5" },
    { "", "A: ", "5" },
    { "", "\nanswer:", "5" },
    { "", "^", "5" },
    { "", "x^", "5" },
    { "", "2^{", "5" },
    { "", "5!", "5" },
    { "", "|x", "5" },
    { "", "\\frac{", "5" },
    { "", "\\sqrt[", "5" },
    { "", "\\log_", "5" },
    { "", "\\over ", "5" },
    { "", "\\left|", "5" },
    { "", "\\begin{pmatrix}", "5" },
    { "", "\\begin{array}{c}", "5" },
    { "", "&", "5" },
    { "", "\\\\", "5" },
    { "", "+", "5" },
    { "", "/", "5" },
    { "", ":", "5" },
    { "", ",", "5" },
    { "", ";", "5" },
    { "", "=", "5" },
    { "", "<", "5" },
    { "", "1{,}234", "5" },
    { "", "12", "5" },
    { "", "%", "5" },
    { "", "\\pm", "5" },
    { "", "a 1 ", "5" },
    { "", "1st ", "5" },
    { "", "ab", "5" },
    { "", "a b ", "5" },
    { "", "\"", "5" },
    { "", "**", "5" },
    { "", "~", "5" },
    { "", "x_{", "5" },
    { "", "0.\\overline{", "5" },
    { "", "\xe2\x82\x81", "5" },
    { "", "\xc2\xbd", "5" },
    { "", "</s>", "5" },
    { "", "<|im_end|>", "5" },
    { "", "\\lfloor ", "5" },
    { "", "1e", "5" },
    { "", "i", "5" },
    { "", "\\quad", "5" },
    { "", "\\binom", "5" },
    { "", "9999!", "5" },
    { "", "9^9^", "5" },
    { "", "\\infty", "5" },
    { "\\begin{pmatrix}1\\end{pmatrix}", "x", "" },
    { "\\begin{pmatrix}x\\end{pmatrix}", "\\begin{pmatrix}1\\end{pmatrix}", "" },
    { "", "(\\begin{pmatrix}1\\end{pmatrix}+2", ")))))))))))))))" },
    { "", "\\begin{pmatrix}1\\end{pmatrix}(", "2))))))))))))" },
};
enum { HOSTILE = sizeof hostile / sizeof *hostile };

static char *repeated(size_t i, int64_t bytes)
{
    const size_t head = strlen(hostile[i].head), unit = strlen(hostile[i].unit),
                 tail = strlen(hostile[i].tail);
    char *text = malloc((size_t)bytes + unit + head + tail + 1), *at = text;
    memcpy(at, hostile[i].head, head);
    for (at += head; at - text < bytes; at += unit) memcpy(at, hostile[i].unit, unit);
    memcpy(at, hostile[i].tail, tail + 1);
    return text;
}

typedef struct {
    char *texts[HOSTILE];
    const char *entry; /* where the thread's own frame is */
    kd_status status;
} work;

/* All verifiers over each text, against a number and against itself. */
static void *verify_hostile(void *arg)
{
    kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
    work *w = arg;
    int32_t right;
    w->entry = __builtin_frame_address(0);
    o.verifiers = 31 | KD_VERIFY_PATTERN;
    o.pattern = "((a|aa)*b){0,20}|[[:alpha:]]+[0-9]{1,40}|(x*)*y";
    o.format = KD_FORMAT_THINK | KD_FORMAT_BOXED;
    for (int i = 0; i < HOSTILE && w->status == KD_OK; i++) {
        w->status = kd_verify_answer(w->texts[i], "5", &o, &right, NULL);
        if (w->status == KD_OK)
            w->status = kd_verify_answer(w->texts[i], w->texts[i], &o, &right, NULL);
    }
    return NULL;
}

enum { STACK = 4 << 20, PAINT = 0xa5 };
enum { MOST_STACK = 56 << 10 }; /* of 64 kB: the rest is for what starts the thread */

/* Runs on a painted stack and returns how many bytes of it, below the thread's own frame, lost
 * their paint. A small stack itself will not do: some libraries of BLAS have 60 kB of thread-local
 * data, which glibc takes from it. */
static int64_t stack_used(work *w)
{
    pthread_t thread;
    pthread_attr_t attributes;
    void *memory;
    ck_assert_int_eq(posix_memalign(&memory, 1 << 16, STACK), 0);
    unsigned char *stack = memory;
    memset(stack, PAINT, STACK);
    pthread_attr_init(&attributes);
    ck_assert_int_eq(pthread_attr_setstack(&attributes, stack, STACK), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, verify_hostile, w), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    const unsigned char *deepest = stack;
    /* where nobody looks: valgrind takes what an ended thread left for unreadable */
    while (!is_loose() && *deepest == PAINT) deepest++;
    const int64_t used = w->entry - (const char *)deepest;
    free(stack);
    return used;
}

static void run_on_painted_stack(int64_t bytes)
{
    work w = { .status = KD_OK };
    for (size_t i = 0; i < HOSTILE; i++) w.texts[i] = repeated(i, bytes);
    const int64_t used = stack_used(&w);
    ck_assert_int_eq(w.status, KD_OK);
    ck_assert_msg(used < MOST_STACK || is_loose(), "texts of %lld bytes: %lld bytes of stack",
                  (long long)bytes, (long long)used);
    for (size_t i = 0; i < HOSTILE; i++) free(w.texts[i]);
}

/* As in pytorch/torchtitan#4442: short enough to be parsed, long enough to nest deep. */
START_TEST(hostile_texts_need_little_stack)
{
    static const int64_t sizes[] = { 20, 60, 200, 500, 990, 1900, 4000, 100000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes - (getenv("KD_TEST_FEW") != NULL); i++)
        run_on_painted_stack(sizes[i]);
}
END_TEST

/* Of processor time, for a text of 1 MB or for one comparison of costly answers. */
static double most_seconds(void) { return is_loose() ? 60 : 0.2; }

static double thread_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The best of three, because other programs share the caches. */
static double seconds_of(const char *text, const char *expected, int32_t verifier, int32_t *right)
{
    kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
    double best = HUGE_VAL;
    o.verifiers = verifier;
    for (int i = 0; i < 3 && best >= most_seconds(); i++) {
        const double from = thread_seconds();
        OK(kd_verify_answer(text, expected, &o, right, NULL));
        best = fmin(best, thread_seconds() - from);
    }
    return best;
}

/* Time that grew with the square of the length would be hours here. */
START_TEST(a_megabyte_takes_a_fifth_of_a_second)
{
    int32_t right;
    for (size_t i = 0; i < HOSTILE; i++) {
        char *text = repeated(i, getenv("KD_TEST_FEW") ? 1 << 13 : 1000000);
        for (int32_t bit = 1; bit <= L; bit *= 2) {
            const double seconds = seconds_of(text, "5", bit, &right);
            ck_assert_msg(seconds < most_seconds(), "'%s' repeated, by %d: %.2f s", hostile[i].unit,
                          bit, seconds);
        }
        free(text);
    }
}
END_TEST

/* Lists, sums and towers that ask for much work in few bytes. */
START_TEST(costly_answers_take_a_fifth_of_a_second)
{
    static const char *const units[] = { "9999!+",
                                         "9999!,",
                                         "\\pm 1,",
                                         "x^x,",
                                         "(a+b)^{99}+",
                                         "\\binom{9999}{4999}+",
                                         "\\binom{9999}{4999},",
                                         "\\binom{x}{9999}+",
                                         "(1,2),",
                                         "1<",
                                         "x=",
                                         "e^{x!},",
                                         "\\{1,2,3\\},",
                                         "9998!+x!,",
                                         "1\\le|x|<3,",
                                         "(1,(2,(3,4))),",
                                         "\\sin x+",
                                         "|x|<1,",
                                         "(-x)^{1/3},",
                                         "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}" };
    int32_t right;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        char text[1100] = "", other[1104];
        while (strlen(text) < 850) strcat(text, units[i]);
        strcat(text, "1");
        snprintf(other, sizeof other, "%s1", text);
        const double seconds = seconds_of(text, other, L, &right);
        ck_assert_msg(!right && seconds < most_seconds(), "'%s': %d in %.2f s", units[i], right,
                      seconds);
    }
}
END_TEST

/* What a backtracking matcher takes hours for. */
START_TEST(patterns_take_time_in_proportion)
{
    static const char *const explosive[] = { "(a|aa)*b",     "(a*)*b",
                                             "((a|a)*)*b",   "(a?){200}a{200}b",
                                             "(([^b]*)*)*b", "([^bcdefgh]{0,20}){0,20}b" };
    kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
    char text[2000];
    int32_t right;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    o.verifiers = KD_VERIFY_PATTERN;
    for (size_t i = 0; i < sizeof explosive / sizeof *explosive; i++) {
        o.pattern = explosive[i];
        const double from = thread_seconds();
        OK(kd_verify_answer(text, "", &o, &right, NULL));
        ck_assert_msg(!right && thread_seconds() - from < most_seconds(), "%s: %d, %.2f s",
                      explosive[i], right, thread_seconds() - from);
    }
}
END_TEST

Suite *verify_hostile_suite(void)
{
    Suite *suite = suite_create("verify hostile");
    TCase *tests = tcase_create("verify hostile");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, hostile_texts_need_little_stack);
    tcase_add_test(tests, a_megabyte_takes_a_fifth_of_a_second);
    tcase_add_test(tests, costly_answers_take_a_fifth_of_a_second);
    tcase_add_test(tests, patterns_take_time_in_proportion);
    suite_add_tcase(suite, tests);
    return suite;
}
