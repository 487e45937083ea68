/* kdistill-plan - what a distillation will cost, before anything runs. See docs/plan.md. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tool/plan/plan_tool.h"

static const char usage[] =
    "usage: kdistill-plan [options] CONFIG     a config.json, its folder, or a name of --list\n"
    "       kdistill-plan --measure [--seconds S] [--folder FOLDER] [--json]\n"
    "       kdistill-plan --case deepseek [--json]\n"
    "       kdistill-plan --list\n"
    "data:    --samples N --tokens N --length-deviation N --answer-share S --token-bytes N\n"
    "         --epochs N --batch-tokens N\n"
    "a rank:  --ranks N --pass-tokens N --recompute 0|1 --recompute-layers N\n"
    "         --activations float32|bfloat16 --shared-gradients 0|1 --state-bytes N --shard 0|1\n"
    "network: --wire float32|bfloat16 --clip 0|1 --bucket-bytes N --link-gbit N --latency S\n"
    "teacher: --teacher CONFIG --keep text|topk|draws|hidden|dense --entries N --bits N\n"
    "         --position-bytes N --decode-rate N\n"
    "machine: --gflops N --efficiency S --memory-gb N --disk-mb N --failure-hours N\n"
    "         --measure: this machine's, measured first (--threads N, --seconds 10, --folder)\n"
    "--json: one line of JSON in place of lines of text\n";

typedef struct {
    kd_plan_options plan;
    const char *student, *teacher, *folder, *known_case;
    double seconds, threads;
    int json, measure, list;
} settings;

/* ---- options ---- */

enum { INT32, INT64, DOUBLE };
static const struct {
    const char *name;
    int kind;
    size_t at;
    double scale;
} numbers[] = {
#define NUMBER(name, kind, member, scale) { name, kind, offsetof(settings, member), scale }
    NUMBER("--samples", INT64, plan.samples, 1),
    NUMBER("--tokens", INT64, plan.tokens, 1),
    NUMBER("--length-deviation", DOUBLE, plan.length_deviation, 1),
    NUMBER("--answer-share", DOUBLE, plan.answer_share, 1),
    NUMBER("--token-bytes", DOUBLE, plan.token_bytes, 1),
    NUMBER("--epochs", DOUBLE, plan.epochs, 1),
    NUMBER("--batch-tokens", INT64, plan.batch_tokens, 1),
    NUMBER("--ranks", INT32, plan.ranks, 1),
    NUMBER("--pass-tokens", INT64, plan.pass_tokens, 1),
    NUMBER("--recompute", INT32, plan.recompute, 1),
    NUMBER("--recompute-layers", INT32, plan.recompute_layers, 1),
    NUMBER("--shared-gradients", INT32, plan.shared_gradients, 1),
    NUMBER("--state-bytes", INT32, plan.state_bytes, 1),
    NUMBER("--shard", INT32, plan.shard, 1),
    NUMBER("--clip", INT32, plan.clip, 1),
    NUMBER("--bucket-bytes", INT64, plan.bucket_bytes, 1),
    NUMBER("--link-gbit", DOUBLE, plan.link_bytes, 1e9 / 8),
    NUMBER("--latency", DOUBLE, plan.latency, 1),
    NUMBER("--entries", INT64, plan.entries, 1),
    NUMBER("--bits", INT32, plan.bits, 1),
    NUMBER("--position-bytes", DOUBLE, plan.position_bytes, 1),
    NUMBER("--decode-rate", DOUBLE, plan.decode_rate, 1),
    NUMBER("--gflops", DOUBLE, plan.flops, 1e9),
    NUMBER("--efficiency", DOUBLE, plan.efficiency, 1),
    NUMBER("--memory-gb", DOUBLE, plan.memory_bytes, 1e9),
    NUMBER("--disk-mb", DOUBLE, plan.disk_bytes, 1e6),
    NUMBER("--failure-hours", DOUBLE, plan.failure_hours, 1),
    NUMBER("--seconds", DOUBLE, seconds, 1),
    NUMBER("--threads", DOUBLE, threads, 1),
};

static int wrong(const char *name, const char *expected, const char *value)
{
    fprintf(stderr, "kdistill-plan: %s: expected %s, got %s\n", name, expected,
            value ? value : "nothing");
    return 0;
}

/* 0: it is none of the numbers; -1: its value is none. */
static int read_number(settings *s, const char *name, const char *value)
{
    size_t i = 0;
    char *end = NULL;
    while (i < sizeof numbers / sizeof *numbers && strcmp(numbers[i].name, name)) i++;
    if (i == sizeof numbers / sizeof *numbers) return 0;
    const double number = value ? strtod(value, &end) * numbers[i].scale : 0;
    char *at = (char *)s + numbers[i].at;
    if (!value || end == value || *end || !(number >= -1e18 && number <= 1e18)) {
        wrong(name, "a number", value);
        return -1;
    }
    if (numbers[i].kind == DOUBLE) *(double *)(void *)at = number;
    else if (numbers[i].kind == INT64) *(int64_t *)(void *)at = (int64_t)number;
    else if (number < -1e9 || number > 1e9) return wrong(name, "at most 10^9", value), -1;
    else *(int32_t *)(void *)at = (int32_t)number;
    return 1;
}

static int read_type(int32_t *to, const char *name, const char *value)
{
    if (value && !strcmp(value, "float32")) *to = KD_FLOAT32;
    else if (value && !strcmp(value, "bfloat16")) *to = KD_BFLOAT16;
    else return wrong(name, "float32 or bfloat16", value);
    return 1;
}

