/* Recipes: the numbers of training runs that are known to work. */
#include <kdistill/optimizer.h>
#include <kdistill/recipe.h>

#include <math.h>

#include "base/status.h"

/* DeepSeek-R1's rates by size, from the published recipe; a straight line over the logarithms
 * between them. */
static double r1_rate(double parameters)
{
    static const double sizes[] = { 1.5e9, 7e9, 14e9, 32e9, 70e9 },
                        rates[] = { 1e-4, 8e-5, 7e-5, 6e-5, 2e-5 };
    if (!(parameters > sizes[0])) return rates[0];
    for (int i = 1; i < 5; i++) {
        if (parameters > sizes[i]) continue;
        const double s = log(parameters / sizes[i - 1]) / log(sizes[i] / sizes[i - 1]);
        return rates[i - 1] * pow(rates[i] / rates[i - 1], s);
    }
    return rates[4];
}

kd_status kd_recipe_fill(kd_recipe *recipe, int32_t kind, double parameters)
{
    kd_recipe r = { .struct_size = sizeof r,
                    .optimizer = KD_OPTIMIZER_ADAMW,
                    .epochs = 2,
                    .floor = 0.1,
                    .warmup = 0.05,
                    .weight_decay = 0.1,
                    .beta1 = 0.9,
                    .beta2 = 0.95,
                    .clip_norm = 1,
                    .batch_texts = 64,
                    .max_tokens = 32768,
                    .temperature = 1,
                    .last_temperature = 1,
                    .sampling_temperature = 0.6,
                    .top_p = 0.95,
                    .samples = 4,
                    .max_new_tokens = 32768 };
    KD_NEED(recipe);
    KD_FAIL_IF(kind < KD_RECIPE_R1 || kind > KD_RECIPE_SMALL, KD_ERR_RANGE,
               "recipe: expected %d to %d, got %d", KD_RECIPE_R1, KD_RECIPE_SMALL, kind);
    KD_FAIL_IF(!(parameters >= 1), KD_ERR_RANGE, "parameters: expected at least 1, got %g",
               parameters);
    r.learning_rate = r1_rate(parameters);
    if (kind == KD_RECIPE_MIXED) {
        r.soft_weight = 0.9;
        r.temperature = 2;
    }
    if (kind == KD_RECIPE_SMALL) {
        r.epochs = 20;
        r.learning_rate = 3e-3 * pow(parameters / 1e5, -0.25);
        r.beta2 = 0.98;
        r.max_tokens = 512;
        r.max_new_tokens = 256;
    }
    return kd__info_write(recipe, &r, sizeof r, "kd_recipe");
}

static kd_status read_recipe(kd_recipe *r, const kd_recipe *recipe, int64_t steps)
{
    KD_NEED(recipe);
    KD_TRY(kd_recipe_fill(r, KD_RECIPE_R1, 1));
    KD_TRY(kd__options_read(r, sizeof *r, recipe, "kd_recipe"));
    KD_FAIL_IF(steps < 1, KD_ERR_RANGE, "steps: expected at least 1, got %lld", (long long)steps);
    return KD_OK;
}

kd_status kd_recipe_create_learning_rate(kd_schedule **out, kd_context *context,
                                         const kd_recipe *recipe, int64_t steps)
{
    kd_recipe r = { .struct_size = sizeof r };
    kd_schedule *parts[3] = { NULL };
    int32_t n = 0;
    KD_NEED(out);
    KD_TRY(read_recipe(&r, recipe, steps));
    KD_FAIL_IF(!(r.warmup >= 0 && r.warmup <= 1) || !(r.floor >= 0 && r.floor <= 1), KD_ERR_RANGE,
               "warmup and floor: expected 0 to 1, got %g and %g", r.warmup, r.floor);
    const int64_t warm = (int64_t)ceil(r.warmup * (double)steps);
    kd_status status = kd_schedule_create_cosine(&parts[n++], context, r.learning_rate,
                                                 r.learning_rate * r.floor, steps);
    if (status == KD_OK && warm > 0)
        status = kd_schedule_create_linear(&parts[n++], context, 1 / ((double)warm + 1), 1, warm);
    if (status == KD_OK && r.patience > 0) {
        kd_plateau_options po = KD_PLATEAU_OPTIONS_INIT;
        po.patience = r.patience;
        po.floor = r.floor;
        status = kd_schedule_create_plateau(&parts[n++], context, &po);
    }
    if (status == KD_OK) status = kd_schedule_create_product(out, context, parts, n);
    for (int32_t i = 0; i < n; i++) kd_schedule_free(parts[i]);
    return status;
}

kd_status kd_recipe_create_temperature(kd_schedule **out, kd_context *context,
                                       const kd_recipe *recipe, int64_t steps)
{
    kd_recipe r = { .struct_size = sizeof r };
    KD_TRY(read_recipe(&r, recipe, steps));
    return kd_schedule_create_linear(out, context, r.temperature, r.last_temperature, steps);
}
