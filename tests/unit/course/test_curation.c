#include "textkit.h"
#include "unit.h"

static kd_record_reader *reader_of(kd_context *ctx, const char *lines)
{
    kd_record_reader *r;
    OK(kd_record_reader_open_text(&r, ctx, lines, -1, NULL));
    return r;
}

typedef struct setting {
    int32_t number; /* KD_CURATION_...; 0 ends a list */
    double value;
} setting;

/* Runs one filter over lines; what is kept, by "id", in order. */
static void run_with(kd_context *ctx, const char *lines, int32_t kind, const kd_filter_options *o,
                     const setting *settings, char kept[200])
{
    int32_t step;
    kd_curation *c;
    kd_record_writer *w;
    kd_record r = KD_RECORD_INIT;
    const char *path = scratch_path("kept.jsonl");
    kd_record_reader *in = reader_of(ctx, lines), *out;
    OK(kd_curation_create(&c, ctx, NULL));
    OK(kd_curation_add(c, kind, o, &step));
    for (; settings->number; settings++)
        OK(kd_curation_set(c, step, settings->number, settings->value));
    OK(kd_record_writer_open(&w, ctx, path, NULL));
    OK(kd_curation_run(c, in, w, NULL));
    OK(kd_record_writer_close(w));
    OK(kd_record_reader_open(&out, ctx, &path, 1, NULL));
    *kept = 0;
    while (kd_record_reader_next(out, &r) == KD_OK) {
        strcat(kept, r.id);
        ck_assert(strlen(r.passed) > 2);
    }
    kd_record_reader_free(out);
    kd_record_reader_free(in);
    kd_record_writer_free(w);
    kd_curation_free(c);
}

static void run_filter(kd_context *ctx, const char *lines, int32_t kind, const kd_filter_options *o,
                       char kept[200])
{
    run_with(ctx, lines, kind, o, &(setting){ 0, 0 }, kept);
}

#define SET(...)                                                                                   \
    (const setting[])                                                                              \
    {                                                                                              \
        __VA_ARGS__, { 0, 0 }                                                                      \
    }

#define LINE(id, prompt, completion, more)                                                         \
    "{\"id\":\"" id "\",\"prompt\":\"" prompt "\",\"completion\":\"" completion "\"" more "}\n"

