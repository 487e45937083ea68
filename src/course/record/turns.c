/* Turns of a chat: roles and contents under their usual names, what is learned of them, calls of
 * tools, thoughts. */
#include <string.h>

#include "base/os.h"
#include "course/record/shape.h"
#include "language/text/thoughts.h"

static const char *const role_names[] = { "role", "from", NULL };
static const char *const content_names[] = { "content", "value", NULL };
static const char *const thought_names[] = { "reasoning_content", "reasoning", "thinking",
                                             "thought", NULL };
/* Members that templates read. */
static const char *const known_names[] = { "name", "tool_calls", "tool_call_id", NULL };

/* ---- roles ---- */

static const char *role_of(const char *name)
{
    static const char *const roles[][2] = {
        { "system", "system" },      { "user", "user" },           { "human", "user" },
        { "prompter", "user" },      { "assistant", "assistant" }, { "gpt", "assistant" },
        { "model", "assistant" },    { "bot", "assistant" },       { "chatgpt", "assistant" },
        { "ai", "assistant" },       { "function_call", "call" },  { "tool_call", "call" },
        { "tool", "tool" },          { "observation", "tool" },    { "function_response", "tool" },
        { "tool_response", "tool" }, { "function", "tool" },       { "ipython", "tool" },
    };
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (!kd__os_compare_letters(name, roles[i][0])) return roles[i][1];
    return name;
}

int kd__is_turn(const kd__json *node)
{
    return node && node->type == KD__JSON_OBJECT && kd__find(node, role_names);
}

int kd__is_turns(const kd__json *node)
{
    return node && node->type == KD__JSON_ARRAY && kd__is_turn(node->first);
}

/* ---- what is learned ---- */

typedef struct {
    const char *name;
    int learned; /* what 1 or true says */
} flag;

/* OpenAI and Mistral: weight; axolotl: train, training; ms-swift: loss, loss_scale; torchtune:
 * masked. */
static const flag flags[] = { { "weight", 1 },    { "train", 1 },      { "training", 1 },
                              { "trainable", 1 }, { "do_train", 1 },   { "learn", 1 },
                              { "loss", 1 },      { "loss_scale", 1 }, { "loss_weight", 1 },
                              { "loss_mask", 1 }, { "masked", 0 },     { "ignored", 0 },
                              { "ignore", 0 } };
/* Members that say something of learning that is not supported. */
static const char *const other_flags[] = { "mask",  "train_detail", "training_detail",
                                           "label", "weights",      NULL };

static const flag *flag_of(const char *name)
{
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (!strcmp(name, flags[i].name)) return &flags[i];
    return NULL;
}

/* *learned: -1 nothing is said so far, else 0 or 1. */
static kd_status read_flag(const kd__json *node, const flag *f, int32_t number, int *learned)
{
    if (node->type != KD__JSON_NUMBER && node->type != KD__JSON_BOOL)
        BAD("turn %d: '%s': expected 0, 1 or a bool", number, f->name);
    if (node->number != 0 && node->number != 1)
        BAD("turn %d: '%s': expected 0 or 1, got %.20s: parts of a weight are not supported",
            number, f->name, node->text);
    const int says = (node->number != 0) == f->learned;
    if (*learned >= 0 && *learned != says)
        BAD("turn %d: '%s' contradicts the member before it on whether the turn is learned", number,
            f->name);
    *learned = says;
    return KD_OK;
}

static kd_status read_flags(const kd__json *turn, const char *role, int32_t number, int32_t *skip)
{
    int learned = -1;
    for (const kd__json *member = turn->first; member; member = member->next) {
        const flag *f = flag_of(member->key);
        if (f && member->type != KD__JSON_NULL) KD_TRY(read_flag(member, f, number, &learned));
    }
    for (const char *const *name = other_flags; *name; name++)
        if (!kd__says_nothing(kd__json_member(turn, *name)))
            BAD("turn %d: '%s' is not supported: expected 'weight' 0 or 1", number, *name);
    *skip = learned == 0;
    if (learned != 1 || !strcmp(role, "assistant")) return KD_OK;
    BAD("turn %d: a turn of role '%.40s' that is to be learned is not supported", number, role);
}

/* ---- calls of tools ---- */

