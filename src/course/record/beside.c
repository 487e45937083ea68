/* What stands beside the turns: members that change what is learned, and all others. */
#include <math.h>
#include <string.h>

#include "course/record/shape.h"

/* ---- what is not supported ---- */

enum { SAYS_ANYTHING, SAYS_FALSE, SAYS_TRUE, NOT_ONE, NO_IDS, NO_SERVER };

typedef struct {
    const char *name;
    int when; /* it changes what is learned */
    const char *about;
} rule;

static const rule rules[] = {
    { "image", SAYS_ANYTHING, "pictures" },
    { "images", SAYS_ANYTHING, "pictures" },
    { "video", SAYS_ANYTHING, "films" },
    { "videos", SAYS_ANYTHING, "films" },
    { "audio", SAYS_ANYTHING, "sounds" },
    { "audios", SAYS_ANYTHING, "sounds" },
    { "objects", SAYS_ANYTHING, "places in pictures" },
    { "chosen", SAYS_ANYTHING, "preferences" },
    { "rejected", SAYS_ANYTHING, "preferences" },
    { "rejected_response", SAYS_ANYTHING, "preferences" },
    { "rejected_messages", SAYS_ANYTHING, "preferences" },
    { "preferred_output", SAYS_ANYTHING, "preferences" },
    { "non_preferred_output", SAYS_ANYTHING, "preferences" },
    { "kto_tag", SAYS_FALSE, "an answer that is not wanted" },
    { "label", SAYS_FALSE, "an answer that is not wanted" },
    { "train", SAYS_FALSE, "a record that is not learned" },
    { "training", SAYS_FALSE, "a record that is not learned" },
    { "learn", SAYS_FALSE, "a record that is not learned" },
    { "loss", SAYS_FALSE, "a record that is not learned" },
    { "masked", SAYS_TRUE, "a record that is not learned" },
    { "ignored", SAYS_TRUE, "a record that is not learned" },
    { "ignore", SAYS_TRUE, "a record that is not learned" },
    { "mask_history", SAYS_TRUE, "turns that are not learned: expected 'weight' 0 in them" },
    { "train_on_input", SAYS_TRUE, "a prompt that is learned: see the packer's 'whole'" },
    { "train_on_inputs", SAYS_TRUE, "a prompt that is learned: see the packer's 'whole'" },
    { "train_on_prompt", SAYS_TRUE, "a prompt that is learned: see the packer's 'whole'" },
    { "weight", NOT_ONE, "the weight of a record" },
    { "sample_weight", NOT_ONE, "the weight of a record" },
    { "loss_weight", NOT_ONE, "the weight of a record" },
    { "loss_scale", NOT_ONE, "the weight of a record" },
    { "mask", NO_IDS, "a mask without ids" },
    { "loss_mask", NO_IDS, "a mask without ids" },
    { "completion_mask", NO_IDS, "a mask without ids" },
    { "labels", NO_IDS, "labels without ids" },
    { "segments", SAYS_ANYTHING, "pieces of text without roles" },
    { "choices", NO_SERVER, "the choices of a question: expected them in its text" },
};

/* NeMo's "mask" names the role that is not learned: the user's never is. */
static int names_user(const kd__json *node)
{
    return node->type == KD__JSON_STRING &&
           (!strcmp(node->text, "User") || !strcmp(node->text, "user") ||
            !strcmp(node->text, "human"));
}

static int applies(const kd__shape *s, const rule *r, const kd__json *node)
{
    const int is_flag = node->type == KD__JSON_BOOL, is_number = node->type == KD__JSON_NUMBER;
    switch (r->when) {
    case SAYS_FALSE: return is_flag && node->number == 0;
    case SAYS_TRUE: return (is_flag || is_number) && node->number != 0;
    case NOT_ONE: return (is_flag || is_number) ? node->number != 1 : 1;
    case NO_SERVER: return !kd__is_server(s->document.root);
    case NO_IDS: return !s->record.ids && !names_user(node);
    default: return !(is_flag && node->number == 0);
    }
}

kd_status kd__unsupported(kd__shape *s, const kd__json *member, const char *about)
{
    if (s->options->unsupported == KD_MEMBERS_REFUSE)
        BAD("'%s' is not supported: %s", member->key, about);
    if (s->options->unsupported == KD_MEMBERS_DROP) kd__used(s, member);
    return kd__count_member(s, &s->unsupported, "would change what is learned and is not read",
                            member->key);
}

