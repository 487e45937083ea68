/* Problems in arithmetic, and solutions worked by a program: what people would write by hand. */
#include "course.h"
#include <stdarg.h>
#include <unistd.h>

const char *course_path(const char *folder, const char *name, ...)
{
    static char paths[8][600];
    static int next;
    char *path = paths[next++ % 8];
    va_list arguments;
    int n = snprintf(path, 600, "%s/", folder);
    va_start(arguments, name);
    vsnprintf(path + n, 600 - (size_t)n, name, arguments);
    va_end(arguments);
    return path;
}

int course_exists(const char *path) { return access(path, R_OK) == 0; }

/* ---- the verifier ---- */

/* A sum of products of whole numbers; the numbers are taken out of `given`. */
typedef struct {
    const char *at;
    int given[8], count, wrong;
} reader;

static long number(reader *r)
{
    long value = 0;
    int i = 0;
    if (*r->at < '0' || *r->at > '9') return r->wrong = 1, 0;
    while (*r->at >= '0' && *r->at <= '9' && value < 100000) value = value * 10 + (*r->at++ - '0');
    while (i < r->count && r->given[i] != value) i++;
    if (i == r->count) return r->wrong = 1, 0;
    r->given[i] = -1;
    return value;
}

static long product(reader *r)
{
    long value = number(r);
    while (*r->at == '*') {
        r->at++;
        value *= number(r);
    }
    return value;
}

/* expected "22:5,7,3": 22 out of these */
static int32_t countdown_is_right(const char *expression, const char *expected)
{
    reader r = { expression, { 0 }, 0, 0 };
    const long target = strtol(expected, NULL, 10);
    for (const char *p = strchr(expected, ':'); p && r.count < 8; p = strchr(p + 1, ','))
        r.given[r.count++] = atoi(p + 1);
    long value = product(&r);
    while (!r.wrong && (*r.at == '+' || *r.at == '-')) {
        const int minus = *r.at++ == '-';
        value += minus ? -product(&r) : product(&r);
    }
    return !r.wrong && !*r.at && value == target;
}

static int32_t is_right(void *user, const char *text, const char *expected)
{
    kd_verify_options numbers = KD_VERIFY_OPTIONS_INIT;
    const char *mark = strstr(text, "####");
    int32_t right;
    (void)user;
    if (strchr(expected, ':'))
        return mark && !strstr(mark + 1, "####") && countdown_is_right(mark + 4, expected);
    const kd_status status = kd_verify_answer(text, expected, &numbers, &right, NULL);
    return status < 0 ? status : right;
}

const kd_verify_options course_verify = {
    sizeof course_verify, KD_VERIFY_HOST, 0, 0, 1e-6, NULL, is_right, NULL
};

/* ---- problems ---- */

typedef struct {
    char prompt[160], worked[240], expected[40];
    const char *domain;
} problem;

static uint64_t state;
static int below(int n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int)((state >> 33) % (uint64_t)n);
}

static void multiply(problem *p, int a, int b)
{
    const int tens = b / 10 * 10, ones = b % 10;
    p->domain = "multiplication";
    sprintf(p->prompt, "%d*%d=", a, b);
    sprintf(p->worked, "%d*%d=%d;%d*%d=%d;%d+%d=%d####%d", a, tens, a * tens, a, ones, a * ones,
            a * tens, a * ones, a * b, a * b);
    sprintf(p->expected, "%d", a * b);
}

/* Digit by digit from the right, with the carry written. */
static void add(problem *p, int a, int b)
{
    int carry = 0, n = 0;
    p->domain = "addition";
    sprintf(p->prompt, "%d+%d=", a, b);
    for (int x = a, y = b; x || y; x /= 10, y /= 10) {
        const int sum = x % 10 + y % 10 + carry;
        n += sprintf(p->worked + n, carry ? "%d+%d+1=%d;" : "%d+%d=%d;", x % 10, y % 10, sum);
        carry = sum > 9;
    }
    sprintf(p->worked + n, "####%d", a + b);
    sprintf(p->expected, "%d", a + b);
}