static int read_kept(int32_t *to, const char *value)
{
    static const struct {
        const char *name;
        int32_t kind;
    } kinds[] = { { "text", 0 },
                  { "topk", KD_STORE_TOPK },
                  { "draws", KD_STORE_COUNTS },
                  { "hidden", KD_STORE_HIDDEN },
                  { "dense", KD_STORE_DENSE } };
    for (size_t i = 0; value && i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, value)) return *to = kinds[i].kind, 1;
    return wrong("--keep", "text, topk, draws, hidden or dense", value);
}

/* Takes a word, and perhaps the one after it: how many; 0: the line is wrong. */
static int read_word(settings *s, const char *word, const char *value)
{
    const int number = read_number(s, word, value);
    if (number) return number < 0 ? 0 : 2;
    if (!strcmp(word, "--json")) return s->json = 1;
    if (!strcmp(word, "--measure")) return s->measure = 1;
    if (!strcmp(word, "--list")) return s->list = 1;
    if (!strcmp(word, "--keep")) return 2 * read_kept(&s->plan.kind, value);
    if (!strcmp(word, "--wire")) return 2 * read_type(&s->plan.wire, word, value);
    if (!strcmp(word, "--activations")) return 2 * read_type(&s->plan.activations, word, value);
    const char **text = !strcmp(word, "--teacher")  ? &s->teacher
                        : !strcmp(word, "--folder") ? &s->folder
                        : !strcmp(word, "--case")   ? &s->known_case
                                                    : NULL;
    if (text) return *text = value, value ? 2 : wrong(word, "a value", value);
    if (!strncmp(word, "--", 2)) return wrong(word, "an option of the list", "another");
    if (s->student) return wrong(word, "one config", "two");
    s->student = word;
    return 1;
}

/* ---- configs ---- */

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = file ? malloc(1 << 20) : NULL;
    if (text) {
        const size_t size = fread(text, 1, (1 << 20) - 1, file);
        text[size] = 0;
        if (ferror(file)) free(text), text = NULL; /* a folder */
    }
    if (file) fclose(file);
    return text;
}

/* Of a name, a file or a folder; to be freed. */
static char *find_config(const char *name)
{
    char path[4096];
    const char *known = shape_config(name);
    if (known) {
        char *copy = malloc(strlen(known) + 1);
        if (copy) strcpy(copy, known);
        return copy;
    }
    char *text = read_file(name);
    snprintf(path, sizeof path, "%s/config.json", name);
    if (!text) text = read_file(path);
    if (!text)
        fprintf(stderr,
                "kdistill-plan: %s: expected a config.json, a folder that has one, or a name of "
                "--list: %s\n",
                name, strerror(errno));
    return text;
}

/* ---- what is asked for ---- */

static int measure(kd_context *context, settings *s)
{
    kd_plan_machine m = { .struct_size = sizeof m };
    PLAN_DO(kd_plan_measure_machine(context, s->folder, s->seconds, &m));
    s->plan.flops = m.flops;
    s->plan.efficiency = m.efficiency;
    if (m.disk_bytes > 0) s->plan.disk_bytes = m.disk_bytes;
    if (s->student) return 0;
    if (s->json)
        printf("{\"threads\":%d,\"flops\":%.6g,\"efficiency\":%.4g,\"disk_bytes\":%.6g,"
               "\"seconds\":%.3g}\n",
               m.threads, m.flops, m.efficiency, m.disk_bytes, m.seconds);
    else
        printf("threads %d: --gflops %.1f --efficiency %.3f --disk-mb %.0f   (%.1f s)\n", m.threads,
               m.flops / 1e9, m.efficiency, m.disk_bytes / 1e6, m.seconds);
    return 0;
}

static int print_plan(kd_context *context, const settings *s)
{
    kd_plan_info p = { .struct_size = sizeof p };
    char *text;
    PLAN_DO(kd_plan_estimate(context, &s->plan, &p));
    PLAN_DO(s->json ? kd_plan_to_json(context, &p, &text) : kd_plan_to_text(context, &p, &text));
    printf(s->json ? "%s\n" : "%s", text);
    kd_context_free_text(context, text);
    return 0;
}

static int run(kd_context *context, settings *s)
{
    if (s->known_case) return deepseek_case(context, s->json);
    if (s->measure && measure(context, s)) return 1;
    if (!s->student) return 0;
    char *student = find_config(s->student), *teacher = s->teacher ? find_config(s->teacher) : NULL;
    int status = 1;
    if (student && (teacher || !s->teacher)) {
        s->plan.student = student;
        s->plan.teacher = teacher;
        status = print_plan(context, s);
    }
    free(student);
    free(teacher);
    return status;
}

int main(int count, char **words)
{
    settings s = { .plan = KD_PLAN_OPTIONS_INIT, .seconds = 10 };
    kd_context *context;
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    for (int i = 1, taken; i < count; i += taken)
        if (!(taken = read_word(&s, words[i], i + 1 < count ? words[i + 1] : NULL))) return 2;
    if (s.list) {
        for (int i = 0; shape_name(i); i++) printf("%s\n", shape_name(i));
        return 0;
    }
    if ((!s.student && !s.measure && !s.known_case) ||
        (s.known_case && strcmp(s.known_case, "deepseek"))) {
        fputs(usage, stderr);
        return 2;
    }
    if (s.threads > 0) o.threads = (int32_t)s.threads;
    PLAN_DO(kd_context_create(&context, &o));
    const int status = run(context, &s);
    kd_context_free(context);
    return status;
}