static kd_status check_rule(kd__shape *s, const rule *r)
{
    const kd__json *node = kd__json_member(s->document.root, r->name);
    return kd__says_nothing(node) || !applies(s, r, node) ? KD_OK
                                                          : kd__unsupported(s, node, r->about);
}

kd_status kd__check_members(kd__shape *s)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) KD_TRY(check_rule(s, &rules[i]));
    return KD_OK;
}

/* ---- tools and variables ---- */

static void use_of(kd__shape *s, const kd__json *object, const kd__json *member)
{
    if (object == s->document.root) kd__used(s, member);
}

static kd_status write_tools(kd__text *to, const kd__json *functions)
{
    for (const kd__json *f = functions->first; f; f = f->next) {
        KD_TRY(kd__text_format(
            to, "%s{\"type\":\"function\",\"function\":", f == functions->first ? "[" : ","));
        KD_TRY(kd__json_write(to, f));
        KD_TRY(kd__text_append(to, "}", 1));
    }
    return kd__text_append(to, "]", 1);
}

/* The older "functions": each becomes a tool. */
static kd_status wrap_functions(kd__shape *s, const kd__json *given)
{
    kd__json_document functions = { 0 };
    kd__text made = { .context = s->arena.context };
    const char *text;
    KD_TRY(kd__json_of(s, given, KD__JSON_ARRAY, "functions", &text));
    if (!*text) return KD_OK;
    KD_TRY(kd__json_parse(&functions, s->arena.context, text, strlen(text), "functions"));
    const kd_status status = write_tools(&made, functions.root);
    kd__json_free(&functions);
    return kd__keep(s, &made, status, &s->record.tools);
}

static kd_status read_tools(kd__shape *s, const kd__json *object)
{
    const kd__json *tools = kd__find_one(object, "tools"),
                   *functions = kd__find_one(object, "functions");
    use_of(s, object, tools);
    use_of(s, object, functions);
    if (!kd__says_nothing(tools) && !kd__says_nothing(functions))
        BAD("'tools' and 'functions': expected one of them");
    if (!kd__says_nothing(functions)) return wrap_functions(s, functions);
    return kd__says_nothing(tools)
               ? KD_OK
               : kd__json_of(s, tools, KD__JSON_ARRAY, "tools", &s->record.tools);
}

/* Variables that stand alone, in the types that templates know them by. */
static int is_variable(const kd__json *m)
{
    if (!strcmp(m->key, "enable_thinking") || !strcmp(m->key, "thinking"))
        return m->type == KD__JSON_BOOL;
    return !strcmp(m->key, "reasoning_effort") && m->type == KD__JSON_STRING && m->length;
}

static kd_status add_variable(kd__shape *s, kd__text *made, const kd__json *object,
                              const kd__json *m)
{
    if (kd__json_member(kd__json_member(object, "chat_template_kwargs"), m->key))
        BAD("'%s' stands in 'chat_template_kwargs' and beside it", m->key);
    use_of(s, object, m);
    KD_TRY(kd__begin_member(made, m->key));
    return kd__json_write(made, m);
}

static kd_status read_variables(kd__shape *s, const kd__json *object)
{
    const kd__json *given = kd__find_one(object, "chat_template_kwargs");
    const char *text = "";
    kd__text made = { .context = s->arena.context };
    kd_status status = KD_OK;
    use_of(s, object, given);
    KD_TRY(kd__json_of(s, given, KD__JSON_OBJECT, "chat_template_kwargs", &text));
    const size_t size = strlen(text);
    if (size) status = kd__text_append(&made, text, size - 1);
    for (const kd__json *m = object->first; m && status == KD_OK; m = m->next)
        if (is_variable(m)) status = add_variable(s, &made, object, m);
    if (status == KD_OK && made.size) status = kd__text_append(&made, "}", 1);
    return kd__keep(s, &made, status, &s->record.variables);
}

kd_status kd__read_template(kd__shape *s, const kd__json *object)
{
    KD_TRY(read_tools(s, object));
    return read_variables(s, object);
}

/* ---- turns beside the turns ---- */

