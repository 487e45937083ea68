/* Reports of runs from their logs: what was trained on what, curves, figures of held-out data. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tool/say.h"
#include "tool/train.h"

typedef struct {
    char name[96];
    double *x, *y;
    int64_t count, room;
} curve;

typedef struct {
    kd_report *report;
    const char *name; /* of the run, "" where there is one */
    curve *curves;
    int curve_count;
    double student_parameters, teacher_parameters;
} reading;

/* ---- curves ---- */

static void add_point(reading *r, const char *name, double x, double y)
{
    curve *c = NULL;
    for (int i = 0; i < r->curve_count && !c; i++)
        if (!strcmp(r->curves[i].name, name)) c = &r->curves[i];
    if (!c) {
        r->curves = take_more(r->curves, (size_t)(r->curve_count + 1) * sizeof *r->curves);
        c = &r->curves[r->curve_count++];
        memset(c, 0, sizeof *c);
        snprintf(c->name, sizeof c->name, "%s", name);
    }
    if (c->count == c->room) {
        c->room = 2 * c->room + 64;
        c->x = take_more(c->x, (size_t)c->room * sizeof *c->x);
        c->y = take_more(c->y, (size_t)c->room * sizeof *c->y);
    }
    c->x[c->count] = x;
    c->y[c->count++] = y;
}

/* Which picture a name of the log belongs to; NULL: none. */
static const char *picture_of(const char *name)
{
    static const struct {
        const char *name, *picture;
    } pictures[] = { { "loss", "training loss" },
                     { "learning_rate", "learning rate" },
                     { "held_loss", "loss on held-out data" },
                     { "cross_entropy", "cross-entropy on held-out data" },
                     { "accuracy", "accuracy on held-out data" },
                     { "agreement", "agreement with the teacher on held-out data" },
                     { "gradient_norm", "norm of the gradient" } };
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++)
        if (!strcmp(name, pictures[i].name)) return pictures[i].picture;
    if (!strncmp(name, "term.", 5)) return "terms of the loss";
    return strchr(name, '.') ? "numbers of terms" : NULL;
}

/* "term.0.forward_kl" is called forward_kl. */
static const char *short_name(const char *name)
{
    const char *dot = strncmp(name, "term.", 5) ? NULL : strchr(name + 5, '.');
    return dot ? dot + 1 : name;
}

static kd_status draw(const reading *r)
{
    kd_status status = KD_OK;
    for (int i = 0; i < r->curve_count && status == KD_OK; i++) {
        const curve *c = &r->curves[i];
        const char *picture = picture_of(c->name);
        char series[200];
        const int alone = strchr(c->name, '.') == NULL;
        if (!picture) continue;
        if (alone) snprintf(series, sizeof series, "%.90s", *r->name ? r->name : "student");
        else
            snprintf(series, sizeof series, "%.90s%s%.90s", r->name, *r->name ? ": " : "",
                     short_name(c->name));
        status = kd_report_add_series(r->report, picture, series, KD_PICTURE_LINES, c->x, c->y,
                                      c->count);
        if (status == KD_OK) status = kd_report_set_axes(r->report, picture, "step", "", 0);
    }
    return status;
}

/* ---- lines ---- */

static double number_of(const node *object, const char *name)
{
    const node *n = node_member(object, name);
    return n && n->type == NODE_NUMBER ? n->number : NAN;
}

static kd_status cell(const reading *r, const char *table, const char *who, const char *column,
                      double value)
{
    char row[200];
    if (!isfinite(value)) return KD_OK;
    snprintf(row, sizeof row, "%.90s%s%.90s", r->name, *r->name ? ": " : "", who);
    return kd_report_set_cell(r->report, table, row, column, value, NAN);
}

static kd_status read_model(reading *r, const node *run, const char *who, double *parameters)
{
    const node *model = node_member(run, who);
    kd_status status = KD_OK;
    *parameters = number_of(model, "parameters");
    if (!model) return KD_OK;
    status = cell(r, "sizes", who, "layers", number_of(model, "layers"));
    if (status == KD_OK) status = cell(r, "sizes", who, "parameters", *parameters);
    if (status == KD_OK)
        status = cell(r, "sizes", who, "MB as float32", number_of(model, "bytes") / 1e6);
    return status;
}

static kd_status fact(const reading *r, const char *name, const char *text)
{
    char full[200];
    snprintf(full, sizeof full, "%.90s%s%.90s", r->name, *r->name ? ": " : "", name);
    for (char *c = full; *c; c++) *c = *c == '.' ? '_' : *c; /* a dot would make an object */
    return kd_report_set_text(r->report, full, text);
}

static kd_status read_begin(reading *r, const node *run)
{
    const node *note = node_member(run, "note"), *library = node_member(run, "library");
    char line[200];
    kd_status status = read_model(r, run, "student", &r->student_parameters);
    if (status == KD_OK) status = read_model(r, run, "teacher", &r->teacher_parameters);
    snprintf(line, sizeof line, "%.0f texts or samples, %.0f held out", number_of(run, "texts"),
             number_of(run, "held"));
    if (status == KD_OK) status = fact(r, "data", line);
    if (status == KD_OK && isfinite(number_of(run, "tokens"))) {
        snprintf(line, sizeof line, "%.0f to learn from", number_of(run, "tokens"));
        status = fact(r, "tokens", line);
    }
    if (status == KD_OK && isfinite(r->teacher_parameters)) {
        snprintf(line, sizeof line, "%.3g of the teacher's parameters",
                 r->student_parameters / r->teacher_parameters);
        status = fact(r, "student", line);
    }
    if (status == KD_OK && note && note->type == NODE_TEXT) status = fact(r, "note", note->text);
    if (status == KD_OK && library && library->type == NODE_TEXT)
        status = kd_report_set_text(r->report, "library", library->text);
    return status;
}

