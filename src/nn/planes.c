/* Convolution on planes, forward and backward.
 *
 * A sample's planes are copied with their padding; with strides (s, t) the padded plane falls into
 * s t phases, phase (a, b) holding the numbers at rows i s + a and columns j t + b, so that what
 * the places of an output plane read for one tap lies in one line. An output plane is computed with
 * the pitch of these planes; the few numbers at its row ends that belong to no place are dropped.
 * The gradient of the input is a convolution again, of dy with the taps of one phase turned around.
 * That of the weights runs over pieces of the samples, whose sums are added in order: the cuts
 * depend on the shape alone. */
#include "nn/planes.h"

#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "math/kernels.h"
#include "nn/activation.h"

#define MOST_PIECES 16       /* of the samples, for the gradient of the weights */
#define PIECE_SUMS (1 << 22) /* floats of all pieces' sums, at most */
#define PLANE_FLOATS 1024    /* of a plane, from which on samples are taken one by one */
#define MOST_FLOATS ((int64_t)1 << 40)

/* Planes as a convolution reads them. */
typedef struct {
    int64_t phases[2], rows, pitch; /* of a phase */
    int64_t plane, channel, sample; /* floats of a phase, of a channel's phases, of all channels */
    int64_t n;                      /* numbers of an output plane at this pitch */
    int is_as_given;                /* 1: the image itself */
} layout;

static layout input_layout(const kd__window *w)
{
    layout l = { 0 };
    l.phases[0] = kd__min(w->stride[0], w->kernel[0]);
    l.phases[1] = kd__min(w->stride[1], w->kernel[1]);
    l.rows = kd__ceil_div(w->height + 2 * w->padding[0], w->stride[0]);
    l.pitch = kd__ceil_div(w->width + 2 * w->padding[1], w->stride[1]);
    l.plane = l.rows * l.pitch;
    l.channel = l.phases[0] * l.phases[1] * l.plane;
    l.sample = w->channels * l.channel;
    l.n = (w->out_height - 1) * l.pitch + w->out_width;
    l.is_as_given = !w->padding[0] && !w->padding[1] && w->stride[0] == 1 && w->stride[1] == 1;
    return l;
}

/* Of dy, for the gradient of the input: before its first row and column lie as many zeros as a
 * phase has further taps. `rows` and `pitch` hold every place of a phase of dx. */
static layout gradient_layout(const kd__window *w)
{
    layout l = { 0 };
    const int64_t above = kd__ceil_div(w->kernel[0], w->stride[0]) - 1,
                  before = kd__ceil_div(w->kernel[1], w->stride[1]) - 1;
    l.rows = above + (w->padding[0] + w->height - 1) / w->stride[0] + 1;
    l.pitch = before + (w->padding[1] + w->width - 1) / w->stride[1] + 1;
    l.plane = l.channel = l.rows * l.pitch;
    l.sample = w->out_channels * l.channel;
    l.is_as_given = l.rows == w->out_height && l.pitch == w->out_width;
    return l;
}

typedef struct {
    kd_context *context;
    const kd__window *w;
    layout in, out;
    int64_t group_in, group_out, taps; /* channels of a group, taps of an output channel */
    int32_t activation;
    float *y, *pre, *dx, *dweight, *dbias;
    const float *x, *weight, *bias, *dy;
    int64_t rows, pieces, together; /* samples that a piece takes at once */
    int add;
    /* scratch: offsets (taps), those of dx (phases' taps in order), packed weights, sums of pieces,
     * and a part for each thread */
    int64_t *offsets, *back_offsets;
    float *packed, *sums, *own;
    int64_t own_floats;
} work;

static int64_t line(int64_t floats) { return kd__round_up(floats, 16); }

/* Taps of an input channel, of all phases. */
static int64_t back_taps(const kd__window *w)
{
    return w->out_channels / w->groups * w->kernel[0] * w->kernel[1];
}

/* Samples whose planes a piece of the weights' gradient takes at once. */
static int64_t together_of(const layout *in, int64_t rows)
{
    const int64_t count = PLANE_FLOATS / in->n;
    return kd__max(1, kd__min(count, kd__ceil_div(rows, MOST_PIECES)));
}

static int64_t pieces_of(const kd__window *w, int64_t rows)
{
    const int64_t weights = w->out_channels * (kd__window_taps(w) + 1),
                  most = kd__max(2, kd__min(MOST_PIECES, PIECE_SUMS / weights));
    return kd__min(most, rows);
}

