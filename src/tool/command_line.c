/* Command lines and their help. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tool/say.h"
#include "tool/command_line.h"

static const char exit_status[] =
    "0    done\n"
    "1    something could not be done; standard error says what was expected and what to do\n"
    "2    the command line is wrong\n"
    "3    the recipe is wrong; nothing was started\n"
    "130  a signal stopped it; the same command continues where it can\n";

const choice choices_of_weights[] = { { "float32", KD_FLOAT32 },
                                      { "int8", KD_INT8 },
                                      { "q4_0", KD_BLOCK_Q4_0 },
                                      { "iq4_nl", KD_BLOCK_IQ4_NL },
                                      { NULL, 0 } };

/* ---- numbers ---- */

int read_integer(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    const long long n = strtoll(text, &end, 10);
    if (end == text || *end || errno) return 0;
    *value = n;
    return 1;
}

int read_number(const char *text, double *value)
{
    char *end;
    const double n = strtod(text, &end);
    if (end == text || *end || !isfinite(n)) return 0;
    *value = n;
    return 1;
}

int read_choice(const choice *choices, const char *name, int32_t *value)
{
    for (; choices->name; choices++)
        if (!strcmp(choices->name, name)) {
            *value = choices->value;
            return 1;
        }
    return 0;
}

void list_choices(const choice *choices, char *to, int size)
{
    int n = 0;
    *to = 0;
    for (const choice *c = choices; c->name && n < size - 1; c++)
        n += snprintf(to + n, (size_t)(size - n), "%s%s",
                      c == choices    ? ""
                      : (c + 1)->name ? ", "
                                      : " or ",
                      c->name);
}

/* ---- help ---- */

/* Text in lines of at most 78 columns, each after `indent` spaces. */
static void print_wrapped(const char *text, int indent)
{
    int column = 0;
    while (*text) {
        const size_t length = strcspn(text, " \n");
        if (*text == '\n') {
            fputs(column ? "\n\n" : "", stdout);
            column = 0;
            text += strspn(text, "\n");
            continue;
        }
        if (column && column + 1 + (int)length > 78) column = 0, putchar('\n');
        printf("%*s%.*s", column ? 1 : indent, "", (int)length, text);
        column += (column ? 1 : indent) + (int)length;
        text += length;
        while (*text == ' ') text++;
    }
    if (column) putchar('\n');
}

static void print_lines(const char *lines, const char *before)
{
    while (*lines) {
        const size_t length = strcspn(lines, "\n");
        printf("       %s%.*s\n", before, (int)length, lines);
        lines += length + (lines[length] == '\n');
    }
}

static void describe(const option *o, char *to, size_t size)
{
    char names[400];
    if (o->kind == WORD_CHOICE) list_choices(o->choices, names, sizeof names);
    else *names = 0;
    snprintf(to, size, "%s%s%s", o->help, *names ? ": " : "", names);
}

static void print_help(const page *p)
{
    char line[800];
    printf("NAME\n       %s - %s\n\nSYNOPSIS\n", p->name, p->purpose);
    snprintf(line, sizeof line, "%s ", p->name);
    print_lines(p->synopsis, line);
    printf("\nDESCRIPTION\n");
    print_wrapped(p->text, 7);
    printf("\nOPTIONS\n");
    for (const option *o = p->options; o->name; o++) {
        printf("       %s%s%s\n", o->name, o->value ? " " : "", o->value ? o->value : "");
        describe(o, line, sizeof line);
        print_wrapped(line, 15);
    }
    printf("\nEXIT STATUS\n");
    print_lines(exit_status, "");
    printf("\nEXAMPLES\n");
    print_lines(p->examples, "");
    printf("\nSEE ALSO\n       docs/command.md of libkdistill\n");
}

/* ---- the same as roff ---- */

static void roff_text(const char *text)
{
    for (int begins = 1; *text; begins = *text == '\n', text++)
        if (*text == '\n') fputs(text[1] == '\n' ? "\n.PP" : "\n", stdout);
        else if (*text == '-') fputs("\\-", stdout);
        else if (*text == '\\') fputs("\\e", stdout);
        else if (begins && (*text == '.' || *text == '\'')) printf("\\&%c", *text);
        else putchar(*text);
}

static void roff_lines(const char *lines, const char *name)
{
    printf(".nf\n");
    while (*lines) {
        const size_t length = strcspn(lines, "\n");
        char line[1200];
        snprintf(line, sizeof line, "%s%.*s\n", name, (int)length, lines);
        roff_text(line);
        lines += length + (lines[length] == '\n');
    }
    printf(".fi\n");
}

