/* Spectrograms as fields of batches and datasets. */
#include "audio/mel_run.h"

kd_status kd_batch_set_mel(kd_batch *batch, const char *name, kd_mel *mel, const kd_array *samples,
                           const kd_array *offsets, const kd_array *present)
{
    kd__spectrograms made;
    KD_NEED(batch);
    KD_NEED(mel);
    KD_TRY(kd__mel_run_kept(mel, samples, offsets, &made));
    if (mel->o.frames) return kd_batch_set_per_sample(batch, name, &made.values, present);
    return kd_batch_set_ragged(batch, name, &made.values, &made.offsets, present);
}

kd_status kd_dataset_add_mel(kd_dataset *dataset, const char *name, kd_mel *mel,
                             const kd_array *samples, const kd_array *offsets)
{
    kd__spectrograms made;
    KD_NEED(dataset);
    KD_NEED(mel);
    KD_FAIL_IF(!mel->o.frames, KD_ERR_INVALID,
               "frames: a dataset's field has as many for each sample: set kd_mel_options.frames");
    KD_TRY(kd__mel_run_kept(mel, samples, offsets, &made));
    return kd_dataset_add(dataset, name, &made.values, NULL);
}
