/* Records as lines of a file: a new one, moved into its place at the end, or behind what is
 * there. */
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/io.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/object.h"
#include "base/os.h"
#include "course/record/record.h"

static const kd_record_writer_options defaults = KD_RECORD_WRITER_OPTIONS_INIT;
void kd_record_writer_options_init(kd_record_writer_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

struct kd_record_writer {
    kd__object object;
    char *path;
    int append, open, failed;
    kd__output output; /* a new file */
    int file;          /* append     */
    int64_t end;       /* append: behind the last whole line */
};

static kd_status io_error(const kd_record_writer *w, const char *doing)
{
    return kd__fail(KD_ERR_IO, "%s %.200s: %s", doing, w->path, strerror(errno));
}

/* Cuts off a last line without its end. */
static kd_status heal(kd_record_writer *w)
{
    char block[4096];
    kd__os_facts facts;
    if (kd__os_look(w->file, &facts)) return io_error(w, "cannot stat");
    KD_FAIL_IF(facts.kind != KD__OS_FILE, KD_ERR_IO, "appending to %.200s: expected a regular file",
               w->path);
    int64_t end = facts.size;
    while (end > 0) {
        const int64_t from = end > (int64_t)sizeof block ? end - (int64_t)sizeof block : 0;
        const int64_t got = kd__os_read_at(w->file, block, end - from, from);
        if (got != end - from) return io_error(w, "cannot read");
        int64_t i = end - from;
        while (i > 0 && block[i - 1] != '\n') i--;
        end = from + i;
        if (i > 0) break;
    }
    w->end = end;
    if (end < facts.size)
        kd__log(w->object.context, KD_LOG_WARNING,
                "%.200s: an unfinished last line of %lld bytes is cut off", w->path,
                (long long)(facts.size - end));
    return kd__os_cut(w->file, end) ? io_error(w, "cannot truncate") : KD_OK;
}

static kd_status open_file(kd_record_writer *w)
{
    if (!w->append) {
        KD_TRY(kd__output_open(&w->output, w->object.context, w->path, 1));
        w->open = 1;
        return KD_OK;
    }
    w->file = kd__os_open(w->path, KD__OS_UPDATE);
    if (w->file < 0) return io_error(w, "cannot open");
    w->open = 1;
    return heal(w);
}

kd_status kd_record_writer_open(kd_record_writer **out, kd_context *context, const char *path,
                                const kd_record_writer_options *options)
{
    kd_record_writer_options o = defaults;
    kd_record_writer *w = NULL;
    kd_status status;
    KD_NEED(out);
    KD_NEED(context);
    KD_NEED(path);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_record_writer_options"));
    KD_TRY(kd__object_create((void **)&w, context, sizeof *w));
    w->append = o.append != 0;
    status = kd__copy_text(context, &w->path, path);
    if (status == KD_OK) status = open_file(w);
    if (status != KD_OK) {
        kd_record_writer_free(w);
        return status;
    }
    *out = w;
    return KD_OK;
}

/* A line that came only in part is taken back. */
static kd_status append_line(kd_record_writer *w, const char *line, int64_t size)
{
    if (kd__write_all(w->file, line, size)) {
        const kd_status status = io_error(w, "cannot write");
        if (kd__os_cut(w->file, w->end)) w->failed = 1;
        return status;
    }
    w->end += size;
    return KD_OK;
}

kd_status kd_record_writer_add(kd_record_writer *w, const kd_record *record)
{
    char *line = NULL;
    KD_NEED(w);
    KD_FAIL_IF(!w->open || w->failed, KD_ERR_STATE, "%.200s: the writer %s", w->path,
               w->failed ? "failed before" : "is closed");
    KD_TRY(kd_record_to_json(w->object.context, record, &line));
    const int64_t size = (int64_t)strlen(line);
    line[size] = '\n'; /* in place of the 0 */
    const kd_status status = w->append ? append_line(w, line, size + 1)
                                       : kd__output_write(&w->output, line, size + 1);
    if (status != KD_OK && !w->append) w->failed = 1;
    kd_context_free_text(w->object.context, line);
    return status;
}

kd_status kd_record_writer_close(kd_record_writer *w)
{
    KD_NEED(w);
    KD_FAIL_IF(!w->open || w->failed, KD_ERR_STATE, "%.200s: the writer %s", w->path,
               w->failed ? "failed before" : "is closed");
    w->open = 0;
    if (!w->append) {
        const kd_status status = kd__output_commit(&w->output);
        if (status != KD_OK) kd__output_abandon(&w->output);
        return status;
    }
    const int failed = kd__os_sync(w->file);
    if (kd__os_close(w->file) || failed) return io_error(w, "cannot close");
    return KD_OK;
}

void kd_record_writer_free(kd_record_writer *w)
{
    if (!kd__object_drop(w)) return;
    if (w->open && w->append) kd__os_close(w->file);
    else if (w->open) kd__output_abandon(&w->output);
    kd__release(w->object.context, w->path);
    kd__object_destroy(w);
}