/* Floats of one thread: planes of x, an output's planes, and in training those of dy. */
static int64_t own_floats(const kd__window *w, const layout *in, const layout *out, int64_t rows,
                          int32_t train)
{
    const int64_t together = train ? together_of(in, rows) : 1,
                  forward = line(together * in->sample) + line(together * w->out_channels * in->n),
                  places = line(w->channels / w->groups * out->plane);
    return train ? kd__max(forward, line(out->sample) + places) : forward;
}

kd_status kd__planes_scratch(const kd__window *w, int64_t rows, int32_t threads, int32_t train,
                             int64_t *floats)
{
    const layout in = input_layout(w), out = gradient_layout(w);
    const int64_t taps = kd__window_taps(w), weights = w->out_channels * (taps + 1);
    int64_t all;
    KD_TRY(kd__multiply(threads, own_floats(w, &in, &out, rows, train), &all));
    KD_FAIL_IF(all > MOST_FLOATS, KD_ERR_RANGE, "a convolution needs more than 2^42 bytes");
    all += line(2 * taps) + line(2 * back_taps(w)) + line(weights);
    *floats = all + (train ? pieces_of(w, rows) * line(weights) : 0);
    return KD_OK;
}

static void begin(work *k, float *scratch, int32_t train)
{
    const kd__window *w = k->w;
    k->in = input_layout(w);
    k->out = gradient_layout(w);
    k->group_in = w->channels / w->groups;
    k->group_out = w->out_channels / w->groups;
    k->taps = kd__window_taps(w);
    k->pieces = pieces_of(w, k->rows);
    k->together = together_of(&k->in, k->rows);
    k->own_floats = own_floats(w, &k->in, &k->out, k->rows, train);
    k->offsets = (int64_t *)(void *)scratch;
    k->back_offsets = (int64_t *)(void *)(scratch + line(2 * k->taps));
    k->packed = scratch + line(2 * k->taps) + line(2 * back_taps(w));
    k->sums = k->packed + line(w->out_channels * (k->taps + 1));
    k->own = k->sums + (train ? k->pieces * line(w->out_channels * (k->taps + 1)) : 0);
}

/* ---- planes of a sample ---- */

/* Where a phase's places begin and how many of them are of the image, along one side. */
typedef struct {
    int64_t first, count, at; /* of the phase; the image's row (column) of the first */
} stretch;

static stretch stretch_of(const kd__window *w, int side, int64_t phase)
{
    const int64_t size = side ? w->width : w->height, step = w->stride[side];
    stretch s = { .first = kd__ceil_div(kd__max(w->padding[side] - phase, 0), step) };
    s.at = s.first * step + phase - w->padding[side];
    s.count = s.at < size ? kd__ceil_div(size - s.at, step) : 0;
    return s;
}

/* One plane into one phase; padding stays as it is, zero. */
static void copy_phase(const work *k, float *to, const float *plane, int64_t a, int64_t b)
{
    const kd__window *w = k->w;
    const stretch down = stretch_of(w, 0, a), across = stretch_of(w, 1, b);
    k->context->kernels->copy_rows(to + down.first * k->in.pitch + across.first, k->in.pitch,
                                   plane + down.at * w->width + across.at, w->stride[0] * w->width,
                                   down.count, across.count, w->stride[1]);
}

/* The planes of a sample, into `to` unless the image is as they are. */
static const float *planes_of(const work *k, int64_t sample, float *to)
{
    const kd__window *w = k->w;
    const layout *in = &k->in;
    const int64_t plane = w->height * w->width;
    const float *x = k->x + sample * w->channels * plane;
    if (in->is_as_given) return x;
    memset(to, 0, (size_t)in->sample * sizeof *to);
    for (int64_t c = 0; c < w->channels; c++)
        for (int64_t a = 0; a < in->phases[0]; a++)
            for (int64_t b = 0; b < in->phases[1]; b++)
                copy_phase(k, to + c * in->channel + (a * in->phases[1] + b) * in->plane,
                           x + c * plane, a, b);
    return to;
}

/* ---- forward ---- */

static void list_offsets(work *k)
{
    const kd__window *w = k->w;
    const layout *in = &k->in;
    int64_t *to = k->offsets;
    for (int64_t c = 0; c < k->group_in; c++)
        for (int64_t a = 0; a < w->kernel[0]; a++)
            for (int64_t b = 0; b < w->kernel[1]; b++) {
                const int64_t phase = a % w->stride[0] * in->phases[1] + b % w->stride[1];
                *to++ = c * in->channel + phase * in->plane + a / w->stride[0] * in->pitch +
                        b / w->stride[1];
            }
}

