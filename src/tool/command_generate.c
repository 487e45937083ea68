/* kdistill generate: texts from a model's folder. */
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "tool/bar.h"
#include "tool/command.h"
#include "tool/recipe_file.h"
#include "tool/say.h"
#include "tool/command_line.h"

static const choice chats[] = { { "auto", KD_CHAT_AUTO },
                                { "plain", KD_CHAT_PLAIN },
                                { "chatml", KD_CHAT_CHATML },
                                { "llama3", KD_CHAT_LLAMA3 },
                                { "llama2", KD_CHAT_LLAMA2 },
                                { "deepseek", KD_CHAT_DEEPSEEK },
                                { NULL, 0 } };
static const choice caches[] = {
    { "float32", KD_FLOAT32 }, { "float16", KD_FLOAT16 }, { "int8", KD_INT8 }, { NULL, 0 }
};

static struct {
    const char *system, *out, *adapters;
    texts records, stops;
    int64_t max_tokens, top_k, samples, seed, threads, sequences, max_prompts;
    double temperature, top_p, min_p, repetition_penalty;
    int32_t chat, weights, cache;
    int verify, packed_only;
} asked = { .max_tokens = 256,
            .samples = 1,
            .sequences = 16,
            .temperature = 0.6,
            .top_p = 0.95,
            .repetition_penalty = 1,
            .chat = UNSET,
            .weights = KD_FLOAT32,
            .cache = KD_FLOAT32 };

static const option options[] = {
    { "--chat", WORD_CHOICE, &asked.chat, "FORMAT",
      "how prompts are written (the folder's template where it has one, else plain)", 0, 0, chats },
    { "--system", WORD_TEXT, &asked.system, "TEXT", "the system's turn before each prompt", 0, 0,
      NULL },
    { "--max-tokens", WORD_INTEGER, &asked.max_tokens, "N", "of each text, at most (256)", 1, 1e7,
      NULL },
    { "--temperature", WORD_NUMBER, &asked.temperature, "T",
      "0: always the most probable token (0.6)", 0, 100, NULL },
    { "--top-p", WORD_NUMBER, &asked.top_p, "P", "the fewest tokens with this mass (0.95)", 0, 1,
      NULL },
    { "--top-k", WORD_INTEGER, &asked.top_k, "K", "only the k most probable tokens; 0: all", 0, 1e7,
      NULL },
    { "--min-p", WORD_NUMBER, &asked.min_p, "P",
      "only tokens with this share of the largest probability; 0: all", 0, 1, NULL },
    { "--repetition-penalty", WORD_NUMBER, &asked.repetition_penalty, "R", "1: off", 0.01, 100,
      NULL },
    { "--samples", WORD_INTEGER, &asked.samples, "N", "texts for each prompt (1)", 1, 1e5, NULL },
    { "--seed", WORD_INTEGER, &asked.seed, "N", "the same seed gives the same texts", 0, 1e15,
      NULL },
    { "--stop", WORD_TEXTS, &asked.stops, "TEXT", "ends a text that contains it; may be repeated",
      0, 0, NULL },
    { "--records", WORD_TEXTS, &asked.records, "FILE",
      "prompts from a file of JSON lines (docs/records.md); may be repeated", 0, 0, NULL },
    { "--out", WORD_TEXT, &asked.out, "FILE",
      "with --records: the answers, a record each; a file that was begun is continued", 0, 0,
      NULL },
    { "--max-prompts", WORD_INTEGER, &asked.max_prompts, "N", "with --records: at most; 0: all", 0,
      1e15, NULL },
    { "--verify", WORD_FLAG, &asked.verify, NULL,
      "with --records: score 1 or 0 by what each record expects (numbers and LaTeX)", 0, 0, NULL },
    { "--weights", WORD_CHOICE, &asked.weights, "TYPE",
      "int8 is faster and rounds; those of 4 bits round more", 0, 0, choices_of_weights },
    { "--packed-only", WORD_FLAG, &asked.packed_only, NULL,
      "with --weights: nothing else is kept in memory, a fifth of it or less", 0, 0, NULL },
    { "--adapters", WORD_TEXT, &asked.adapters, "FOLDER",
      "of PEFT, as kdistill train leaves them of a student of packed_only", 0, 0, NULL },
    { "--cache", WORD_CHOICE, &asked.cache, "TYPE",
      "keys and values: float16 takes half the memory, int8 a quarter; both round", 0, 0, caches },
    { "--sequences", WORD_INTEGER, &asked.sequences, "N", "that run at once, at most (16)", 1, 4096,
      NULL },
    { "--threads", WORD_INTEGER, &asked.threads, "N", "0: one for each processor", 0, 1024, NULL },
    COMMON_OPTIONS
};

