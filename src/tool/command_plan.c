/* kdistill plan (and kdistill-plan): what a distillation will cost, before anything runs. See
 * docs/plan.md. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "tool/command.h"
#include "tool/command_line.h"
#include "tool/plan_tool.h"

typedef struct {
    kd_plan_options plan;
    const char *student, *teacher, *folder, *known_case;
    double seconds, link_gbit, gflops, memory_gb, disk_mb, update_gb;
    int64_t threads;
    int measure, list;
} settings;

static settings asked = { .plan = KD_PLAN_OPTIONS_INIT,
                          .seconds = 10,
                          .link_gbit = NAN,
                          .gflops = NAN,
                          .memory_gb = NAN,
                          .disk_mb = NAN,
                          .update_gb = NAN };

static const choice types[] = { { "float32", KD_FLOAT32 },
                                { "bfloat16", KD_BFLOAT16 },
                                { NULL, 0 } };
static const choice kinds[] = { { "text", 0 },
                                { "topk", KD_STORE_TOPK },
                                { "draws", KD_STORE_COUNTS },
                                { "hidden", KD_STORE_HIDDEN },
                                { "dense", KD_STORE_DENSE },
                                { NULL, 0 } };

#define WHOLE(name, member, what)                                                                  \
    {                                                                                              \
        name, WORD_INTEGER, &asked.member, "N", what, -1e18, 1e18, NULL                            \
    }
#define SMALL(name, member, what)                                                                  \
    {                                                                                              \
        name, WORD_SMALL, &asked.member, "N", what, -1e9, 1e9, NULL                                \
    }
#define REAL(name, member, what)                                                                   \
    {                                                                                              \
        name, WORD_NUMBER, &asked.member, "X", what, -1e18, 1e18, NULL                             \
    }
#define TYPE(name, member, what)                                                                   \
    {                                                                                              \
        name, WORD_CHOICE, &asked.plan.member, "TYPE", what, 0, 0, types                           \
    }

static const option options[] = {
    WHOLE("--samples", plan.samples, "data: texts"),
    WHOLE("--tokens", plan.tokens, "data: of all texts"),
    REAL("--length-deviation", plan.length_deviation, "data: standard deviation of their tokens"),
    REAL("--answer-share", plan.answer_share, "data: of tokens, those that are learned"),
    REAL("--token-bytes", plan.token_bytes, "data: bytes of text, a token"),
    REAL("--epochs", plan.epochs, "data: passes"),
    WHOLE("--batch-tokens", plan.batch_tokens, "a step: tokens of all ranks"),
    SMALL("--ranks", plan.ranks, "a rank: how many there are"),
    WHOLE("--pass-tokens", plan.pass_tokens, "a rank: tokens at once; 0: all of its part"),
    SMALL("--recompute", plan.recompute, "a rank: 1: layers are computed twice"),
    SMALL("--recompute-layers", plan.recompute_layers, "a rank: how many; 0: all"),
    TYPE("--activations", activations, "a rank: what a pass keeps"),
    SMALL("--shared-gradients", plan.shared_gradients, "a rank: 1: one layer's memory for all"),
    SMALL("--state-bytes", plan.state_bytes, "a rank: of the optimizer, a parameter"),
    SMALL("--shard", plan.shard, "a rank: 1: keeps its part of the optimizer's state"),
    TYPE("--wire", wire, "network: what gradients travel as"),
    SMALL("--clip", plan.clip, "network: 1: clipped by the norm of all"),
    WHOLE("--bucket-bytes", plan.bucket_bytes, "network: of a piece"),
    REAL("--link-gbit", link_gbit, "network: a second, each way"),
    REAL("--latency", plan.latency, "network: seconds"),
    { "--teacher", WORD_TEXT, &asked.teacher, "CONFIG", "teacher: as CONFIG", 0, 0, NULL },
    { "--keep", WORD_CHOICE, &asked.plan.kind, "KIND", "teacher: what is kept of it", 0, 0, kinds },
    WHOLE("--entries", plan.entries, "teacher: ids or draws of a position"),
    SMALL("--bits", plan.bits, "teacher: of each number of hidden"),
    REAL("--position-bytes", plan.position_bytes, "teacher: of a position, as stats prints them"),
    REAL("--decode-rate", plan.decode_rate, "teacher: tokens a second and rank"),
    REAL("--gflops", gflops, "machine: attained by products"),
    REAL("--efficiency", plan.efficiency, "machine: share of it that steps attain"),
    REAL("--update-gb", update_gb, "machine: of memory, a second, in an update"),
    REAL("--memory-gb", memory_gb, "machine: of a rank"),
    REAL("--disk-mb", disk_mb, "machine: a second"),
    REAL("--failure-hours", plan.failure_hours, "machine: mean time between failures of the job"),
    { .name = "--measure", .to = &asked.measure, .help = "this machine's numbers, measured first" },
    REAL("--seconds", seconds, "measure: how long (10)"),
    { "--threads", WORD_INTEGER, &asked.threads, "N", "measure: 0: one for each processor", 0, 1024,
      NULL },
    { "--folder", WORD_TEXT, &asked.folder, "FOLDER", "measure: whose disk", 0, 0, NULL },
    { "--case", WORD_TEXT, &asked.known_case, "NAME", "a known plan: deepseek", 0, 0, NULL },
    { .name = "--list", .to = &asked.list, .help = "names of published models" },
    COMMON_OPTIONS
};

static page help = {
    "kdistill plan",
    "what a distillation will cost, before anything runs",
    "[options] CONFIG\n--measure [--seconds S] [--folder FOLDER]\n--case deepseek\n--list\n",
    "Bytes, hours, memory of a rank and the network's share of a run, by formulas that "
    "docs/plan.md "
    "compares with what was measured. CONFIG is a config.json, its folder, or a name of --list. "
    "kdistill-plan is another name of this command. --json prints one line of JSON in place of "
    "lines of text.",
    options,
    "kdistill plan --measure --samples 800000 --tokens 4.3e9 --ranks 16 --link-gbit 10 "
    "config.json\n"
    "kdistill plan --json --gflops 203 --samples 1000 --tokens 256000 smollm2-135m\n"
    "kdistill plan --case deepseek\n"
};

/* ---- configs ---- */