/* A rule, a text, and whether it stays. */
static const struct {
    int32_t kind;
    const char *text;
    int kept;
} rules[] = {
    { KD_FILTER_LENGTH, "", 0 },
    { KD_FILTER_LENGTH, "a", 1 },
    { KD_FILTER_REPETITION, "one two three four five six seven eight nine ten", 1 },
    { KD_FILTER_REPETITION, "so wait. so wait. so wait. so wait. so wait. ", 0 },
    { KD_FILTER_REPETITION,
      "I think I know. I think I know. I think I know. I think I know. But this is the end of the "
      "long text of mine",
      0 },
    { KD_FILTER_REPETITION, "the list ends ........................", 1 },
    { KD_FILTER_SCRIPTS, "plain English \xc3\xa9t\xc3\xa9 with \xcf\x80 r", 1 },
    { KD_FILTER_SCRIPTS, "the answer \xe6\x98\xaf\xe4\xba\x94\xe5\x8d\x81 is fifty", 0 },
    { KD_FILTER_SCRIPTS, "\xe7\xad\x94\xe6\xa1\x88\xe6\x98\xaf\xe4\xba\x94\xe5\x8d\x81", 1 },
    { KD_FILTER_SCRIPTS, "\xd0\xbe\xd1\x82\xd0\xb2\xd0\xb5\xd1\x82 is five", 0 },
    { KD_FILTER_SCRIPTS, "123 + 456", 1 },
    { KD_FILTER_LANGUAGES, "we know that the sum of these is fifty, so they have what you said",
      1 },
    { KD_FILTER_LANGUAGES,
      "we know that the sum of these is fifty, und das ist nicht von mir, aber auch noch wahr", 0 },
    { KD_FILTER_LANGUAGES, "we know that the sum of these is fifty, und nicht", 1 },
    { KD_FILTER_LANGUAGES, "und das ist nicht von mir, aber auch noch wahr, wenn wir es sehen", 1 },
    { KD_FILTER_LANGUAGES,
      "<think>the teacher says that it was what they have</think> pues la respuesta es cincuenta "
      "porque el total y los otros",
      0 },
    { KD_FILTER_LANGUAGES, "\\\\frac{1}{2} + x = 7", 1 },
    { KD_FILTER_LANGUAGES, "", 1 },
    { KD_FILTER_MARKUP, "<think>a</think>b", 1 },
    { KD_FILTER_MARKUP, "<think>a", 0 },
    { KD_FILTER_MARKUP, "a</think>b", 0 },
    { KD_FILTER_MARKUP, "</think>a<think>", 0 },
    { KD_FILTER_MARKUP, "<think>a</think><think>b</think>", 0 },
    { KD_FILTER_MARKUP, "[THINK]a[/THINK]b", 1 },
    { KD_FILTER_MARKUP, "[THINK]a", 0 },
    { KD_FILTER_MARKUP, "a[/THINK]b", 0 },
    { KD_FILTER_MARKUP, "```c\\nint x;\\n```", 1 },
    { KD_FILTER_MARKUP, "```c\\nint x;", 0 },
    { KD_FILTER_MARKUP, "the ``` sign", 1 },
    { KD_FILTER_MARKUP, "\\\\boxed{\\\\frac{1}{2}}", 1 },
    { KD_FILTER_MARKUP, "\\\\boxed{\\\\frac{1}{2}", 0 },
    { KD_FILTER_MARKUP, "\\\\boxed{\\\\{1\\\\}}", 1 },
    { KD_FILTER_MARKUP, "\\\\begin{align}x", 0 },
    { KD_FILTER_MARKUP, "$$x$$ and $$y", 0 },
};