static const page help = {
    "kdistill generate",
    "write texts with a language model",
    "FOLDER [PROMPT..] [options]\nFOLDER --records FILE --out ANSWERS [options]\n",
    "Continues or answers each prompt; without one, what standard input has. FOLDER is a model's "
    "folder, as kdistill train leaves one, or a GGUF file. A text depends on model, prompt, "
    "sampling and its number alone, whatever runs beside it and on how many threads.\n"
    "With --json each text is a line: {\"prompt\", \"sample\", \"text\", \"tokens\", \"finish\", "
    "\"log_probability\"}. With --records the answers go into a file that kdistill judge and "
    "kdistill train read; a call that was killed continues it.",
    options,
    "kdistill generate run/student \"Once upon a time\"\n"
    "kdistill generate folder --temperature 0 --json < prompt.txt\n"
    "kdistill generate folder --records test.jsonl --out answers.jsonl --samples 4\n"
};

typedef struct {
    kd_context *context;
    kd_model *model;
    kd_tokenizer *tokenizer;
    kd_generator *generator;
    kd_record_reader *prompts;
    const char **texts; /* prompts of the command line */
    int64_t count;
    int32_t chat;
    char **written; /* (count, samples): the results in order */
    int streams;
} work;

static int open_model(work *w, const char *folder)
{
    static const kd_progress progress = { sizeof progress, 0, NULL, bar_progress };
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_model_options mo = KD_MODEL_OPTIONS_INIT;
    char hash[KD_HASH_BYTES];
    o.threads = (int32_t)asked.threads;
    o.logger = &say_logger;
    o.progress = &progress;
    mo.frozen = !asked.adapters;
    if (asked.packed_only) mo.weights = asked.weights;
    mo.packed_only = asked.packed_only;
    NEED(kd_context_create(&w->context, &o));
    saying.listens = 1;
    NEED(kd_tokenizer_load(&w->tokenizer, w->context, folder));
    NEED(kd_model_load(&w->model, w->context, folder, &mo));
    if (asked.adapters) NEED(kd_model_load_lora(w->model, asked.adapters));
    w->chat = asked.chat;
    if (w->chat == UNSET)
        w->chat = kd_tokenizer_hash(w->tokenizer, KD_HASH_TEMPLATE, hash) == KD_OK ? KD_CHAT_AUTO
                                                                                   : KD_CHAT_PLAIN;
    return EXIT_DONE;
}

/* Positions that the model has; 0: its config does not say. */
static int64_t positions_of(kd_model *model)
{
    const char *json;
    tree config;
    int64_t positions = 0;
    if (kd_model_config(model, &json) < 0) return 0;
    if (tree_read(&config, json, strlen(json), "config")) {
        const node *n = node_member(config.root, "max_position_embeddings");
        if (n && n->type == NODE_NUMBER && n->number < 1e9) positions = (int64_t)n->number;
    }
    tree_free(&config);
    return positions;
}

static int open_generator(work *w, int64_t sequences, int64_t prompt_tokens)
{
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    const int64_t positions = positions_of(w->model);
    int64_t tokens = prompt_tokens + asked.max_tokens + 64;
    if (positions && tokens > positions + 64) tokens = positions + 64;
    o.tokenizer = w->tokenizer;
    o.weights = asked.weights;
    o.cache = asked.cache;
    o.max_sequences = (int32_t)(sequences < asked.sequences ? sequences : asked.sequences);
    o.cache_tokens = o.max_sequences * tokens;
    NEED(kd_generator_create(&w->generator, w->model, &o));
    return EXIT_DONE;
}