/* One system message under any of its names. */
static kd_status find_system(kd__shape *s, const kd__json *object, const char **system)
{
    static const char *const names[] = { "system", "system_prompt", "system_message" };
    *system = "";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const kd__json *node = kd__find_one(object, names[i]);
        const char *text;
        KD_TRY(kd__words_only(s, node, names[i], &text));
        use_of(s, object, node);
        if (*text && **system && strcmp(text, *system))
            BAD("'%s': another system message stands beside it", names[i]);
        if (*text) *system = text;
    }
    return KD_OK;
}

kd_status kd__read_system(kd__shape *s, const kd__json *object)
{
    kd_record *r = &s->record;
    const char *system;
    KD_TRY(find_system(s, object, &system));
    if (!*system) return KD_OK;
    if (r->message_count && !strcmp(r->messages->role, "system")) {
        if (!strcmp(r->messages->content, system)) return KD_OK;
        BAD("'system' and the first turn are two different system messages");
    }
    return kd__put_first(s, (kd_message)KD_MESSAGE("system", system));
}

/* ["question", "answer"] */
static kd_status read_exchange(kd__shape *s, const kd__json *pair, kd_message messages[2])
{
    const char *asked, *answered;
    if (pair->type != KD__JSON_ARRAY || pair->children != 2)
        BAD("'history': expected pairs of a question and an answer");
    KD_TRY(kd__words_only(s, pair->first, "history", &asked));
    KD_TRY(kd__words_only(s, pair->first->next, "history", &answered));
    messages[0] = (kd_message)KD_MESSAGE("user", asked);
    messages[1] = (kd_message)KD_MESSAGE("assistant", answered);
    return KD_OK;
}

kd_status kd__read_history(kd__shape *s)
{
    const kd__json *history = kd__use_one(s, "history");
    kd_message *messages = NULL;
    int32_t n = 0;
    if (kd__says_nothing(history)) return KD_OK;
    if (kd__is_turns(history)) return kd__read_turns(s, &s->record, history, 0);
    if (history->type != KD__JSON_ARRAY)
        BAD("'history': expected pairs of a question and an answer");
    KD_TRY(kd__arena_take(&s->arena, 2 * history->children * (int64_t)sizeof *messages,
                          (void **)&messages));
    for (const kd__json *pair = history->first; pair; pair = pair->next, n += 2)
        KD_TRY(read_exchange(s, pair, messages + n));
    s->record.messages = messages;
    s->record.message_count = n;
    return KD_OK;
}

kd_status kd__read_reasoning(kd__shape *s)
{
    const char *name, *thought;
    kd_record *r = &s->record;
    KD_TRY(kd__read_thought(s, s->document.root, &name, &thought));
    if (!name) return KD_OK;
    if (!r->message_count || strcmp(r->messages[r->message_count - 1].role, "assistant"))
        BAD("'%s' beside a chat that has no answer at its end", name);
    return kd__put_reasoning(s, name, thought,
                             (kd_message *)(uintptr_t)&r->messages[r->message_count - 1]);
}

/* ---- all other members ---- */

/* Names that the writer uses: a member that has one, but was not read as it, would stand twice in a
 * line. */
static int is_written(const char *name)
{
    static const char *const names[] = {
        "id",       "domain",      "messages", "tools",     "chat_template_kwargs",
        "expected", "teacher",     "sample",   "seed",      "temperature",
        "score",    "finish",      "passed",   "input_ids", "mask",
        "logprobs", "logprob_ends"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) return 1;
    return 0;
}

static int stays(const kd__shape *s, const kd__json *member)
{
    for (int32_t i = 0; i < s->used_count; i++)
        if (s->used[i] == member) return 0;
    return !is_written(member->key);
}

kd_status kd__keep_extra(kd__shape *s)
{
    kd__text made = { .context = s->arena.context };
    kd_status status = KD_OK;
    for (const kd__json *member = s->document.root->first; member && status == KD_OK;
         member = member->next) {
        if (!stays(s, member)) continue;
        status = kd__begin_member(&made, member->key);
        if (status == KD_OK) status = kd__json_write(&made, member);
    }
    if (status == KD_OK && made.size) status = kd__text_append(&made, "}", 1);
    return kd__keep(s, &made, status, &s->record.extra);
}
