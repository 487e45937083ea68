/* kdistill store (and kdistill-store): its words and options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/bar.h"
#include "tool/command.h"
#include "tool/store_fill.h"
#include "tool/store_tool.h"
#include "tool/command_line.h"

static const choice aligns[] = { { "next", KD_ALIGN_NEXT },
                                 { "same", KD_ALIGN_SAME },
                                 { NULL, 0 } };
static const choice kinds[] = { { "topk", KD_STORE_TOPK },
                                { "dense", KD_STORE_DENSE },
                                { "hidden", KD_STORE_HIDDEN },
                                { "embedding", KD_STORE_EMBEDDING },
                                { NULL, 0 } };

static store_filling o = {
    .k = 64, .bits = 8, .temperature = 1, .max_unmapped = 0.01, .align = KD_ALIGN_NEXT
};

static const option options[] = {
    { "--tokens", WORD_TEXT, &o.tokens, "TABLE", "show, import: a JSON file { \"token\": id, .. }",
      0, 0, NULL },
    { "--positions", WORD_INTEGER, &o.positions, "N",
      "show: positions of a record (16); import flat: of each record (1)", 1, 1e12, NULL },
    { "--vocabulary", WORD_INTEGER, &o.vocabulary, "N", "import: the teacher's number of ids", 1,
      1e9, NULL },
    { "--k", WORD_INTEGER, &o.k, "K", "import, collect: ids of a position (64)", 1, 1e9, NULL },
    { "--temperature", WORD_NUMBER, &o.temperature, "T",
      "import: what the server sampled at; collect: of log-probabilities (1)", 0.01, 1000, NULL },
    { "--align", WORD_CHOICE, &o.align, "ROW", "import: which row's label a row predicts", 0, 0,
      aligns },
    { "--byte-level", WORD_FLAG, &o.byte_level, NULL,
      "import: the table is written in GPT-2's byte alphabet", 0, 0, NULL },
    { "--tokenizer", WORD_TEXT, &o.tokenizer, "HASH", "import: of the teacher's tokenizer", 0, 0,
      NULL },
    { "--teacher", WORD_TEXT, &o.teacher, "NAME", "import, collect: for people", 0, 0, NULL },
    { "--most-unmapped", WORD_NUMBER, &o.max_unmapped, "SHARE",
      "import: fails if more of the strings have no id (0.01)", 0, 1, NULL },
    { "--append", WORD_FLAG, &o.append, NULL, "import: into a store that is there", 0, 0, NULL },
    { "--teacher-model", WORD_TEXT, &o.model, "FOLDER",
      "collect: the teacher, where the recipe names a store", 0, 0, NULL },
    { "--kind", WORD_CHOICE, &o.kind, "KIND",
      "collect: what is kept (topk of texts, dense of arrays)", 0, 0, kinds },
    { "--bits", WORD_INTEGER, &o.bits, "N", "collect: of each number of hidden (8)", 3, 8, NULL },
    { "--name", WORD_TEXT, &o.name, "NAME", "collect: of the field (logits)", 0, 0, NULL },
    COMMON_OPTIONS
};

static page help = {
    "kdistill store",
    "fill, look at, check, join and convert teacher stores",
    "info STORE..\nstats STORE..\nshow STORE RECORD\nverify STORE..\ncheck TOKENIZER STORE..\n"
    "merge OUT STORE..\nadopt FOLDER..\nconvert npy|safetensors|jsonl OUT STORE..\n"
    "import openai|vllm|llama-cpp|sglang|tgi|flat OUT FILE..\ncollect RECIPE.json OUT\n",
    "A STORE is a file of the store format of libkdistill, or a folder of such files (shards) with "
    "a "
    "manifest. Several are opened as one when they agree. kdistill-store is another name of this "
    "command.\n"
    "info: what the header says, and how many records there are.\n"
    "stats: bytes by field, entropy, captured mass, how many ids the positions hold, how many "
    "records have checksums of their tokens, and who made them.\n"
    "show: one record: its key, its texts and numbers, and the largest classes of its first "
    "positions.\n"
    "verify: reads every byte and checks every checksum; exit status 1 names the first damaged "
    "record.\n"
    "check: compares the store with a tokenizer (a folder or a file): its hash, its number of "
    "tokens, the strings of the ids; exit status 1 where they differ.\n"
    "merge: the last record of every key and view into one new file; of one store: compacts it.\n"
    "adopt: names in a folder's manifest the shards that have records and that it does not name: "
    "files that were copied in. Nothing is rewritten.\n"
    "convert: arrays of all records: a folder of npy files, a safetensors file, or one JSON object "
    "a record.\n"
    "import: answers of servers (one response a line, with logprobs), or a flat file of uint32 ids "
    "and float16 log-probabilities.\n"
    "collect: runs a teacher once over the data of a recipe of kdistill train; a call that was "
    "killed continues.",
    options,
    "kdistill store stats teacher.kdt\n"
    "kdistill store collect recipe.json teacher.kdt --k 32\n"
    "kdistill store import vllm --vocabulary 151936 teacher.kdt answers.jsonl\n"
};

static int usage(const char *word)
{
    static const char *const known[] = { "info",  "stats",   "show",   "verify", "check",
                                         "merge", "adopt",   "convert", "import", "collect" };
    const int count = (int)(sizeof known / sizeof *known);
    const char *near = nearest(word, known, count);
    for (int i = 0; i < count; i++)
        if (!strcmp(word, known[i]))
            return say(EXIT_USAGE, "%s: expected more words; %s --help lists them", word,
                       help.name);
    return say(EXIT_USAGE,
               "expected info, stats, show, verify, check, merge, adopt, convert, import or "
               "collect, got '%s'%s%s%s",
               word, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int look(kd_context *context, kd_store *store, const char **words, int count)
{
    const char *command = words[0];
    int64_t record;
    if (!strcmp(command, "info")) return store_info(store);
    if (!strcmp(command, "stats")) return store_stats(context, store);
    if (!strcmp(command, "verify")) return store_verify(store);
    if (!strcmp(command, "check")) return store_check(context, store, words[1]);
    if (!strcmp(command, "convert")) return convert(context, store, words[1], words[2]);
    if (!strcmp(command, "merge")) {
        NEED(kd_store_compact(store, words[1]));
        return EXIT_DONE;
    }
    if (!read_integer(words[count - 1], &record))
        return say(EXIT_USAGE, "show: expected a record's number, got '%s'", words[count - 1]);
    return store_show(context, store, record, o.tokens, o.positions ? o.positions : 16);
}

/* How many words stand before the stores, by command; -1: there is no such command. */
static int words_before(const char *command)
{
    static const struct {
        const char *name;
        int before;
    } commands[] = { { "info", 1 },  { "stats", 1 }, { "show", 1 },   { "verify", 1 },
                     { "check", 2 }, { "merge", 2 }, { "convert", 3 } };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(command, commands[i].name)) return commands[i].before;
    return -1;
}