/* {"name", "arguments"} as an entry of "tool_calls". */
static kd_status write_call(kd__text *to, const kd__json *call, int32_t number, const char *before)
{
    const kd__json *name = kd__find_one(call, "name");
    if (!name || name->type != KD__JSON_STRING)
        BAD("turn %d: a call of a tool: expected an object with 'name' and 'arguments'", number);
    KD_TRY(kd__text_append(to, before, strlen(before)));
    KD_TRY(kd__text_append(to, "{\"type\": \"function\", \"function\": ", 33));
    KD_TRY(kd__json_write(to, call));
    return kd__text_append(to, "}", 1);
}

static kd_status write_calls(kd__text *to, const kd__json *calls, int32_t number)
{
    const int several = calls->type == KD__JSON_ARRAY;
    const char *before = "[";
    KD_TRY(kd__begin_member(to, "tool_calls"));
    if (several && !calls->children) BAD("turn %d: a call of a tool: the list is empty", number);
    if (!several) KD_TRY(write_call(to, calls, number, before));
    else
        for (const kd__json *call = calls->first; call; call = call->next, before = ", ")
            KD_TRY(write_call(to, call, number, before));
    return kd__text_append(to, "]", 1);
}

/* The content of a turn of role "function_call" is JSON, perhaps after a thought in its tags, which
 * stays as the content. */
static kd_status read_call_turn(kd__shape *s, kd__text *members, int32_t number,
                                kd_message *message)
{
    const char *text = message->content,
               *end = kd__thoughts_of(text, text + strlen(text)).closing.end;
    kd__json_document calls = { 0 };
    char *thought = NULL;
    if (end) text = end;
    const int64_t before = text - message->content;
    kd_status status =
        kd__json_parse(&calls, s->arena.context, text, strlen(text), "a call of a tool");
    if (status == KD_OK)
        status = kd__holds_zero(calls.root)
                     ? kd__fail(KD_ERR_FORMAT, "a call of a tool holds a zero byte")
                     : KD_OK;
    if (status == KD_OK) status = write_calls(members, calls.root, number);
    kd__json_free(&calls);
    if (status != KD_OK) return status;
    KD_TRY(kd__arena_take(&s->arena, before + 1, (void **)&thought));
    memcpy(thought, message->content, (size_t)before);
    message->content = thought;
    return KD_OK;
}

/* ---- thoughts ---- */

/* {"type": "thinking", "thinking": ".."} of a list of parts; its text may stand in parts again. */
static const kd__json *thought_of_part(const kd__json *part)
{
    return part->type == KD__JSON_OBJECT && !kd__find_one(part, "text")
               ? kd__find(part, thought_names)
               : NULL;
}

static kd_status split_parts(kd__shape *s, const kd__json *parts, const char **content,
                             const char **thought)
{
    kd__text said = { .context = s->arena.context }, thinks = { .context = s->arena.context };
    kd_status status = KD_OK;
    for (const kd__json *part = parts->first; part && status == KD_OK; part = part->next) {
        const kd__json *inner = thought_of_part(part);
        const char *text = "";
        status = inner ? kd__words_only(s, inner, inner->key, &text)
                       : kd__part_text(part, "content", &text);
        if (status == KD_OK) status = kd__text_append(inner ? &thinks : &said, text, strlen(text));
    }
    status = kd__keep(s, &said, status, content);
    return kd__keep(s, &thinks, status, thought);
}

kd_status kd__read_thought(kd__shape *s, const kd__json *object, const char **name,
                           const char **thought)
{
    *name = NULL;
    *thought = "";
    for (const char *const *one = thought_names; *one; one++) {
        const kd__json *found = kd__find_one(object, *one);
        const char *text;
        if (kd__says_nothing(found) || found->type == KD__JSON_BOOL) continue;
        KD_TRY(kd__words_only(s, found, *one, &text));
        if (object == s->document.root) kd__used(s, found);
        if (!*text) continue;
        if (*name && strcmp(text, *thought))
            BAD("'%s' and '%s' are two different thoughts", *name, *one);
        if (!*name) *name = *one;
        *thought = text;
    }
    return KD_OK;
}

static kd_status with_tags(kd__shape *s, const char *thought, const char *answer, const char **out)
{
    static const char begin[] = "<think>\n", end[] = "\n</think>\n\n";
    char *both = NULL;
    const size_t room = sizeof begin + strlen(thought) + sizeof end + strlen(answer);
    KD_TRY(kd__arena_take(&s->arena, (int64_t)room, (void **)&both));
    strcpy(both, begin);
    strcat(both, thought);
    strcat(both, end);
    strcat(both, answer);
    *out = both;
    return KD_OK;
}