START_TEST(rules_keep_and_drop)
{
    kd_context *ctx = make_context(1);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        char line[600], kept[200];
        snprintf(line, sizeof line, "{\"id\":\"x\",\"prompt\":\"q\",\"completion\":\"%s\"}",
                 rules[i].text);
        run_filter(ctx, line, rules[i].kind, NULL, kept);
        ck_assert_msg((*kept == 'x') == rules[i].kept, "rule %d: %s", rules[i].kind, rules[i].text);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(units_count_and_finish_is_seen)
{
    kd_context *ctx = make_context(1);
    kd_filter_options o = KD_FILTER_OPTIONS_INIT;
    char kept[200];
    const char *lines = LINE("a", "q", "one two", "") LINE("b", "q", "one two three four", "")
        LINE("c", "q", "one two three", ",\"finish\":\"length\"")
            LINE("d", "q", "one two three", ",\"finish_reason\":\"stop\"");
    o.unit = KD_UNIT_WORDS;
    run_with(ctx, lines, KD_FILTER_LENGTH, &o,
             SET({ KD_CURATION_MIN_LENGTH, 3 }, { KD_CURATION_MAX_LENGTH, 3 }), kept);
    ck_assert_str_eq(kept, "d");
    run_with(ctx,
             LINE("a", "q", "one two three\\n\\nfour five", "")
                 LINE("b", "q", "one two three four\\n\\nfive", ""),
             KD_FILTER_PARAGRAPHS, &o, SET({ KD_CURATION_MAX_PARAGRAPH, 3 }), kept);
    ck_assert_str_eq(kept, "a");
    o.unit = KD_UNIT_TOKENS;
    kd_curation *c;
    OK(kd_curation_create(&c, ctx, NULL));
    FAILS(kd_curation_add(c, KD_FILTER_LENGTH, &o, NULL), KD_ERR_INVALID, "tokenizer");
    kd_curation_free(c);
    kd_context_free(ctx);
}
END_TEST

START_TEST(duplicates_near_and_exact)
{
    kd_context *ctx = make_context(1);
    char kept[200];
    const char *text = "the quick brown fox jumps over the lazy dog and then goes home to sleep "
                       "until the morning comes again with its light and all "
                       "the birds begin to sing";
    char lines[2000];
    snprintf(lines, sizeof lines,
             "{\"id\":\"a\",\"prompt\":\"p\",\"completion\":\"%s\"}\n{\"id\":\"b\",\"prompt\":"
             "\"p\",\"completion\":\"%s\"}\n{\"id\":\"c\",\"prompt\":"
             "\"other\",\"completion\":"
             "\"%s loudly\"}\n{\"id\":\"d\",\"prompt\":\"p\",\"completion\":\"something that has "
             "nothing in common with the others at all\"}\n",
             text, text, text);
    run_filter(ctx, lines, KD_FILTER_DUPLICATES, NULL, kept);
    ck_assert_str_eq(kept, "acd");
    run_filter(ctx, lines, KD_FILTER_NEAR_DUPLICATES, NULL, kept);
    ck_assert_str_eq(kept, "ad");
    kd_context_free(ctx);
}
END_TEST

/* Scripts without spaces, and spaces of other kinds: the same text but for its first characters is
 * near, another one is not. */
START_TEST(near_duplicates_are_found_in_scripts_without_spaces)
{
    static const char *const texts[][3] = {
        { "\u6211\u4eec\u5148\u628a\u4e24\u4e2a\u6570\u76f8\u52a0\u7136\u540e\u518d\u9664\u4ee5"
          "\u4e09\u6240\u4ee5\u7ed3\u679c\u662f\u56db"
          "\u5341\u4e8c\u8fd9\u5c31\u662f\u6700\u540e\u7684\u7b54\u6848\u8bf7\u68c0\u67e5\u4e00"
          "\u4e0b",
          "\u4f60\u4eec\u5148\u628a\u4e24\u4e2a\u6570\u76f8\u52a0\u7136\u540e\u518d\u9664\u4ee5"
          "\u4e09\u6240\u4ee5\u7ed3\u679c\u662f\u56db"
          "\u5341\u4e8c\u8fd9\u5c31\u662f\u6700\u540e\u7684\u7b54\u6848\u8bf7\u68c0\u67e5\u4e00"
          "\u4e0b",
          "\u5c0f\u660e\u6709\u4e94\u672c\u4e66\u4ed6\u53c8\u4e70\u4e86\u4e03\u672c\u540e\u6765"
          "\u9001\u7ed9\u540c\u5b66\u4e09\u672c" },
        { "\u0e40\u0e23\u0e32\u0e1a\u0e27\u0e01\u0e08\u0e33\u0e19\u0e27\u0e19\u0e41\u0e25\u0e49"
          "\u0e27\u0e2b\u0e32\u0e23\u0e14\u0e49\u0e27"
          "\u0e22\u0e2a\u0e32\u0e21\u0e44\u0e14\u0e49\u0e04\u0e33\u0e15\u0e2d\u0e1a",
          "\u0e02\u0e32\u0e1a\u0e27\u0e01\u0e08\u0e33\u0e19\u0e27\u0e19\u0e41\u0e25\u0e49\u0e27"
          "\u0e2b\u0e32\u0e23\u0e14\u0e49\u0e27"
          "\u0e22\u0e2a\u0e32\u0e21\u0e44\u0e14\u0e49\u0e04\u0e33\u0e15\u0e2d\u0e1a",
          "\u0e2d\u0e32\u0e01\u0e32\u0e28\u0e27\u0e31\u0e19\u0e19\u0e35\u0e49\u0e14\u0e35\u0e21"
          "\u0e32\u0e01\u0e44\u0e1b\u0e40\u0e17\u0e35\u0e48"
          "\u0e22\u0e27\u0e01\u0e31\u0e19" },
        { "one two three four five six seven eight nine ten eleven twelve thirteen fourteen",
          "one\u00a0two\u202fthree\u3000four five six seven eight nine ten eleven twelve thirteen "
          "\uff46\uff4f\uff55\uff52\uff54\uff45\uff45\uff4e",
          "these words have nothing in common with those above at all as one can see" },
    };
    kd_context *ctx = make_context(1);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char lines[6000], kept[200];
        int at = 0;
        for (int k = 0; k < 3; k++)
            at += snprintf(lines + at, sizeof lines - (size_t)at,
                           "{\"id\":\"%c\",\"prompt\":\"p%d\",\"completion\":\"%s\"}\n", 'a' + k, k,
                           texts[i][k]);
        run_filter(ctx, lines, KD_FILTER_NEAR_DUPLICATES, NULL, kept);
        ck_assert_msg(!strcmp(kept, "ac"), "script %d: kept %s", (int)i, kept);
    }
    kd_context_free(ctx);
}
END_TEST