static char *read_file(const char *path)
{
    FILE *file = kd__os_file(path, "rb");
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
        say(EXIT_FAILED,
            "%s: expected a config.json, a folder that has one, or a name of --list: %s", name,
            strerror(errno));
    return text;
}

/* ---- what is asked for ---- */

static int measure(kd_context *context, settings *s)
{
    kd_plan_machine m = { .struct_size = sizeof m };
    kd_context_set_blas_threads(context, 1); /* the threads of a rank are the context's */
    PLAN_DO(kd_plan_measure_machine(context, s->folder, s->seconds, &m));
    s->plan.flops = m.flops;
    s->plan.efficiency = m.efficiency;
    s->plan.update_bytes = m.update_bytes;
    if (m.disk_bytes > 0) s->plan.disk_bytes = m.disk_bytes;
    if (s->student) return 0;
    if (saying.json)
        printf("{\"threads\":%d,\"flops\":%.6g,\"efficiency\":%.4g,\"update_bytes\":%.6g,"
               "\"disk_bytes\":%.6g,\"seconds\":%.3g}\n",
               m.threads, m.flops, m.efficiency, m.update_bytes, m.disk_bytes, m.seconds);
    else
        printf("threads %d: --gflops %.1f --efficiency %.3f --update-gb %.2f --disk-mb %.0f   "
               "(%.1f s)\n",
               m.threads, m.flops / 1e9, m.efficiency, m.update_bytes / 1e9, m.disk_bytes / 1e6,
               m.seconds);
    return 0;
}

static int print_plan(kd_context *context, const settings *s)
{
    kd_plan_info p = { .struct_size = sizeof p };
    char *text;
    PLAN_DO(kd_plan_estimate(context, &s->plan, &p));
    PLAN_DO(saying.json ? kd_plan_to_json(context, &p, &text)
                        : kd_plan_to_text(context, &p, &text));
    printf(saying.json ? "%s\n" : "%s", text);
    kd_context_free_text(context, text);
    return 0;
}

static int run(kd_context *context, settings *s)
{
    if (s->known_case) return deepseek_case(context, saying.json);
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

static void scale(double value, double unit, double *to)
{
    if (!isnan(value)) *to = value * unit;
}

static int plan_words(const char **words, int count)
{
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context *context;
    if (asked.list) {
        for (int i = 0; shape_name(i); i++) printf("%s\n", shape_name(i));
        return EXIT_DONE;
    }
    if (count > 1)
        return say(EXIT_USAGE, "expected one config, got '%s' and '%s'", words[0], words[1]);
    if (asked.known_case && strcmp(asked.known_case, "deepseek"))
        return say(EXIT_USAGE, "--case: expected deepseek, got '%s'", asked.known_case);
    if (!count && !asked.measure && !asked.known_case)
        return say(EXIT_USAGE, "expected a config, --measure, --case or --list, got none");
    if (count && (asked.plan.samples < 1 || asked.plan.tokens < 1))
        return say(EXIT_USAGE, "expected --samples N and --tokens N, the texts to learn from and "
                               "the tokens of all of them; the other numbers have defaults");
    if (count && !asked.measure && !(asked.gflops > 0))
        return say(EXIT_USAGE, "expected --measure, which measures this machine for some seconds, "
                               "or the speed of another one, --gflops X");
    asked.student = count ? words[0] : NULL;
    scale(asked.link_gbit, 1e9 / 8, &asked.plan.link_bytes);
    scale(asked.gflops, 1e9, &asked.plan.flops);
    scale(asked.memory_gb, 1e9, &asked.plan.memory_bytes);
    scale(asked.disk_mb, 1e6, &asked.plan.disk_bytes);
    scale(asked.update_gb, 1e9, &asked.plan.update_bytes);
    o.threads = (int32_t)asked.threads;
    NEED(kd_context_create(&context, &o));
    const int code = run(context, &asked);
    kd_context_free(context);
    return code;
}

int command_plan(int count, char **words)
{
    const char **rest = take((size_t)count * sizeof *rest);
    int rest_count;
    if (strcmp(words[0], "plan")) help.name = "kdistill-plan"; /* by that name */
    int code = words_read(&help, count, words, rest, &rest_count);
    if (code < 0) code = plan_words(rest, rest_count);
    free(rest);
    return code;
}