/* Adds {name: thought} to the members of a turn. */
static kd_status with_member(kd__shape *s, const char *name, const char *thought,
                             kd_message *message)
{
    kd__text made = { .context = s->arena.context };
    const char *others = message->extra;
    kd_status status = kd__begin_member(&made, name);
    if (status == KD_OK) status = kd__text_quoted(&made, thought);
    if (status == KD_OK) status = others ? kd__text_append(&made, ", ", 2) : KD_OK;
    if (status == KD_OK)
        status = others ? kd__text_append(&made, others + 1, strlen(others) - 1)
                        : kd__text_append(&made, "}", 1);
    return kd__keep(s, &made, status, &message->extra);
}

static int is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static void trim(const char **from, const char **end)
{
    while (*from < *end && is_blank(**from)) ++*from;
    while (*end > *from && is_blank((*end)[-1])) --*end;
}

/* Is this the content's first thought, white space around it aside? */
static int holds_thought(const kd__thoughts *t, const char *content, const char *thought)
{
    const char *end = t->closing.at, *close = thought + strlen(thought);
    const char *from = t->opened && t->opening.at < end ? t->opening.end : content;
    trim(&from, &end);
    trim(&thought, &close);
    return end - from == close - thought && !memcmp(from, thought, (size_t)(end - from));
}

kd_status kd__put_reasoning(kd__shape *s, const char *name, const char *thought,
                            kd_message *message)
{
    const char *content = message->content;
    const kd__thoughts own = kd__thoughts_of(content, content + strlen(content));
    s->said = content;
    if (!*thought) return KD_OK;
    if (own.closed) { /* files that give it both ways */
        if (holds_thought(&own, content, thought)) return KD_OK;
        BAD("'%s' and the content's <think> are two different thoughts", name);
    }
    KD_TRY(with_tags(s, thought, message->content, &s->said));
    if (s->options->reasoning == KD_REASONING_MEMBER) return with_member(s, name, thought, message);
    message->content = s->said;
    return KD_OK;
}

/* ---- one turn ---- */

static int is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(name, *names)) return 1;
    return 0;
}

/* A member that is not known stays where a template sees it, unless the options say otherwise. */
static kd_status keep_member(kd__shape *s, kd__text *members, const kd__json *member,
                             int32_t number)
{
    if (!is_one_of(member->key, known_names)) {
        const int32_t unknown = s->options->unknown;
        if (unknown == KD_MEMBERS_REFUSE) BAD("turn %d: '%.60s' is not known", number, member->key);
        KD_TRY(kd__count_member(s, &s->unknown,
                                unknown == KD_MEMBERS_KEEP
                                    ? "of a turn is not known: kept for the template"
                                    : "of a turn is left out",
                                member->key));
        if (unknown == KD_MEMBERS_DROP) return KD_OK;
    }
    KD_TRY(kd__begin_member(members, member->key));
    return kd__json_write(members, member);
}

/* All but what was read. */
static kd_status keep_members(kd__shape *s, const kd__json *turn, const kd__json *content,
                              int32_t number, kd__text *members)
{
    const kd__json *role = kd__find(turn, role_names), *call = kd__find_one(turn, "function_call");
    if (call && call->type == KD__JSON_OBJECT) KD_TRY(write_calls(members, call, number));
    for (const kd__json *m = turn->first; m; m = m->next) {
        if (m == role || m == content || m == call || m->type == KD__JSON_NULL || flag_of(m->key) ||
            is_one_of(m->key, other_flags))
            continue;
        if (is_one_of(m->key, thought_names) && m->type != KD__JSON_BOOL) continue;
        if (!strcmp(m->key, "tool_calls") && kd__says_nothing(m)) continue;
        KD_TRY(keep_member(s, members, m, number));
    }
    return KD_OK;
}

static kd_status read_members(kd__shape *s, const kd__json *turn, const kd__json *content,
                              int32_t number, int call, kd_message *message)
{
    kd__text members = { .context = s->arena.context };
    kd_status status = keep_members(s, turn, content, number, &members);
    if (status == KD_OK && call) status = read_call_turn(s, &members, number, message);
    if (status != KD_OK || !members.size) {
        kd__text_free(&members);
        return status;
    }
    return kd__keep(s, &members, kd__text_append(&members, "}", 1), &message->extra);
}

