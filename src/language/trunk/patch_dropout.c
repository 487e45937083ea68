/* Training passes that leave patches of their images out, as FLIP does [Li et al. 2023]: k of N,
 * any k of them with the same probability. Which depends on (seed, pass, sample) alone; they
 * stay in order, with the positions that they have in the image. Patch i is chosen where u (N -
 * i) < k - c, u uniform in [0, 1), c the number chosen before [Knuth, TAOCP 2, algorithm
 * 3.4.2S]. */
#include "base/memory.h"
#include "core/data/data.h"
#include "language/trunk/trunk.h"
#include "math/random.h"

static void choose(uint64_t stream, int64_t count, int64_t kept, int32_t *to)
{
    int64_t chosen = 0;
    for (int64_t i = 0; i < count && chosen < kept; i++)
        if (kd__uniform(stream, (uint64_t)i) * (double)(count - i) < (double)(kept - chosen))
            to[chosen++] = (int32_t)i;
}

/* What tells a sample from others: its number where the batch has numbers, else its place in the
 * whole batch that chunks are of. */
static uint64_t sample_of(const kd__trunk_pass *pass, const kd_batch *batch, int64_t s)
{
    return (uint64_t)(batch->numbers_known ? batch->numbers[s] : pass->draws.first_sample + s);
}

kd_status kd__trunk_choose_patches(const kd_model *model, kd__trunk_pass *pass,
                                   const kd_batch *batch)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const int64_t all = kd__patches_count(&d->patches), kept = d->kept_patches;
    pass->patches = d->patches;
    pass->chosen = NULL;
    if (!pass->drops_patches || !kept) return KD_OK;
    KD_TRY(KD_RESERVE(model->object.context, &pass->chosen_block, &pass->chosen_room,
                      pass->sequences * kept));
    pass->patches.kept = kept;
    pass->chosen = pass->chosen_block;
    const uint64_t seed = kd__stream(model->seed ^ 0x7061746368, (uint64_t)pass->draws.pass, 0);
    for (int64_t s = 0; s < pass->sequences; s++)
        choose(kd__stream(seed, sample_of(pass, batch, s), 1), all, kept,
               pass->chosen_block + s * kept);
    return KD_OK;
}