static void words(problem *p, int a, int b, int c, int kind)
{
    static const char *const names[] = { "Ann", "Ben", "Eva", "Tom" }, *const things[] = {
        "pens", "eggs", "nuts", "cups"
    };
    const char *name = names[kind % 4], *thing = things[kind / 4 % 4];
    const int minus = kind / 16 % 2 && a * b > c, total = minus ? a * b - c : a * b + c;
    p->domain = "word problems";
    sprintf(p->prompt, "%s has %d bags of %d %s and %s %d. How many?", name, a, b, thing,
            minus ? "loses" : "finds", c);
    sprintf(p->worked, "%d*%d=%d;%d%c%d=%d####%d", a, b, a * b, a * b, minus ? '-' : '+', c, total,
            total);
    sprintf(p->expected, "%d", total);
}

static void countdown(problem *p, int a, int b, int c, int kind)
{
    const int first = kind % 2 ? a * b : a + b,
              target = kind / 2 % 2 && first > c ? first - c : first + c;
    int given[3] = { a, b, c };
    p->domain = "countdown";
    for (int i = 2; i > 0; i--) {
        const int j = below(i + 1), swap = given[i];
        given[i] = given[j];
        given[j] = swap;
    }
    sprintf(p->prompt, "%d,%d,%d>%d", given[0], given[1], given[2], target);
    sprintf(p->worked, "%d%c%d=%d;%d%c%d=%d####%d%c%d%c%d", a, kind % 2 ? '*' : '+', b, first,
            first, target < first ? '-' : '+', c, target, a, kind % 2 ? '*' : '+', b,
            target < first ? '-' : '+', c);
    sprintf(p->expected, "%d:%d,%d,%d", target, given[0], given[1], given[2]);
}

/* Problem number i of a task: different ones have different numbers, so that none is in two
 * files. */
static void make(problem *p, int task, int i, int turned, int harder)
{
    /* number i of the unordered pairs 10 .. 99, in an order that looks drawn */
    if (task == MULTIPLY) {
        int n = (int)((uint64_t)i * 2654435761u % 4095), a = 10;
        while (n >= 100 - a) n -= 100 - a++;
        const int b = a + n;
        if (harder) multiply(p, 100 + (int)((uint64_t)i * 7919 % 900), b);
        else multiply(p, turned ? b : a, turned ? a : b);
        return;
    }
    state = (uint64_t)i * 4 + (uint64_t)task * 1000003;
    for (int k = 0; k < 4; k++) below(2);
    if (task == ADD) {
        const int size = harder ? 100000 : 10000, a = below(size - 100) + 100,
                  b = below(size - 100) + 100;
        add(p, a, b);
    } else if (task == WORDS) {
        const int a = below(harder ? 90 : 18) + 2, b = below(harder ? 90 : 18) + 2,
                  c = below(99) + 1;
        words(p, a, b, c, below(32));
    } else {
        const int a = below(harder ? 40 : 12) + 1, b = below(harder ? 40 : 12) + 1,
                  c = below(20) + 1;
        countdown(p, a, b, c, below(4));
    }
}

/* 33*33 */
static int same_both_ways(const problem *p)
{
    const char *sign = strchr(p->prompt, '*');
    return sign && atoi(p->prompt) == atoi(sign + 1);
}

/* ---- files ---- */

static void put(kd_record_writer *w, const problem *p, const char *completion)
{
    kd_record r = KD_RECORD_INIT;
    r.prompt = p->prompt;
    r.completion = completion;
    r.expected = p->expected;
    r.domain = p->domain;
    CHECK(kd_record_writer_add(w, &r));
}

enum { WORKED, PROBLEMS, PLAIN, TEST, HELD_OUT, HARDER, FILES };

/* Test prompts: drawn problems may come twice, and none that is tested may be learned. */
static char tested_prompts[4096][160];
static int tested_count;

static int is_tested(const char *prompt)
{
    for (int i = 0; i < tested_count; i++)
        if (!strcmp(tested_prompts[i], prompt)) return 1;
    return 0;
}

/* Problem number i of a task into the files that it belongs to: tests first, then those with worked
 * solutions. */