/* The place of row r, tap t among `rows` rows of `taps` taps that are packed for `correlate`. */
static int64_t packed_place(int64_t rows, int64_t taps, int64_t r, int64_t t)
{
    const int64_t first = r / KD__LINES_AT_ONCE * KD__LINES_AT_ONCE,
                  lines = kd__min(rows - first, KD__LINES_AT_ONCE);
    return first * taps + t * lines + r - first;
}

static void pack_forward(work *k)
{
    const int64_t n = k->group_out, t = k->taps;
    for (int64_t g = 0; g < k->w->groups; g++)
        for (int64_t r = 0; r < n; r++)
            for (int64_t i = 0; i < t; i++)
                k->packed[g * n * t + packed_place(n, t, r, i)] = k->weight[(g * n + r) * t + i];
}

/* Bias and activation, on planes at the output's pitch or from another one. */
static void finish_planes(const work *k, float *y, float *pre, const float *from)
{
    const kd__window *w = k->w;
    const kd__kernels *kernels = k->context->kernels;
    const int64_t places = kd__window_places(w);
    float low, high;
    const int clamps = kd__activation_clamps(k->activation, &low, &high);
    for (int64_t n = 0; n < w->out_channels; n++, y += places) {
        if (from)
            kernels->copy_rows(y, w->out_width, from + n * k->in.n, k->in.pitch, w->out_height,
                               w->out_width, 1);
        const float bias = k->bias ? k->bias[n] : 0;
        if (!clamps || bias != 0 || k->activation)
            kernels->scale_shift(y, y, places, 1, bias, clamps ? low : -INFINITY,
                                 clamps ? high : INFINITY);
        if (!clamps)
            kd__activate_row(k->context, k->activation, y, y, NULL, pre ? pre + n * places : NULL,
                             places);
    }
}

static void forward_sample(void *argument, int64_t sample, int32_t worker)
{
    const work *k = argument;
    const kd__window *w = k->w;
    float *planes = k->own + worker * k->own_floats, *made = planes + line(k->in.sample);
    const int64_t out = w->out_channels * kd__window_places(w);
    const int direct = k->in.pitch == w->out_width;
    const float *x = planes_of(k, sample, planes);
    float *y = k->y + sample * out;
    for (int64_t g = 0; g < w->groups; g++) {
        const kd__taps taps = { .offsets = k->offsets,
                                .w = k->packed + g * k->group_out * k->taps,
                                .taps = k->taps,
                                .rows = k->group_out };
        k->context->kernels->correlate((direct ? y : made) + g * k->group_out * k->in.n, k->in.n,
                                       x + g * k->group_in * k->in.channel, &taps, k->in.n);
    }
    finish_planes(k, y, k->pre ? k->pre + sample * out : NULL, direct ? NULL : made);
}

void kd__planes_forward(kd_context *context, const kd__window *w, int32_t activation, float *y,
                        float *pre, const float *x, const float *weight, const float *bias,
                        int64_t rows, float *scratch)
{
    work k = { .context = context,
               .w = w,
               .activation = activation,
               .y = y,
               .pre = pre,
               .x = x,
               .weight = weight,
               .bias = bias,
               .rows = rows };
    begin(&k, scratch, 0);
    list_offsets(&k);
    pack_forward(&k);
    kd__parallel(context, rows, forward_sample, &k);
}

/* ---- gradient of the input ---- */

/* How many of `kernel` taps phase `a` of `stride` has. */
static int64_t taps_of_phase(int64_t kernel, int64_t stride, int64_t a)
{
    return a < kernel ? kd__ceil_div(kernel - a, stride) : 0;
}

/* Offsets in dy's planes, and the weights of each group, phase by phase: both in the order in which
 * backward_planes takes them. */