/* Pairs of texts of 200 words with a known share in common: those above the threshold are found,
 * those far below are not. */
START_TEST(near_duplicates_follow_jaccard)
{
    kd_context *ctx = make_context(1);
    static const struct {
        int different;
        double low, high; /* share of pairs that may be found */
    } cases[] = { { 0, 1, 1 }, { 2, 0.95, 1 }, { 60, 0, 0.02 }, { 200, 0, 0 } };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        enum { PAIRS = 60 };
        kd_curation *c;
        kd_filter_options o = KD_FILTER_OPTIONS_INIT;
        char *lines = malloc(PAIRS * 2 * 2200), *at = lines;
        for (int pair = 0; pair < PAIRS; pair++)
            for (int side = 0; side < 2; side++) {
                at += sprintf(at, "{\"prompt\":\"%d %d\",\"completion\":\"", pair, side);
                for (int w = 0; w < 200; w++)
                    at += sprintf(at, "w%d ",
                                  w < cases[k].different ? pair * 1000 + w + side * 500
                                                         : pair * 1000 + w);
                at += sprintf(at, "\"}\n");
            }
        kd_record_reader *r = reader_of(ctx, lines);
        kd_funnel f = { .struct_size = sizeof f };
        o.ngram = 1; /* words: Jaccard is (200 - d) / (200 + d) */
        OK(kd_curation_create(&c, ctx, NULL));
        OK(kd_curation_add(c, KD_FILTER_NEAR_DUPLICATES, &o, NULL));
        OK(kd_curation_run(c, r, NULL, NULL));
        OK(kd_curation_get_step(c, 1, &f));
        const double found = (double)f.dropped / PAIRS;
        ck_assert_msg(found >= cases[k].low && found <= cases[k].high, "%d different: %g found",
                      cases[k].different, found);
        kd_curation_free(c);
        kd_record_reader_free(r);
        free(lines);
    }
    kd_context_free(ctx);
}
END_TEST

/* A test set in many disguises; every planted leak is found, and nothing else. */
START_TEST(planted_leaks_are_found)
{
    kd_context *ctx = make_context(1);
    kd_filter_options o = KD_FILTER_OPTIONS_INIT;
    char kept[200];
    kd_record_reader *tests =
        reader_of(ctx, "{\"prompt\":\"Natalia sold clips to 48 of her friends in April, and then "
                       "she sold half as many clips in May.\"}\n"
                       "{\"prompt\":\"47*83=\"}\n{\"prompt\":\"short one\",\"completion\":\"\"}");
    const char *lines = LINE("a", "natalia SOLD clips, to 48 of her friends in april", "x", "")
        LINE("b", "Tell me: Natalia sold clips to 48 of her friends in May", "x", "")
            LINE("c", "q", "As we know, natalia sold clips to 48 of her friends in April! Then", "")
                LINE("d", "Natalia sold clips to 49 of her friends in April", "x", "")
                    LINE("e", "47*83=", "3901", "") LINE("f", "47 * 83 =", "3901", "")
                        LINE("g", "47+83=", "130", "") LINE("h", "83*47=", "3901", "")
                            LINE("i", "Short one", "y", "") LINE("j", "a short one", "y", "");
    o.tests = tests;
    run_filter(ctx, lines, KD_FILTER_CONTAMINATION, &o, kept);
    ck_assert_str_eq(kept, "bdghj"); /* b: only nine words in a row */
    o.ngram = 3;
    run_filter(ctx, LINE("a", "she sold half of it", "x", "") LINE("b", "half as many", "y", ""),
               KD_FILTER_CONTAMINATION, &o, kept);
    ck_assert_str_eq(kept, "");
    kd_curation *c;
    o.unit = KD_UNIT_TOKENS;
    OK(kd_curation_create(&c, ctx, NULL));
    FAILS(kd_curation_add(c, KD_FILTER_CONTAMINATION, &o, NULL), KD_ERR_INVALID, "tokenizer");
    kd_curation_free(c);
    kd_record_reader_free(tests);
    o.unit = -1;
    o.tests = NULL;
    OK(kd_curation_create(&c, ctx, NULL));
    FAILS(kd_curation_add(c, KD_FILTER_CONTAMINATION, &o, NULL), KD_ERR_INVALID, "tests");
    kd_curation_free(c);
    kd_context_free(ctx);
}
END_TEST