static void write_problem(kd_record_writer *const *files, int task, int i, const course_size *size)
{
    const int both = task == MULTIPLY ? 2 : 1; /* 47*83 and 83*47 are one problem, in one file */
    const int tested = size->test / both, known = size->worked / both, all = size->problems / both;
    for (int turned = 0; turned < both && i < tested + all; turned++) {
        problem p, h;
        char plain[80];
        make(&p, task, i, turned, 0);
        if (turned && same_both_ways(&p)) continue;
        if (is_tested(p.prompt)) continue;
        if (i < tested) {
            if (tested_count < 4096) strcpy(tested_prompts[tested_count++], p.prompt);
            make(&h, task, i * both + turned, 0, 1);
            put(files[TEST], &p, "");
            put(files[HELD_OUT], &p, p.worked);
            put(files[HARDER], &h, "");
            continue;
        }
        snprintf(plain, sizeof plain, "%s", strstr(p.worked, "####"));
        if (i < tested + known) put(files[WORKED], &p, p.worked);
        put(files[PROBLEMS], &p, "");
        put(files[PLAIN], &p, plain);
    }
}

/* Byte-level BPE in Hugging Face's form: an end, then the signs one token each, then what the
 * merges make. */
/* What ends a text stands beside tokenizer.json: packers and generators then know it. */
static void write_end_token(const char *tokenizer)
{
    char path[700];
    const char *name = strrchr(tokenizer, '/') + 1;
    snprintf(path, sizeof path, "%.*stokenizer_config.json", (int)(name - tokenizer), tokenizer);
    FILE *file = fopen(path, "wb");
    if (!file) {
        fprintf(stderr, "cannot write %s\n", path);
        exit(1);
    }
    fputs("{\"eos_token\":\"<|end|>\"}\n", file);
    fclose(file);
}

static FILE *begin_tokenizer(const char *path)
{
    write_end_token(path);
    FILE *file = fopen(path, "wb");
    if (!file) {
        fprintf(stderr, "cannot write %s\n", path);
        exit(1);
    }
    fputs("{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":0,"
          "\"content\":\"<|end|>\",\"single_word\":false,"
          "\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],"
          "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\","
          "\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},\"post_processor\":"
          "null,\"decoder\":{\"type\":\"ByteLevel\","
          "\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},\"model\":{"
          "\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"
          "\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":false,"
          "\"byte_fallback\":false,\"vocab\":{\"<|end|>\":0",
          file);
    return file;
}

/* Characters, and "####" as one token. */
static void write_tokenizer(const char *path)
{
    static const char signs[] =
        "0123456789#+-*/=;:,.?><()abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    FILE *file = begin_tokenizer(path);
    int id = 1;
    for (const char *c = signs; *c; c++) fprintf(file, ",\"%c\":%d", *c, id++);
    fprintf(file,
            ",\"\u0120\":%d,\"##\":%d,\"####\":%d},\"merges\":[[\"#\",\"#\"],[\"##\",\"##\"]]}}\n",
            id, id + 1, id + 2);
    fclose(file);
}

/* Byte-level BPE writes printable bytes as themselves, the others as the code points from 256 on,
 * in their order. */
void course_byte_tokenizer(const char *path)
{
    FILE *file = begin_tokenizer(path);
    int others = 0;
    for (int byte = 0; byte < 256; byte++) {
        const int printable = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
        fprintf(file, ",\"\\u%04x\":%d", printable ? byte : 256 + others++, byte + 1);
    }
    fputs("},\"merges\":[]}}\n", file);
    fclose(file);
}

void course_write_data(kd_context *ctx, const char *folder, const course_size *size)
{
    static const char *const names[FILES] = { "worked.jsonl", "problems.jsonl", "plain.jsonl",
                                              "test.jsonl",   "held-out.jsonl", "harder.jsonl" };
    kd_record_writer *files[FILES];
    write_tokenizer(course_path(folder, "tokenizer.json"));
    if (course_exists(course_path(folder, "harder.jsonl")) &&
        course_exists(course_path(folder, "held-out.jsonl")))
        return;
    for (int i = 0; i < FILES; i++)
        CHECK(kd_record_writer_open(&files[i], ctx, course_path(folder, "%s", names[i]), NULL));
    for (int i = 0; i < size->test + size->problems; i++)
        for (int task = MULTIPLY; task <= COUNTDOWN; task *= 2)
            if (size->tasks & task) write_problem(files, task, i, size);
    for (int i = 0; i < FILES; i++) {
        CHECK(kd_record_writer_close(files[i]));
        kd_record_writer_free(files[i]);
    }
}