static void pack_phase(work *k, int64_t a, int64_t b, int64_t begin_at)
{
    const kd__window *w = k->w;
    const int64_t high = taps_of_phase(w->kernel[0], w->stride[0], a),
                  wide = taps_of_phase(w->kernel[1], w->stride[1], b),
                  above = kd__ceil_div(w->kernel[0], w->stride[0]) - 1,
                  before = kd__ceil_div(w->kernel[1], w->stride[1]) - 1,
                  taps = k->group_out * high * wide, lines = k->group_in;
    int64_t t = 0;
    for (int64_t n = 0; n < k->group_out; n++)
        for (int64_t i = 0; i < high; i++)
            for (int64_t j = 0; j < wide; j++, t++) {
                const int64_t tap = (a + i * w->stride[0]) * w->kernel[1] + b + j * w->stride[1];
                k->back_offsets[begin_at + t] = n * k->out.plane + (above - i) * k->out.pitch +
                                                before - j;
                for (int64_t g = 0; g < w->groups; g++)
                    for (int64_t c = 0; c < lines; c++)
                        k->packed[(g * k->group_out * k->taps) + begin_at * lines +
                                  packed_place(lines, taps, c, t)] =
                            k->weight[(g * k->group_out + n) * k->taps +
                                      c * w->kernel[0] * w->kernel[1] + tap];
            }
}

static void pack_backward(work *k)
{
    const kd__window *w = k->w;
    int64_t at = 0;
    for (int64_t a = 0; a < w->stride[0]; a++)
        for (int64_t b = 0; b < w->stride[1]; b++) {
            pack_phase(k, a, b, at);
            at += k->group_out * taps_of_phase(w->kernel[0], w->stride[0], a) *
                  taps_of_phase(w->kernel[1], w->stride[1], b);
        }
}

/* One phase of a group's planes of dx. */
static void backward_phase(const work *k, float *dx, const float *dy, int64_t a, int64_t b,
                           const kd__taps *taps, float *made)
{
    const kd__window *w = k->w;
    const layout *l = &k->out;
    const stretch down = stretch_of(w, 0, a), across = stretch_of(w, 1, b);
    const int64_t n = (down.count - 1) * l->pitch + across.count, plane = w->height * w->width;
    if (!down.count || !across.count) return;
    const int direct = l->pitch == w->width && w->stride[0] == 1 && w->stride[1] == 1;
    float *to = direct ? dx : made;
    const int64_t apart = direct ? plane : l->plane;
    k->context->kernels->correlate(to, apart, dy + down.first * l->pitch + across.first, taps, n);
    for (int64_t c = 0; c < k->group_in && !direct; c++) {
        const float *from = made + c * apart;
        float *first = dx + c * plane + down.at * w->width + across.at;
        if (w->stride[1] == 1) {
            k->context->kernels->copy_rows(first, w->stride[0] * w->width, from, l->pitch,
                                           down.count, across.count, 1);
            continue;
        }
        for (int64_t i = 0; i < down.count; i++)
            for (int64_t j = 0; j < across.count; j++)
                first[i * w->stride[0] * w->width + j * w->stride[1]] = from[i * l->pitch + j];
    }
}

/* dy (planes of a sample) as gradient_layout says. */
static const float *gradient_planes(const work *k, const float *dy, float *to)
{
    const kd__window *w = k->w;
    const layout *l = &k->out;
    const int64_t above = kd__ceil_div(w->kernel[0], w->stride[0]) - 1,
                  before = kd__ceil_div(w->kernel[1], w->stride[1]) - 1;
    if (l->is_as_given) return dy;
    memset(to, 0, (size_t)l->sample * sizeof *to);
    for (int64_t n = 0; n < w->out_channels; n++)
        k->context->kernels->copy_rows(to + n * l->plane + above * l->pitch + before, l->pitch,
                                       dy + n * kd__window_places(w), w->out_width, w->out_height,
                                       w->out_width, 1);
    return to;
}

static void backward_sample(void *argument, int64_t sample, int32_t worker)
{
    const work *k = argument;
    const kd__window *w = k->w;
    const int64_t plane = w->height * w->width;
    float *planes = k->own + worker * k->own_floats, *made = planes + line(k->out.sample);
    float *dx = k->dx + sample * w->channels * plane;
    const float *dy =
        gradient_planes(k, k->dy + sample * w->out_channels * kd__window_places(w), planes);
    if (w->stride[0] > w->kernel[0] || w->stride[1] > w->kernel[1])
        memset(dx, 0, (size_t)(w->channels * plane) * sizeof *dx);
    int64_t at = 0;
    for (int64_t a = 0; a < w->stride[0]; a++)
        for (int64_t b = 0; b < w->stride[1]; b++) {
            const int64_t count = k->group_out * taps_of_phase(w->kernel[0], w->stride[0], a) *
                                  taps_of_phase(w->kernel[1], w->stride[1], b);
            kd__taps taps = { .offsets = k->back_offsets + at, .taps = count, .rows = k->group_in };
            for (int64_t g = 0; g < w->groups && count; g++) {
                taps.w = k->packed + g * k->group_out * k->taps + at * k->group_in;
                backward_phase(k, dx + g * k->group_in * plane,
                               dy + g * k->group_out * k->out.plane, a, b, &taps, made);
            }
            at += count;
        }
}