static const char *const many =
    LINE("a", "p", "#### 1", ",\"expected\":\"1\",\"score\":0.5,\"domain\":\"x\"")
        LINE("b", "p", "it is #### 1", ",\"expected\":\"1\",\"score\":0.9,\"domain\":\"x\"")
            LINE("c", "p", "#### 2", ",\"expected\":\"1\",\"domain\":\"x\"")
                LINE("d", "q", "#### 7", ",\"expected\":\"8\",\"domain\":\"y\"")
                    LINE("e", "q", "I say #### 7", ",\"expected\":\"8\",\"domain\":\"y\"")
                        LINE("f", "r", "#### 3", ",\"expected\":\"3\",\"domain\":\"x\"");

/* Signs are tokens and no words: what words cannot see. */
START_TEST(leaks_are_found_by_tokens)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *tokenizer;
    kd_curation *c;
    kd_record_writer *w;
    kd_curation_options co = KD_CURATION_OPTIONS_INIT;
    kd_filter_options o = KD_FILTER_OPTIONS_INIT;
    const char *path = scratch_path("curation-tokenizer.json"), *kept = scratch_path("kept.jsonl");
    kd_record_reader *tests = reader_of(ctx, LINE("t", "12+34*56-78", "", ""));
    kd_record_reader *in = reader_of(ctx, LINE("a", "ask", "so 12+34*56-7 it is", "")
                                              LINE("b", "ask", "so 12+34+56-7 it is", "")
                                                  LINE("c", "now 12-34*56+78", "", ""));
    ck_assert_int_eq(bytes_tokenizer(path, TEXT_CUT, TEXT_ADDED), 0);
    OK(kd_tokenizer_load(&tokenizer, ctx, path));
    co.tokenizer = tokenizer;
    o.tests = tests;
    for (int tokens = 0; tokens < 2; tokens++) {
        o.unit = tokens ? KD_UNIT_TOKENS : KD_UNIT_WORDS;
        o.ngram = tokens ? 7 : 4;
        OK(kd_curation_create(&c, ctx, &co));
        OK(kd_curation_add(c, KD_FILTER_CONTAMINATION, &o, NULL));
        OK(kd_record_writer_open(&w, ctx, kept, NULL));
        OK(kd_curation_run(c, in, w, NULL));
        OK(kd_record_writer_close(w));
        kd_record_writer_free(w);
        kd_record_reader *out;
        kd_record r = KD_RECORD_INIT;
        char ids[8] = "";
        OK(kd_record_reader_open(&out, ctx, &kept, 1, NULL));
        while (kd_record_reader_next(out, &r) == KD_OK) strcat(ids, r.id);
        ck_assert_str_eq(ids, tokens ? "bc" : "ab");
        kd_record_reader_free(out);
        kd_curation_free(c);
    }
    kd_tokenizer_free(tokenizer);
    kd_record_reader_free(in);
    kd_record_reader_free(tests);
    kd_context_free(ctx);
}
END_TEST

