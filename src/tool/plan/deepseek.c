/* DeepSeek-R1's distillation [Guo et al. 2025, section 2.4]: 800,000 samples, here 4.3 billion
 * tokens, students from 135M to 70B parameters. */
#include <math.h>

#include "tool/plan/plan_tool.h"

/* Attained by products, a second. Two cores in float32 are measured (docs/performance.md), the
 * others are assumed: nobody here has such a machine. */
static const struct {
    const char *name;
    double flops;
    int32_t ranks;
} machines[] = {
    { "2 cores, float32", 203e9, 1 },
    { "64 cores, bfloat16", 6e12, 1 },
    { "16 nodes of 64", 6e12, 16 },
    { "128 nodes of 64", 6e12, 128 },
};
enum { MACHINES = sizeof machines / sizeof *machines };

static const char *const students[] = { "smollm2-135m", "qwen2.5-0.5b", "qwen2.5-1.5b",
                                        "qwen2.5-7b",   "llama-3.1-8b", "qwen2.5-14b",
                                        "qwen2.5-32b",  "llama-3.3-70b" };
enum { STUDENTS = sizeof students / sizeof *students };

static const struct {
    const char *name;
    int32_t kind;
    int64_t entries;
} rules[] = {
    { "text alone", 0, 64 },
    { "50 draws", KD_STORE_COUNTS, 50 },
    { "200 draws", KD_STORE_COUNTS, 200 },
    { "top 16", KD_STORE_TOPK, 16 },
    { "top 64", KD_STORE_TOPK, 64 },
    { "top 128", KD_STORE_TOPK, 128 },
    { "hidden, 8 bits", KD_STORE_HIDDEN, 64 },
    { "dense, float16", KD_STORE_DENSE, 64 },
};
enum { RULES = sizeof rules / sizeof *rules };

static kd_plan_options case_options(const char *student, int machine)
{
    kd_plan_options o = KD_PLAN_OPTIONS_INIT;
    o.student = shape_config(student);
    o.samples = 800000;
    o.tokens = 4300000000;
    o.batch_tokens = 64 * 5375; /* 64 samples of the mean length */
    o.pass_tokens = 5375;
    o.recompute = 1;
    o.ranks = machines[machine].ranks;
    o.flops = machines[machine].flops;
    return o;
}

static void put_time(double hours)
{
    if (hours < 72) printf(" %.0f hours |", hours);
    else if (hours < 24.0 * 1000) printf(" %.0f days |", hours / 24);
    else printf(" %.0f years |", hours / 24 / 365.25);
}

static int put_line(kd_context *context, const char *what, const kd_plan_info *p)
{
    char *line;
    PLAN_DO(kd_plan_to_json(context, p, &line));
    printf("{\"case\":\"%s\",\"plan\":%s}\n", what, line);
    kd_context_free_text(context, line);
    return 0;
}

/* ---- the store ---- */

static int put_rule(kd_context *context, int rule, int json)
{
    kd_plan_info p = { .struct_size = sizeof p };
    kd_plan_options o = case_options("smollm2-135m", 0);
    o.teacher = shape_config("deepseek-r1-head");
    o.kind = rules[rule].kind;
    o.entries = rules[rule].entries;
    PLAN_DO(kd_plan_estimate(context, &o, &p));
    if (json) return put_line(context, rules[rule].name, &p);
    if (!o.kind) printf("| %s | %.1f | %.3f |\n", rules[rule].name, o.token_bytes,
                        p.text_bytes / 1e12);
    else
        printf("| %s | %.0f | %.3f |\n", rules[rule].name, p.position_bytes, p.store_bytes / 1e12);
    return 0;
}

/* ---- the students ---- */

static int put_student(kd_context *context, const char *name, int json)
{
    kd_plan_info p[MACHINES];
    for (int m = 0; m < MACHINES; m++) {
        const kd_plan_options o = case_options(name, m);
        p[m] = (kd_plan_info){ .struct_size = sizeof p[m] };
        PLAN_DO(kd_plan_estimate(context, &o, &p[m]));
        if (json && put_line(context, name, &p[m])) return 1;
    }
    if (json) return 0;
    printf("| %s | %.2f | %.1f | %.0f %% |", name, (double)p[0].parameters / 1e9,
           p[0].train_flops / 1e9, 100 * p[0].attention_share);
    for (int m = 0; m < MACHINES; m++) put_time(p[m].hours);
    printf(" %.0f / %.0f GB |\n", (double)p[0].total_bytes / 1e9, (double)p[2].total_bytes / 1e9);
    return 0;
}

/* Share of time that ranks wait, by the link's Gbit/s. */
static int put_network(kd_context *context, const char *name)
{
    static const double links[] = { 10, 25, 100 };
    printf("| %s |", name);
    for (int i = 0; i < 3; i++) {
        kd_plan_info p = { .struct_size = sizeof p };
        kd_plan_options o = case_options(name, 2);
        o.link_bytes = links[i] * 1e9 / 8;
        PLAN_DO(kd_plan_estimate(context, &o, &p));
        printf(" %.0f %% / %.0f %% |", 100 * p.unhidden_share, 100 * p.network_share);
    }
    printf("\n");
    return 0;
}

int deepseek_case(kd_context *context, int json)
{
    if (!json) printf("| kept of the teacher | bytes per token | TB |\n|---|---|---|\n");
    for (int i = 0; i < RULES; i++)
        if (put_rule(context, i, json)) return 1;
    if (!json) {
        printf("\n| student | 10^9 parameters | GFLOP a token | of these attention |");
        for (int m = 0; m < MACHINES; m++) printf(" %s |", machines[m].name);
        printf(" memory a rank, 1 / 16 |\n|---|---|---|---|---|---|---|---|---|\n");
    }
    for (int i = 0; i < STUDENTS; i++)
        if (put_student(context, students[i], json)) return 1;
    if (json) return 0;
    printf("\n| 16 nodes: exchange over computing / waiting | 10 Gbit/s | 25 | 100 |\n"
           "|---|---|---|---|\n");
    for (int i = 0; i < STUDENTS; i++)
        if (put_network(context, students[i])) return 1;
    return 0;
}