static kd_status read_end(reading *r, const node *end)
{
    const node *reason = node_member(end, "reason");
    char line[200];
    snprintf(line, sizeof line, "%.0f, in %.1f s%s", number_of(end, "step"),
             number_of(end, "seconds"),
             reason && reason->type == NODE_TEXT && !strcmp(reason->text, "patience")
                 ? "; stopped early: what is held out did not improve"
                 : "");
    return fact(r, "steps", line);
}

static kd_status read_found(reading *r, const node *line, const char *who)
{
    static const char *const names[][2] = { { "held_loss", "loss" },
                                            { "cross_entropy", "cross-entropy" },
                                            { "perplexity", "perplexity" },
                                            { "accuracy", "accuracy" },
                                            { "agreement", "agreement with the teacher" } };
    const node *improved = node_member(line, "improved");
    char best[40];
    kd_status status = KD_OK;
    const int is_best = improved && improved->type == NODE_BOOL && improved->number != 0;
    snprintf(best, sizeof best, "%.20s, best report", who);
    for (int i = 0; i < 5 && status == KD_OK; i++) {
        const double value = number_of(line, names[i][0]);
        status = cell(r, "held-out data", who, names[i][1], value);
        if (is_best && status == KD_OK) status = cell(r, "held-out data", best, names[i][1], value);
    }
    return status;
}

static kd_status read_line(reading *r, const node *line)
{
    const node *of = node_member(line, "of");
    const double step = number_of(line, "step");
    const char *who = of && of->type == NODE_TEXT ? of->text : "student";
    if (node_member(line, "run")) return read_begin(r, node_member(line, "run"));
    if (node_member(line, "end")) return read_end(r, node_member(line, "end"));
    for (const node *n = line->first; n && isfinite(step) && !strcmp(who, "student"); n = n->next)
        if (n->type == NODE_NUMBER && strcmp(n->key, "step")) add_point(r, n->key, step, n->number);
    return of ? read_found(r, line, who) : KD_OK;
}

int report_add_run(kd_report *report, const char *folder, const char *name)
{
    reading r = { .report = report, .name = name };
    char *path = take_text("%s/log.jsonl", folder);
    size_t size;
    char *text = file_read(path, &size);
    kd_status status = KD_OK;
    int code = text ? EXIT_DONE : EXIT_FAILED, number = 0;
    for (char *line = text; line && *line && code == EXIT_DONE && status == KD_OK; number++) {
        const size_t length = strcspn(line, "\n");
        tree t;
        if (!line[length]) break; /* not yet whole: its run goes on */
        if (!tree_read(&t, line, length, path) || t.root->type != NODE_OBJECT)
            code = say(EXIT_FAILED, "%s: line %d: expected a line of a run's log, got another",
                       path, number + 1);
        else status = read_line(&r, t.root);
        tree_free(&t);
        line += length + 1;
    }
    if (code == EXIT_DONE && status == KD_OK && !number)
        code = say(EXIT_FAILED, "%s: expected a run's log, got an empty file", path);
    if (code == EXIT_DONE && status == KD_OK) status = draw(&r);
    if (status < 0) code = say_library();
    for (int i = 0; i < r.curve_count; i++) {
        free(r.curves[i].x);
        free(r.curves[i].y);
    }
    free(r.curves);
    free(text);
    free(path);
    return code;
}

/* ---- Markdown ---- */

static void put_value(const node *n, FILE *to)
{
    if (n && n->type == NODE_OBJECT) {
        fprintf(to, "%.4g \xc2\xb1 %.2g", number_of(n, "value"), number_of(n, "standard_error"));
    } else if (n && n->type == NODE_NUMBER)
        fprintf(to, fabs(n->number) >= 1e4 ? "%.0f" : "%.4g", n->number);
    else if (n && n->type == NODE_TEXT) fputs(n->text, to);
}

static void put_table(const node *table, FILE *to)
{
    const node *columns[64];
    int count = 0;
    for (const node *row = table->first; row; row = row->next)
        for (const node *n = row->first; n; n = n->next) {
            int i = 0;
            while (i < count && strcmp(columns[i]->key, n->key)) i++;
            if (i == count && count < 64) columns[count++] = n;
        }
    fprintf(to, "\n## %s\n\n| |", table->key);
    for (int i = 0; i < count; i++) fprintf(to, " %s |", columns[i]->key);
    fprintf(to, "\n|---|");
    for (int i = 0; i < count; i++) fputs("---:|", to);
    for (const node *row = table->first; row; row = row->next) {
        fprintf(to, "\n| %s |", row->key);
        for (int i = 0; i < count; i++) {
            fputc(' ', to);
            put_value(node_member(row, columns[i]->key), to);
            fputs(" |", to);
        }
    }
    fputc('\n', to);
}

int report_print_markdown(kd_report *report, const char *title, FILE *to)
{
    const char *json;
    tree t;
    NEED(kd_report_json(report, &json));
    if (!tree_read(&t, json, strlen(json), "report")) {
        tree_free(&t);
        return say(EXIT_FAILED, "%s", t.error);
    }
    fprintf(to, "# %s\n\n", title);
    for (const node *n = t.root->first; n; n = n->next)
        if (n->type == NODE_TEXT || n->type == NODE_NUMBER) {
            fprintf(to, "- %s: ", n->key);
            put_value(n, to);
            fputc('\n', to);
        }
    const node *tables = node_member(t.root, "tables");
    for (const node *n = tables ? tables->first : NULL; n; n = n->next) put_table(n, to);
    tree_free(&t);
    return EXIT_DONE;
}