static kd_status check_content(const kd__json *turn, const kd__json *content, const kd_message *m,
                               const char *thought, int32_t number)
{
    const int has = content || *thought || !kd__says_nothing(kd__json_member(turn, "tool_calls")) ||
                    kd__find_one(turn, "function_call");
    if (!has) BAD("turn %d, of role '%.40s', has no content", number, m->role);
    if (*thought && strcmp(m->role, "assistant"))
        BAD("turn %d: a thought in a turn of role '%.40s'", number, m->role);
    return KD_OK;
}

kd_status kd__read_turn(kd__shape *s, const kd__json *turn, const char *role, int32_t number,
                        kd_message *message)
{
    const char *name = "reasoning_content", *thought = "", *given_name, *given;
    if (turn->type != KD__JSON_OBJECT) BAD("turn %d of the chat: expected an object", number);
    const kd__json *content = kd__find(turn, content_names), *who = kd__find(turn, role_names);
    *message = (kd_message)KD_MESSAGE(role, "");
    if (who) KD_TRY(kd__text_of(s, who, "role", &message->role));
    if (!message->role || !*message->role) BAD("turn %d of the chat has no role", number);
    message->role = role_of(message->role);
    const int call = !strcmp(message->role, "call");
    if (call) message->role = "assistant";
    if (content && content->type == KD__JSON_ARRAY)
        KD_TRY(split_parts(s, content, &message->content, &thought));
    else if (content && call && content->type == KD__JSON_OBJECT)
        BAD("turn %d: a call of a tool: expected its JSON as a text", number);
    else KD_TRY(kd__text_of(s, content, "content", &message->content));
    KD_TRY(kd__read_thought(s, turn, &given_name, &given));
    if (*thought && *given && strcmp(thought, given))
        BAD("turn %d: '%s' and the content's parts are two different thoughts", number, given_name);
    if (given_name) {
        name = given_name;
        thought = given;
    }
    KD_TRY(check_content(turn, content, message, thought, number));
    KD_TRY(read_flags(turn, message->role, number, &message->skip));
    KD_TRY(read_members(s, turn, content, number, call, message));
    return strcmp(message->role, "assistant") ? KD_OK
                                              : kd__put_reasoning(s, name, thought, message);
}

/* ---- chats ---- */

kd_status kd__read_turns(kd__shape *s, kd_record *r, const kd__json *turns, int skip)
{
    kd_message *messages = NULL;
    int32_t n = r->message_count, number = 0;
    if (turns->type != KD__JSON_ARRAY || !turns->children)
        BAD("the chat: expected a list of turns");
    KD_TRY(kd__arena_take(&s->arena, (n + turns->children) * (int64_t)sizeof *messages,
                          (void **)&messages));
    if (n) memcpy(messages, r->messages, (size_t)n * sizeof *messages);
    for (const kd__json *turn = turns->first; turn; turn = turn->next, n++) {
        KD_TRY(kd__read_turn(s, turn, NULL, number++, &messages[n]));
        if (skip && !strcmp(messages[n].role, "assistant")) messages[n].skip = 1;
    }
    r->messages = messages;
    r->message_count = n;
    return KD_OK;
}

kd_status kd__add_turn(kd__shape *s, kd_record *r, kd_message turn)
{
    kd_message *messages = NULL;
    KD_TRY(kd__arena_take(&s->arena, (r->message_count + 1) * (int64_t)sizeof *messages,
                          (void **)&messages));
    if (r->message_count)
        memcpy(messages, r->messages, (size_t)r->message_count * sizeof *messages);
    messages[r->message_count++] = turn;
    r->messages = messages;
    return KD_OK;
}

kd_status kd__put_first(kd__shape *s, kd_message turn)
{
    kd_record *r = &s->record;
    kd_message *messages = NULL;
    KD_TRY(kd__arena_take(&s->arena, (r->message_count + 1) * (int64_t)sizeof *messages,
                          (void **)&messages));
    messages[0] = turn;
    if (r->message_count)
        memcpy(messages + 1, r->messages, (size_t)r->message_count * sizeof *messages);
    r->messages = messages;
    r->message_count++;
    return KD_OK;
}

kd_status kd__add_answer(kd__shape *s, kd_record *r, const char *text, const kd__json *beside)
{
    kd_message answer = KD_MESSAGE("assistant", text);
    const char *name, *thought;
    KD_TRY(kd__read_thought(s, beside, &name, &thought));
    KD_TRY(kd__put_reasoning(s, name ? name : "reasoning_content", thought, &answer));
    return kd__add_turn(s, r, answer);
}
