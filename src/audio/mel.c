/* Mel spectrograms: made of options, freed, counted. */
#include "audio/mel.h"

#include "base/context.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"

static int64_t scratch_size(const kd_mel *mel)
{
    return kd__fourier_scratch(&mel->fourier) + (mel->fourier.half + 1) * KD__LANES +
           (mel->o.window_length + mel->o.mels) * KD__LANES;
}

static kd_status fill(kd_mel *mel)
{
    kd_context *context = mel->object.context;
    int64_t empty;
    KD_TRY(KD_NEW(context, &mel->window, mel->o.window_length));
    kd__mel_window(&mel->o, mel->window);
    KD_TRY(kd__fourier_create(&mel->fourier, context, mel->o.fft_size));
    KD_TRY(kd__mel_bands(mel, &empty));
    if (empty)
        kd__log(context, KD_LOG_WARNING,
                "%lld of %d bands hold no frequency: fewer mels or a larger fft_size fill them",
                (long long)empty, mel->o.mels);
    mel->scratch_size = kd__round_up(scratch_size(mel), 8);
    return KD_NEW(context, &mel->scratch, mel->scratch_size * context->threads);
}

kd_status kd_mel_create(kd_mel **out, kd_context *context, const kd_mel_options *options)
{
    kd_mel_options o = KD_MEL_OPTIONS_INIT;
    kd_mel *mel = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_mel_options"));
    KD_TRY(kd__mel_check(&o));
    KD_TRY(kd__object_create((void **)&mel, context, sizeof *mel));
    mel->o = o;
    const kd_status status = fill(mel);
    if (status == KD_OK) *out = mel;
    else kd_mel_free(mel);
    return status;
}

void kd_mel_free(kd_mel *mel)
{
    if (!kd__object_drop(mel)) return;
    kd_context *context = mel->object.context;
    kd__fourier_free(&mel->fourier, context);
    kd__release(context, mel->window);
    kd__release(context, mel->bands);
    kd__release(context, mel->band_weights);
    kd__release(context, mel->scratch);
    kd__release(context, mel->sounds);
    kd__release(context, mel->values);
    kd__object_destroy(mel);
}

kd_status kd_mel_frame_count(const kd_mel *mel, int64_t samples, int64_t *count)
{
    KD_NEED(mel);
    KD_NEED(count);
    KD_FAIL_IF(samples < 0 || samples > (int64_t)1 << 40, KD_ERR_RANGE,
               "samples: expected 0 to 2^40, got %lld", (long long)samples);
    *count = mel->o.frames ? mel->o.frames : kd__mel_frames(&mel->o, samples);
    return KD_OK;
}