START_TEST(records_are_compared_with_each_other)
{
    kd_context *ctx = make_context(1);
    kd_filter_options o = KD_FILTER_OPTIONS_INIT;
    char kept[200];
    run_filter(ctx, many, KD_FILTER_VERIFY, NULL, kept);
    ck_assert_str_eq(kept, "abf");
    run_with(ctx, many, KD_FILTER_PASS_RATE, &o, SET({ KD_CURATION_MAX_PASS_RATE, 0.9 }), kept);
    ck_assert_str_eq(kept, "abc"); /* q is too hard, r too easy */
    o = (kd_filter_options)KD_FILTER_OPTIONS_INIT;
    run_filter(ctx, many, KD_FILTER_BEST, &o, kept);
    ck_assert_str_eq(kept, "bdf");
    o.choose = KD_CHOOSE_SHORTEST;
    run_filter(ctx, many, KD_FILTER_BEST, &o, kept);
    ck_assert_str_eq(kept, "adf");
    o.choose = KD_CHOOSE_VARIED;
    o.ngram = 1;
    run_with(ctx, many, KD_FILTER_BEST, &o, SET({ KD_CURATION_MAX_PER_PROMPT, 2 }), kept);
    ck_assert_str_eq(kept, "acdef"); /* a and c have nothing in common */
    o = (kd_filter_options)KD_FILTER_OPTIONS_INIT;
    run_filter(ctx, many, KD_FILTER_AGREEMENT, &o, kept);
    ck_assert_str_eq(kept, "abdef");
    run_filter(ctx, many, KD_FILTER_BALANCE, &o, kept);
    ck_assert_int_eq(strlen(kept), 4); /* two of x, two of y */
    const char *const domains[] = { "x", "y" };
    const double shares[] = { 3, 1 };
    o.domains = domains;
    o.shares = shares;
    o.domain_count = 2;
    run_filter(ctx, many, KD_FILTER_BALANCE, &o, kept);
    ck_assert_int_eq(strlen(kept), 5); /* four of x, one of y */
    o = (kd_filter_options)KD_FILTER_OPTIONS_INIT;
    /* a, c, d, f are short */
    run_with(ctx, many, KD_FILTER_LENGTH_MIX, &o,
             SET({ KD_CURATION_SHORT_LENGTH, 6 }, { KD_CURATION_SHORT_SHARE, 0.5 }), kept);
    ck_assert_int_eq(strlen(kept), 4);
    run_with(ctx, many, KD_FILTER_SAMPLE, &o, SET({ KD_CURATION_MAX_RECORDS, 3 }), kept);
    ck_assert_int_eq(strlen(kept), 3);
    run_with(ctx, many, KD_FILTER_SCORE, &o, SET({ KD_CURATION_MIN_SCORE, 0.6 }), kept);
    ck_assert_str_eq(kept, "b");
    kd_context_free(ctx);
}
END_TEST

static int32_t host(void *user, kd_record *r, const char **reason)
{
    int *fail = user;
    if (*fail == 1) return kd_set_error(KD_ERR_IO, "mine");
    if (*fail == 2) return 7;
    r->score = (double)strlen(r->completion);
    r->domain = "changed";
    r->completion = "\xff"; /* not taken over */
    *reason = "not liked";
    return *r->id != 'c';
}

