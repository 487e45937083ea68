/* Messages, exit codes, memory and signals of the command. */
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tool/bar.h"
#include "tool/say.h"

struct saying saying = { "kdistill", 0, 0, 0 };

int say(int code, const char *format, ...)
{
    char message[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    bar_clear();
    fprintf(stderr, "%s: %s\n", saying.command, message);
    if (saying.json) {
        printf("{\"error\": {\"exit\": %d, \"message\": ", code);
        json_put_text(stdout, message);
        printf("}}\n");
    }
    return code;
}

int say_library(void)
{
    if (signals_came()) return say(EXIT_STOPPED, "stopped: the same command continues");
    return say(EXIT_FAILED, "%s", kd_last_error());
}

void say_note(const char *format, ...)
{
    va_list arguments;
    if (saying.quiet) return;
    bar_clear();
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static void log_line(void *user, int32_t level, const char *line)
{
    (void)user;
    (void)level;
    if (!saying.listens) return;
    bar_clear();
    fprintf(stderr, "%s: %s\n", saying.command, line);
}

const kd_logger say_logger = { sizeof say_logger, KD_LOG_WARNING, NULL, log_line };

/* ---- memory ---- */

void *take_more(void *block, size_t bytes)
{
    void *more = realloc(block, bytes ? bytes : 1);
    if (more) return more;
    exit(say(EXIT_FAILED,
             "out of memory: expected %zu bytes more, got none; end other programs "
             "or take a smaller batch",
             bytes));
}

void *take(size_t bytes)
{
    void *block = take_more(NULL, bytes);
    return memset(block, 0, bytes ? bytes : 1);
}

char *take_text(const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    char *text = take((size_t)(length > 0 ? length : 0) + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

/* ---- JSON ---- */

void json_put_text(FILE *to, const char *text)
{
    fputc('"', to);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c == '"' || *c == '\\') fprintf(to, "\\%c", *c);
        else if (*c == '\n') fputs("\\n", to);
        else if (*c == '\t') fputs("\\t", to);
        else if (*c < 0x20) fprintf(to, "\\u%04x", *c);
        else fputc(*c, to);
    fputc('"', to);
}

void json_put_number(FILE *to, double number)
{
    if (isfinite(number)) fprintf(to, "%.17g", number);
    else fputs("null", to);
}

/* ---- words that are spelled alike ---- */

enum { LONGEST = 48 };

/* Levenshtein's distance. */
static int distance(const char *a, const char *b)
{
    int row[LONGEST + 1];
    const int n = (int)strlen(a), m = (int)strlen(b);
    if (n > LONGEST || m > LONGEST) return LONGEST;
    for (int j = 0; j <= m; j++) row[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            const int change = diagonal + (a[i - 1] != b[j - 1]);
            const int other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < other ? change : other;
        }
    }
    return row[m];
}

/* One word begins with the other, and the shorter one has three letters or more. */
static int begins(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b), shorter = n < m ? n : m;
    return shorter > 2 && !strncmp(a, b, shorter);
}

const char *nearest(const char *word, const char *const *known, int count)
{
    const int length = (int)strlen(word);
    const char *best = NULL;
    int least = length / 3 + 2; /* more changes than this are another word */
    for (int i = 0; i < count; i++) {
        const int d = begins(word, known[i]) ? 1 : distance(word, known[i]);
        if (d >= least) continue;
        least = d;
        best = known[i];
    }
    return best;
}

/* ---- signals ---- */

static volatile sig_atomic_t came;
static int held;

static void remember(int number)
{
    came = 1;
    signal(number, SIG_DFL);
}

void signals_watch(void)
{
    signal(SIGINT, remember);
    signal(SIGTERM, remember);
}

int signals_came(void) { return came; }
void signals_hold(int on) { held = on; }
int signals_are_held(void) { return held; }