static kd_sampling sampling(void)
{
    kd_sampling s = KD_SAMPLING_INIT;
    s.samples = (int32_t)asked.samples;
    s.max_tokens = (int32_t)asked.max_tokens;
    s.top_k = (int32_t)asked.top_k;
    s.temperature = asked.temperature;
    s.top_p = asked.top_p;
    s.min_p = asked.min_p;
    s.repetition_penalty = asked.repetition_penalty;
    s.seed = (uint64_t)asked.seed;
    s.stop_texts = asked.stops.items;
    s.stop_text_count = asked.stops.count;
    return s;
}

/* ---- prompts of the command line ---- */

static kd_status encode(const work *w, const char *text, int32_t *ids, int64_t room, int64_t *count)
{
    kd_chat_options o = KD_CHAT_OPTIONS_INIT;
    const kd_message turns[2] = { KD_MESSAGE("system", asked.system), KD_MESSAGE("user", text) };
    const int first = asked.system ? 0 : 1;
    if (w->chat == KD_CHAT_PLAIN)
        return kd_tokenizer_encode(w->tokenizer, text, -1, KD_TOKENIZER_ADD_SPECIAL, ids, room,
                                   count);
    o.format = w->chat;
    o.generation_prompt = KD_CHAT_PROMPT_ANSWER;
    return kd_chat_encode(w->tokenizer, turns + first, 2 - first, &o, ids, NULL, room, count);
}

/* The ids of all prompts, one after another: where each ends. */
static int encode_all(work *w, int32_t **ids, int64_t *ends, int64_t *longest)
{
    int64_t at = 0, count = 0;
    for (int64_t i = 0; i < w->count; i++) {
        NEED(encode(w, w->texts[i], NULL, 0, &count));
        *ids = take_more(*ids, (size_t)(at + count + 1) * sizeof **ids);
        NEED(encode(w, w->texts[i], *ids + at, count, &count));
        if (!count) return say(EXIT_FAILED, "expected a prompt, got an empty one");
        *longest = count > *longest ? count : *longest;
        ends[i] = at += count;
    }
    return EXIT_DONE;
}

/* A token as it comes, on a terminal. */
static int32_t put_token(void *user, int64_t request, int32_t sample, int32_t token,
                         const char *text)
{
    (void)user, (void)request, (void)sample, (void)token;
    fputs(text, stdout);
    fflush(stdout);
    return signals_came();
}

static void put_json(const work *w, const kd_generated *g, FILE *to)
{
    static const char *const reasons[] = { "length", "stop", "stop", "stopped" };
    double sum = 0;
    for (int64_t i = 0; i < g->count; i++) sum += (double)g->logprobs[i];
    fputs("{\"prompt\": ", to);
    json_put_text(to, w->texts[g->request]);
    fprintf(to, ", \"sample\": %d, \"text\": ", g->sample);
    json_put_text(to, g->text ? g->text : "");
    fprintf(to,
            ", \"tokens\": %lld, \"finish\": \"%s\", \"log_probability\": ", (long long)g->count,
            reasons[g->reason >= 0 && g->reason <= 3 ? g->reason : 3]);
    json_put_number(to, sum);
    fputs("}\n", to);
}

/* Texts finish in any order and are printed in that of the prompts. */
static int write_all(work *w, int64_t total)
{
    kd_generated g = { .struct_size = sizeof g };
    kd_status status;
    int64_t next = 0, done = 0;
    w->written = take((size_t)total * sizeof *w->written);
    bar_begin("generate", "texts", 0, total);
    while ((status = kd_generator_next(w->generator, &g)) == KD_OK) {
        char *bytes = NULL;
        size_t size = 0;
        FILE *to = NULL;
        if (!saying.json) bytes = take_text("%s\n", w->streams ? "" : g.text ? g.text : "");
        else if (!(to = tmpfile())) return say(EXIT_FAILED, "a temporary file could not be made");
        else {
            put_json(w, &g, to);
            size = (size_t)ftell(to);
            bytes = take(size + 1);
            rewind(to);
            size = fread(bytes, 1, size, to);
            fclose(to);
        }
        w->written[g.request * asked.samples + g.sample] = bytes;
        bar_show(++done, NULL);
        if (next < total && w->written[next]) bar_clear();
        for (; next < total && w->written[next]; next++) fputs(w->written[next], stdout);
        fflush(stdout);
    }
    bar_end();
    return status < 0 ? say_library() : EXIT_DONE;
}