/* Names shards that the manifests of folders do not. */
static int adopt(kd_context *context, const char **folders, int count)
{
    for (int i = 0; i < count; i++) {
        int64_t added;
        NEED(kd_store_adopt(context, folders[i], &added));
        printf("%s: %lld shards named\n", folders[i], (long long)added);
    }
    return EXIT_DONE;
}

static int run(kd_context *context, const char **words, int count)
{
    const int before = words_before(words[0]), record = !strcmp(words[0], "show");
    kd_store *store;
    if (!strcmp(words[0], "import") && count >= 4) {
        if (!o.positions) o.positions = 1;
        return store_import(context, words[1], words[2], words + 3, count - 3, &o);
    }
    if (!strcmp(words[0], "adopt") && count > 1) return adopt(context, words + 1, count - 1);
    if (before < 0 || count - record <= before) return usage(words[0]);
    NEED(kd_store_open(&store, context, words + before, count - before - record, NULL));
    const int code = look(context, store, words, count);
    bar_end();
    kd_store_free(store);
    return code;
}

int command_store(int count, char **words)
{
    static const kd_progress progress = { sizeof progress, 0, NULL, bar_progress };
    kd_context_options co = KD_CONTEXT_OPTIONS_INIT;
    kd_context *context = NULL;
    const char **rest = take((size_t)count * sizeof *rest);
    int rest_count;
    if (strcmp(words[0], "store")) help.name = "kdistill-store"; /* by that name */
    int code = words_read(&help, count, words, rest, &rest_count);
    if (code < 0 && !rest_count) code = usage("nothing");
    if (code < 0 && !strcmp(rest[0], "collect")) {
        code = rest_count == 3 ? store_collect(rest[1], rest[2], &o) : usage("collect");
    } else if (code < 0) {
        signals_watch();
        co.progress = &progress;
        code = kd_context_create(&context, &co) < 0 ? say_library()
                                                    : run(context, rest, rest_count);
    }
    kd_context_free(context);
    free(rest);
    return code;
}
