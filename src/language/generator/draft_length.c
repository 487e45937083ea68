/* How many tokens are proposed. With a the share of proposals that were right lately, proposal j of
 * a step counts with probability a^j and then saves a plain step's time for one token, t(n) / n of
 * n sequences; it costs the time of a row more, and what the draft takes for it. So proposals go on
 * while
 *   a^j t(n) / n >= 1.03 (row + token).
 * Times are measured as the generator runs: they change how fast a text comes, never the text.
 * What does not pay is given up for a while, which doubles each time. */
#include <math.h>

#include "language/generator/generate.h"

#define LEAST_GAIN 1.03
#define PAUSE 256       /* tokens of a sequence, or steps, until proposals are tried again */
#define MOST_PAUSE 8192 /* after several failures */
#define RENEWED 64      /* steps with proposals until a plain one is measured again */
#define FIRST_SHARE .6  /* of proposals that are right, before any was seen */
#define STEPS_JUDGED 32 /* steps with proposals before they are given up together */
#define STEPS_TRIED 8   /* before they are given up for a clear loss */
#define CLEAR_LOSS .8   /* of a plain step's speed */

static int64_t most_of(const kd_generator *g, const kd__sequence *s)
{
    return kd__min(g->options.draft_tokens, s->limit - s->count - 1);
}

static int64_t longer(int64_t pause) { return kd__min(pause ? 2 * pause : PAUSE, MOST_PAUSE); }

static int64_t paying(const kd_generator *g, double share, int by_lookup, int64_t speaking,
                      int64_t most)
{
    const kd__draft_times *t = &g->times;
    const double saved = t->plain[speaking] / (double)speaking;
    const double cost = LEAST_GAIN * (t->row + (by_lookup ? 0 : t->token));
    int64_t length = 0;
    for (double right = share; length < most && right * saved >= cost; right *= share) length++;
    return length;
}

int64_t kd__draft_length(const kd_generator *g, kd__sequence *s, int by_lookup, int64_t speaking)
{
    const int64_t most = most_of(g, s);
    kd__drafted *d = &s->draft;
    if (most < 1) return 0;
    if (g->options.always_draft) return most;
    if (s->count < d->paused_until[by_lookup]) return 0;
    if (d->acceptance[by_lookup] == 0) d->acceptance[by_lookup] = FIRST_SHARE;
    const int64_t length = paying(g, d->acceptance[by_lookup], by_lookup, speaking, most);
    if (length) return length;
    d->pause[by_lookup] = longer(d->pause[by_lookup]);
    d->paused_until[by_lookup] = s->count + d->pause[by_lookup];
    d->acceptance[by_lookup] = FIRST_SHARE;
    return 0;
}

int kd__draft_rests(const kd_generator *g, int64_t speaking)
{
    const kd__draft_times *t = &g->times;
    if (g->options.always_draft) return 0;
    return speaking > KD__MOST_TIMED || g->info.steps < t->paused_until ||
           t->plain[speaking] == 0 || t->age[speaking] >= RENEWED;
}

static void learn(double *of, double now)
{
    /* a step that the machine interrupted tells little */
    *of = kd__lately(*of, *of > 0 ? fmin(now, 4 * *of) : now);
}

/* Do steps with proposals go on? They are judged by their gain over plain ones. */
static void judge(kd__draft_times *t, int64_t now)
{
    const int is_known = t->steps >= STEPS_JUDGED;
    if (is_known && t->gain >= 1) t->pause = 0;
    if (t->gain >= 1 || t->steps < STEPS_TRIED || (!is_known && t->gain > CLEAR_LOSS)) return;
    t->pause = longer(t->pause);
    t->paused_until = now + t->pause;
    t->steps = 0;
    t->gain = 0;
}

void kd__draft_time(kd_generator *g, double seconds, int64_t speaking, int64_t proposed,
                    int64_t made)
{
    kd__draft_times *t = &g->times;
    if (speaking < 1 || speaking > KD__MOST_TIMED) return;
    if (!proposed) {
        learn(&t->plain[speaking], seconds);
        t->age[speaking] = 0;
        return;
    }
    t->age[speaking]++;
    if (t->plain[speaking] == 0) return;
    const double plain = t->plain[speaking];
    learn(&t->row, fmax(seconds - plain, 1e-3 * plain) / (double)proposed);
    learn(&t->gain, (double)made / (double)speaking * plain / (seconds + t->proposing));
    t->steps++;
    if (!g->options.always_draft) judge(t, g->info.steps);
}