void words_print_man(const page *p)
{
    char title[80], line[800];
    int i = 0;
    for (; p->name[i] && i < 79; i++)
        title[i] = p->name[i] == ' ' ? '-' : (char)(p->name[i] & ~('a' <= p->name[i] ? 32 : 0));
    title[i] = 0;
    printf(".TH %s 1 \"\" \"libkdistill\" \"User Commands\"\n.SH NAME\n", title);
    snprintf(line, sizeof line, "%s", p->name);
    for (char *c = line; *c; c++) *c = *c == ' ' ? '-' : *c;
    roff_text(line);
    printf(" \\- ");
    roff_text(p->purpose);
    printf("\n.SH SYNOPSIS\n");
    snprintf(line, sizeof line, "%s ", p->name);
    roff_lines(p->synopsis, line);
    printf(".SH DESCRIPTION\n");
    roff_text(p->text);
    printf("\n.SH OPTIONS\n");
    for (const option *o = p->options; o->name; o++) {
        printf(".TP\n.B ");
        roff_text(o->name);
        if (o->value) printf(" \\fI%s\\fR", o->value);
        putchar('\n');
        describe(o, line, sizeof line);
        roff_text(line);
        putchar('\n');
    }
    printf(".SH EXIT STATUS\n");
    roff_lines(exit_status, "");
    printf(".SH EXAMPLES\n");
    roff_lines(p->examples, "");
    printf(".SH SEE ALSO\ndocs/command.md of libkdistill\n");
}

/* ---- reading ---- */

static const option *find(const page *p, const char *word, size_t length)
{
    for (const option *o = p->options; o->name; o++)
        if (strlen(o->name) == length && !strncmp(o->name, word, length)) return o;
    return NULL;
}

static int unknown(const page *p, const char *word)
{
    const char *known[64], *near;
    int count = 0;
    for (const option *o = p->options; o->name && count < 64; o++) known[count++] = o->name;
    near = nearest(word, known, count);
    return say(EXIT_USAGE,
               "expected an option of this command, got '%s'%s%s%s; '%s --help' lists "
               "them",
               word, near ? "; did you mean '" : "", near ? near : "", near ? "'" : "", p->name);
}

/* 4300000000, or 4.3e9. */
static int read_whole(const char *text, int64_t *value)
{
    double x;
    if (read_integer(text, value)) return 1;
    if (!read_number(text, &x) || x != floor(x) || fabs(x) > 1e18) return 0;
    *value = (int64_t)x;
    return 1;
}

static int give(const option *o, const char *value)
{
    char names[400];
    texts *list = o->to;
    int64_t n;
    double x;
    switch (o->kind) {
    case WORD_TEXT: *(const char **)o->to = value; break;
    case WORD_TEXTS:
        list->items = take_more(list->items, (size_t)(list->count + 1) * sizeof *list->items);
        list->items[list->count++] = value;
        break;
    case WORD_INTEGER:
    case WORD_SMALL:
        if (!read_whole(value, &n) || (double)n < o->low || (double)n > o->high)
            return say(EXIT_USAGE, "%s: expected a whole number from %.0f to %.0f, got '%s'",
                       o->name, o->low, o->high, value);
        if (o->kind == WORD_SMALL) *(int32_t *)o->to = (int32_t)n;
        else *(int64_t *)o->to = n;
        break;
    case WORD_NUMBER:
        if (!read_number(value, &x) || x < o->low || x > o->high)
            return say(EXIT_USAGE, "%s: expected a number from %g to %g, got '%s'", o->name, o->low,
                       o->high, value);
        *(double *)o->to = x;
        break;
    case WORD_CHOICE:
        list_choices(o->choices, names, sizeof names);
        if (!read_choice(o->choices, value, o->to))
            return say(EXIT_USAGE, "%s: expected %s, got '%s'", o->name, names, value);
    }
    return EXIT_DONE;
}

int words_read(const page *p, int count, char **words, const char **rest, int *rest_count)
{
    int only_words = 0;
    *rest_count = 0;
    saying.command = p->name;
    for (int i = 1; i < count; i++)
        if (!strcmp(words[i], "--json")) saying.json = 1; /* errors of the line are JSON as well */
    for (int i = 1; i < count; i++) {
        const char *word = words[i], *equals = strchr(word, '=');
        if (only_words || word[0] != '-' || !word[1]) {
            rest[(*rest_count)++] = word;
            continue;
        }
        if (!strcmp(word, "--")) {
            only_words = 1;
            continue;
        }
        if (!strcmp(word, "--help") || !strcmp(word, "-h")) return print_help(p), EXIT_DONE;
        if (!strcmp(word, "--help-man")) return words_print_man(p), EXIT_DONE;
        const option *o = find(p, word, equals ? (size_t)(equals - word) : strlen(word));
        if (!o) return unknown(p, word);
        if (o->kind == WORD_FLAG && equals)
            return say(EXIT_USAGE, "%s: expected no value, got '%s'", o->name, equals + 1);
        if (o->kind == WORD_FLAG) {
            *(int *)o->to = 1;
            continue;
        }
        if (!equals && i + 1 >= count)
            return say(EXIT_USAGE, "%s: expected %s after it, got the end of the line", o->name,
                       o->value);
        PART(give(o, equals ? equals + 1 : words[++i]));
    }
    return -1;
}