static int generate_texts(work *w)
{
    kd_sampling s = sampling();
    int64_t *ends = take((size_t)w->count * sizeof *ends), longest = 0, from = 0;
    int32_t *ids = NULL;
    w->streams = w->count * asked.samples == 1 && kd__os_is_terminal(1) && !saying.json;
    if (w->streams) s.token = put_token;
    int code = encode_all(w, &ids, ends, &longest);
    if (code == EXIT_DONE) code = open_generator(w, w->count * asked.samples, longest);
    for (int64_t i = 0; i < w->count && code == EXIT_DONE; from = ends[i++])
        if (kd_generator_add(w->generator, ids + from, ends[i] - from, &s, NULL) < 0)
            code = say_library();
    if (code == EXIT_DONE) code = write_all(w, w->count * asked.samples);
    free(ids);
    free(ends);
    return code;
}

/* ---- prompts of records ---- */

static int generate_records(work *w, const char *folder)
{
    kd_answers_options o;
    kd_answers_progress done = { .struct_size = sizeof done };
    kd_verify_options verify = KD_VERIFY_OPTIONS_INIT;
    kd_sampling s = sampling();
    if (!asked.out)
        return say(EXIT_USAGE, "expected --out, a file for the answers to --records, got none");
    if (asked.system) return say(EXIT_USAGE, "--system: expected it in the records' own turns");
    kd_answers_options_init(&o, sizeof o);
    verify.verifiers = KD_VERIFY_NUMBER | KD_VERIFY_LATEX | KD_VERIFY_NORMALIZED;
    o.samples = (int32_t)asked.samples;
    o.chat = w->chat;
    o.max_prompts = asked.max_prompts;
    o.sampling = &s;
    o.verify = asked.verify ? &verify : NULL;
    o.teacher = folder;
    PART(open_generator(w, asked.sequences, 1024));
    NEED(kd_record_reader_open(&w->prompts, w->context, asked.records.items, asked.records.count,
                               NULL));
    NEED(kd_answers_collect(w->context, w->generator, w->prompts, asked.out, &o, &done));
    if (saying.json)
        printf(
            "{\"answers\": %lld, \"tokens\": %lld, \"right\": %lld, \"seconds\": %.3f, \"out\": ",
            (long long)done.done, (long long)done.tokens, (long long)done.right, done.seconds),
            json_put_text(stdout, asked.out), puts("}");
    else
        printf("%lld answers in %s, %lld tokens in %.1f s\n", (long long)done.done, asked.out,
               (long long)done.tokens, done.seconds);
    return EXIT_DONE;
}

static void end(work *w)
{
    for (int64_t i = 0; w->written && i < w->count * asked.samples; i++) free(w->written[i]);
    free(w->written);
    kd_record_reader_free(w->prompts);
    kd_generator_free(w->generator);
    kd_model_free(w->model);
    kd_tokenizer_free(w->tokenizer);
    kd_context_free(w->context);
    free(asked.records.items);
    free(asked.stops.items);
}

int command_generate(int count, char **words)
{
    static work w;
    const char **rest = take((size_t)(count + 1) * sizeof *rest);
    char *input = NULL;
    size_t size;
    int rest_count;
    int code = words_read(&help, count, words, rest, &rest_count);
    if (code < 0 && rest_count < 1) code = say(EXIT_USAGE, "expected a model's folder, got none");
    if (code < 0 && rest_count > 1 && asked.records.count)
        code = say(EXIT_USAGE, "expected prompts or --records, got both");
    if (code < 0) {
        signals_watch();
        w.texts = rest + 1;
        w.count = rest_count - 1;
        if (!w.count && !asked.records.count) {
            if (!(input = file_read("-", &size))) code = EXIT_FAILED;
            else {
                while (size && input[size - 1] == '\n') input[--size] = 0;
                rest[1] = input;
                w.count = 1;
            }
        }
        if (code < 0) code = open_model(&w, rest[0]);
        if (code == EXIT_DONE)
            code = asked.records.count ? generate_records(&w, rest[0]) : generate_texts(&w);
    }
    end(&w);
    free(input);
    free(rest);
    return code;
}