/* ---- gradients of weights and bias ---- */

static float *sums_of(const work *k, int64_t piece)
{
    return k->sums + piece * line(k->w->out_channels * (k->taps + 1));
}

/* `count` samples from `first` on, added to a piece's sums. */
static void add_samples(const work *k, float *sums, int64_t first, int64_t count, float *own)
{
    const kd__window *w = k->w;
    const int64_t places = kd__window_places(w), out = w->out_channels * places,
                  image = w->channels * w->height * w->width;
    const int direct = k->in.pitch == w->out_width;
    float *lines = own + line(k->together * k->in.sample);
    const float *x = k->x + first * image, *dy = k->dy + first * out;
    for (int64_t s = 0; s < count && !k->in.is_as_given; s++)
        planes_of(k, first + s, own + s * k->in.sample);
    for (int64_t s = 0; s < count && !direct; s++)
        for (int64_t n = 0; n < w->out_channels; n++) {
            float *to = lines + (s * w->out_channels + n) * k->in.n;
            k->context->kernels->copy_rows(to, k->in.pitch, dy + s * out + n * places, w->out_width,
                                           w->out_height, w->out_width, 1);
        }
    kd__taps taps = { .offsets = k->offsets,
                      .taps = k->taps,
                      .rows = k->group_out,
                      .samples = count,
                      .dy_step = direct ? out : w->out_channels * k->in.n,
                      .x_step = k->in.is_as_given ? image : k->in.sample };
    const float *from = k->in.is_as_given ? x : own, *g = direct ? dy : lines;
    for (int64_t i = 0; i < w->groups; i++)
        k->context->kernels->correlate_gradient(
            sums + i * k->group_out * k->taps, g + i * k->group_out * k->in.n, k->in.n,
            from + i * k->group_in * k->in.channel, &taps, k->in.n);
}

static void sum_piece(void *argument, int64_t piece, int32_t worker)
{
    const work *k = argument;
    const kd__window *w = k->w;
    const int64_t end = k->rows * (piece + 1) / k->pieces, places = kd__window_places(w),
                  weights = w->out_channels * k->taps;
    float *sums = sums_of(k, piece), *own = k->own + worker * k->own_floats;
    memset(sums, 0, (size_t)(weights + w->out_channels) * sizeof *sums);
    /* what lies between an output plane's rows stays zero */
    memset(own + line(k->together * k->in.sample), 0,
           (size_t)(k->together * w->out_channels * k->in.n) * sizeof *own);
    for (int64_t s = k->rows * piece / k->pieces; s < end; s += k->together)
        add_samples(k, sums, s, kd__min(k->together, end - s), own);
    for (int64_t s = k->rows * piece / k->pieces; s < end && k->dbias; s++)
        for (int64_t n = 0; n < w->out_channels; n++)
            sums[weights + n] +=
                (float)k->context->kernels->sum(k->dy + (s * w->out_channels + n) * places, places);
}

static void add_pieces(const work *k, float *to, int64_t from, int64_t count)
{
    const kd__kernels *kernels = k->context->kernels;
    if (!to) return;
    if (!k->add) memset(to, 0, (size_t)count * sizeof *to);
    for (int64_t p = 0; p < k->pieces; p++) kernels->axpby(to, 1, sums_of(k, p) + from, 1, count);
}

void kd__planes_backward(kd_context *context, const kd__window *w, float *dx, float *dweight,
                         float *dbias, const float *dy, const float *x, const float *weight,
                         int64_t rows, int add, float *scratch)
{
    work k = { .context = context,
               .w = w,
               .dx = dx,
               .dweight = dweight,
               .dbias = dbias,
               .x = x,
               .dy = dy,
               .weight = weight,
               .rows = rows,
               .add = add };
    begin(&k, scratch, 1);
    list_offsets(&k);
    if (dweight || dbias) {
        kd__parallel(context, k.pieces, sum_piece, &k);
        add_pieces(&k, dweight, 0, w->out_channels * k.taps);
        add_pieces(&k, dbias, w->out_channels * k.taps, w->out_channels);
    }
    if (!dx) return;
    pack_backward(&k);
    kd__parallel(context, rows, backward_sample, &k);
}