START_TEST(filters_run_in_order_and_the_funnel_adds_up)
{
    kd_context *ctx = make_context(1);
    kd_curation *c;
    kd_filter_options o = KD_FILTER_OPTIONS_INIT;
    kd_curation_options co = KD_CURATION_OPTIONS_INIT;
    kd_record_writer *kept, *held;
    kd_record r = KD_RECORD_INIT;
    int fail = 0;
    int32_t steps;
    char *table;
    kd_record_reader *in = reader_of(ctx, many);
    const char *paths[] = { scratch_path("funnel-kept.jsonl"), scratch_path("funnel-held.jsonl") };
    co.validation = 0.5;
    o.function = host;
    o.user = &fail;
    OK(kd_curation_create(&c, ctx, &co));
    OK(kd_curation_add(c, KD_FILTER_HOST, &o, NULL));
    OK(kd_curation_add(c, KD_FILTER_BEST, NULL, NULL)); /* by the host's score: the longest */
    OK(kd_curation_add(c, KD_FILTER_VERIFY, NULL, NULL));
    FAILS(kd_curation_to_text(c, &table), KD_ERR_STATE, "run");
    OK(kd_record_writer_open(&kept, ctx, paths[0], NULL));
    OK(kd_record_writer_open(&held, ctx, paths[1], NULL));
    FAILS(kd_curation_run(c, in, kept, NULL), KD_ERR_INVALID, "second writer");
    fail = 1;
    FAILS(kd_curation_run(c, in, kept, held), KD_ERR_IO, "mine");
    fail = 2;
    FAILS(kd_curation_run(c, in, kept, held), KD_ERR_CALLBACK, "returned 7");
    fail = 0;
    OK(kd_curation_run(c, in, kept, held));
    OK(kd_record_writer_close(kept));
    OK(kd_record_writer_close(held));
    OK(kd_curation_step_count(c, &steps));
    ck_assert_int_eq(steps, 5);
    static const int64_t expected[5][4] = {
        { 6, 0, 6, 3 }, { 6, 1, 5, 3 }, { 5, 2, 3, 3 }, { 3, 1, 2, 2 }
    };
    for (int s = 0; s < 4; s++) {
        kd_funnel f = { .struct_size = sizeof f };
        OK(kd_curation_get_step(c, s, &f));
        ck_assert_msg(f.seen == expected[s][0] && f.dropped == expected[s][1] &&
                          f.kept == expected[s][2] && f.kept_prompts == expected[s][3],
                      "step %d: %lld %lld %lld %lld", s, (long long)f.seen, (long long)f.dropped,
                      (long long)f.kept, (long long)f.kept_prompts);
    }
    OK(kd_curation_to_text(c, &table));
    ck_assert(strstr(table, "not liked 1") && strstr(table, "wrong 1"));
    kd_context_free_text(ctx, table);
    int64_t out = 0;
    for (int i = 0; i < 2; i++) { /* no prompt is in both; what the host changed is written */
        kd_record_reader *w;
        OK(kd_record_reader_open(&w, ctx, &paths[i], 1, NULL));
        while (kd_record_reader_next(w, &r) == KD_OK) {
            out++;
            int32_t is_held;
            OK(kd_curation_is_held_out(r.prompt_key, 7, 0.5, &is_held));
            ck_assert_int_eq(is_held, i);
            ck_assert_str_eq(r.domain, "changed");
            ck_assert_str_eq(r.passed, "host,best,verify");
            ck_assert(r.score > 5);
        }
        kd_record_reader_free(w);
    }
    ck_assert_int_eq(out, 2);
    kd_report *report;
    const char *json;
    OK(kd_report_create(&report, ctx));
    OK(kd_curation_fill_report(c, report, "funnel"));
    OK(kd_report_json(report, &json));
    ck_assert(strstr(json, "funnel, pass rates") && strstr(json, "\"validation\""));
    kd_report_free(report);
    kd_record_writer_free(kept);
    kd_record_writer_free(held);
    kd_record_reader_free(in);
    kd_curation_free(c);
    kd_context_free(ctx);
}
END_TEST

Suite *curation_suite(void)
{
    Suite *suite = suite_create("curation");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, near_duplicates_are_found_in_scripts_without_spaces);
    tcase_add_test(tests, rules_keep_and_drop);
    tcase_add_test(tests, units_count_and_finish_is_seen);
    tcase_add_test(tests, duplicates_near_and_exact);
    tcase_add_test(tests, near_duplicates_follow_jaccard);
    tcase_add_test(tests, planted_leaks_are_found);
    tcase_add_test(tests, leaks_are_found_by_tokens);
    tcase_add_test(tests, records_are_compared_with_each_other);
    tcase_add_test(tests, filters_run_in_order_and_the_funnel_adds_up);
    suite_add_tcase(suite, tests);
    return suite;
}
