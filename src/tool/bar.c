/* The bar of a command that takes a while. */
#include <stdio.h>
#include <string.h>

#include "base/os.h"
#include "tool/bar.h"
#include "tool/say.h"

enum { COLUMNS = 79, CELLS = 24 };
#define PAUSE 0.1 /* seconds between two pictures */

static struct {
    char what[40];
    const char *unit;
    int64_t first, total;
    double began, shown;
    int open, drawn, of_library;
} bar;

double seconds_now(void) { return kd__os_now(); }

static int is_seen(void) { return !saying.quiet && kd__os_is_terminal(2); }

static void start(const char *what, const char *unit, int64_t done, int64_t total)
{
    snprintf(bar.what, sizeof bar.what, "%s", what);
    bar.unit = unit;
    bar.first = done;
    bar.total = total;
    bar.began = seconds_now();
    bar.shown = 0;
}

void bar_begin(const char *what, const char *unit, int64_t done, int64_t total)
{
    bar_end();
    start(what, unit, done, total);
    bar.open = 1;
}

/* 59 s, 3:07, 2:15:00 */
static void write_time(char *to, size_t size, double seconds)
{
    const long long s = (long long)(seconds + 0.5);
    if (s < 60) snprintf(to, size, "%lld s", s);
    else if (s < 3600) snprintf(to, size, "%lld:%02lld", s / 60, s % 60);
    else snprintf(to, size, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}

static void draw(int64_t done, const char *note)
{
    char line[256], left[40] = "", rate[40] = "";
    const double seconds = seconds_now() - bar.began;
    const double share = bar.total > 0 ? (double)done / (double)bar.total : 0;
    const int cells = (int)(CELLS * (share < 0 ? 0 : share > 1 ? 1 : share));
    if (done > bar.first && seconds > 0) {
        const double a_second = (double)(done - bar.first) / seconds;
        snprintf(rate, sizeof rate, a_second < 10 ? ", %.2f/s" : ", %.0f/s", a_second);
        if (done < bar.total) {
            memcpy(left, ", ", 3);
            write_time(left + 2, sizeof left - 8, (double)(bar.total - done) / a_second);
            strcat(left, " left");
        }
    }
    snprintf(line, sizeof line, "%s [%.*s%*s] %lld/%lld %s%s%s%s%s", bar.what, cells,
             "########################", CELLS - cells, "", (long long)done, (long long)bar.total,
             bar.unit, rate, left, note && *note ? ", " : "", note ? note : "");
    fprintf(stderr, "\r%-*.*s", COLUMNS, COLUMNS, line);
    bar.drawn = 1;
}

void bar_show(int64_t done, const char *note)
{
    const double now = seconds_now();
    if (!bar.open || !is_seen() || (now - bar.shown < PAUSE && done < bar.total)) return;
    bar.shown = now;
    draw(done, note);
}

void bar_clear(void)
{
    if (bar.drawn) fprintf(stderr, "\r%*s\r", COLUMNS, "");
    bar.drawn = 0;
}

void bar_end(void)
{
    bar_clear();
    bar.open = bar.of_library = 0;
}

int32_t bar_progress(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)user;
    if (signals_came() && !signals_are_held()) return 1;
    if ((bar.open && !bar.of_library) || !is_seen() || total <= 1) return 0;
    if (!bar.open || strncmp(bar.what, stage, sizeof bar.what - 1)) {
        start(stage, "", done, total);
        bar.open = bar.of_library = 1;
    }
    if (seconds_now() - bar.began > 0.5) bar_show(done, NULL); /* what is quick needs none */
    if (done >= total) bar_end();
    return 0;
}
