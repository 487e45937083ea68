/* Progress on a terminal: a bar, how fast, how long it will take. Without a terminal nothing. */
#ifndef KD_TOOL_BAR_H
#define KD_TOOL_BAR_H

#include <stdint.h>

/* One bar at a time. `done` of `total` units are there already: the rate counts from here. */
void bar_begin(const char *what, const char *unit, int64_t done, int64_t total);
/* note: more to say, as "loss 2.31"; NULL: nothing. */
void bar_show(int64_t done, const char *note);
void bar_end(void);
/* Takes the bar off the line, so that something else can be written; it comes back by itself. */
void bar_clear(void);
/* For kd_progress: stages of the library have a bar where the command has none. Returns nonzero
 * after a signal. */
int32_t bar_progress(void *user, const char *stage, int64_t done, int64_t total);
double seconds_now(void);

#endif
