/* Parts of kdistill-plan. */
#ifndef KD_TOOL_PLAN_H
#define KD_TOOL_PLAN_H

#include <kdistill.h>
#include <stdio.h>

static inline int plan_fail(void)
{
    fprintf(stderr, "kdistill-plan: %s\n", kd_last_error());
    return 1;
}

#define PLAN_DO(call)                                                                              \
    do {                                                                                           \
        if ((call) != KD_OK) return plan_fail();                                                   \
    } while (0)

/* The config of a published model by its name; NULL: it is not known. shape_name: the index-th, NULL
 * after the last. */
const char *shape_config(const char *name);
const char *shape_name(int index);

/* DeepSeek-R1's own distillation as tables of Markdown, or (json 1) a line of JSON for each plan.
 * What the options say of the machine is left aside. */
int deepseek_case(kd_context *context, int json);

#endif
