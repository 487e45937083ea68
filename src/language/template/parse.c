/* Tags. */
#include "language/template/parse.h"

#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "language/template/callable.h"

/* ---- tokens ---- */

kd_status kd__parse_bad(const kd__parser *p, const char *why)
{
    return kd__fail(KD_ERR_FORMAT, "%s, line %d: %s", p->t->title, p->now.line, why);
}

kd_status kd__parse_unexpected(const kd__parser *p, const char *expected)
{
    const int bytes = (int)kd__min(p->now.bytes, 40);
    if (p->now.type == KD__T_END)
        return kd__fail(KD_ERR_FORMAT, "%s, line %d: expected %s, got the end", p->t->title,
                        p->now.line, expected);
    return kd__fail(KD_ERR_FORMAT, "%s, line %d: expected %s, got '%.*s'", p->t->title, p->now.line,
                    expected, bytes, p->now.text);
}

kd_status kd__parse_unsupported(const kd__parser *p, const char *what, const char *name,
                                int64_t bytes)
{
    return kd__fail(KD_ERR_UNSUPPORTED, "%s, line %d: %s '%.*s' is not supported", p->t->title,
                    p->now.line, what, (int)kd__min(bytes, 60), name);
}

kd_status kd__parse_next(kd__parser *p)
{
    p->now = p->ahead;
    return p->now.type == KD__T_END ? KD_OK : kd__lexer_next(&p->lexer, &p->ahead);
}

static int is_text(const kd__lexeme *token, const char *text)
{
    return !strncmp(token->text, text, (size_t)token->bytes) && !text[token->bytes];
}

int kd__parse_is(const kd__lexeme *token, const char *text)
{
    return token->type == KD__T_OPERATOR && is_text(token, text);
}
int kd__parse_is_name(const kd__lexeme *token, const char *text)
{
    return token->type == KD__T_NAME && is_text(token, text);
}

kd_status kd__parse_skip(kd__parser *p, const char *text, int32_t *there)
{
    *there = kd__parse_is(&p->now, text);
    return *there ? kd__parse_next(p) : KD_OK;
}

kd_status kd__parse_skip_name(kd__parser *p, const char *text, int32_t *there)
{
    *there = kd__parse_is_name(&p->now, text);
    return *there ? kd__parse_next(p) : KD_OK;
}

kd_status kd__parse_expect(kd__parser *p, const char *text)
{
    return kd__parse_is(&p->now, text) ? kd__parse_next(p) : kd__parse_unexpected(p, text);
}

kd_status kd__parse_deeper(kd__parser *p)
{
    KD_FAIL_IF(++p->depth > KD__TEMPLATE_NESTING, KD_ERR_RANGE,
               "%s, line %d: nested deeper than %d", p->t->title, p->now.line,
               KD__TEMPLATE_NESTING);
    return KD_OK;
}

kd_status kd__node_new(kd__parser *p, int32_t type, kd__node **out)
{
    kd__node *n = NULL;
    KD_TRY(KD_TAKE(&p->t->room, &n, 1));
    n->type = (uint8_t)type;
    n->line = p->now.line;
    *out = n;
    return KD_OK;
}

kd_status kd__parse_name_number(kd__parser *p, const char *text, int64_t bytes, int32_t *number)
{
    kd__template *t = p->t;
    for (int64_t i = 0; i < t->name_count; i++)
        if (t->names[i].bytes == bytes && !memcmp(t->names[i].text, text, (size_t)bytes))
            return *number = (int32_t)i, KD_OK;
    KD_TRY(KD_GROW(&t->room, &t->names, &t->names_held, t->name_count + 1));
    KD_TRY(kd__string_copy(&t->room, text, bytes, &t->names[t->name_count]));
    *number = (int32_t)t->name_count++;
    return KD_OK;
}

/* ---- bodies ---- */

static kd_status parse_tag(kd__parser *p, kd__node **out);

static int ends_body(const kd__parser *p, const char *const *ends)
{
    for (; ends && *ends; ends++)
        if (kd__parse_is_name(&p->now, *ends)) return 1;
    return 0;
}

static kd_status expect_type(kd__parser *p, int32_t type, const char *what)
{
    return p->now.type == type ? kd__parse_next(p) : kd__parse_unexpected(p, what);
}

static kd_status parse_print(kd__parser *p, kd__node **out)
{
    KD_TRY(kd__parse_next(p));
    KD_TRY(kd__node_new(p, KD__PRINT, out));
    KD_TRY(kd__parse_tuple(p, 0, NULL, &(*out)->a));
    return expect_type(p, KD__T_VARIABLE_END, "}}");
}

static kd_status parse_data(kd__parser *p, kd__node **out)
{
    KD_TRY(kd__node_new(p, KD__TEXT, out));
    (*out)->value = kd__string(p->now.text, p->now.bytes);
    return kd__parse_next(p);
}

static kd_status refuse_unknown(const kd__parser *p)
{
    const kd__node *n = p->unknown;
    if (!n) return KD_OK;
    return kd__fail(KD_ERR_UNSUPPORTED, "%s, line %d: the %s '%.*s' is not supported", p->t->title,
                    n->line, n->type == KD__FILTER ? "filter" : "test",
                    (int)kd__min(n->value.bytes, 60), n->value.text);
}

/* Up to a tag of `ends` (NULL: the end of the template), whose name is the next token then. */
static kd_status parse_body(kd__parser *p, const char *const *ends, kd__node **out)
{
    KD_TRY(kd__parse_deeper(p));
    while (p->now.type != KD__T_END) {
        if (p->now.type == KD__T_DATA) KD_TRY(parse_data(p, out));
        else if (p->now.type == KD__T_VARIABLE_BEGIN) KD_TRY(parse_print(p, out));
        else {
            KD_TRY(expect_type(p, KD__T_BLOCK_BEGIN, "a tag"));
            if (ends_body(p, ends)) break;
            KD_TRY(parse_tag(p, out));
            KD_TRY(expect_type(p, KD__T_BLOCK_END, "%}"));
        }
        KD_TRY(refuse_unknown(p));
        while (*out) out = &(*out)->next;
    }
    if (ends && p->now.type == KD__T_END) return kd__parse_unexpected(p, *ends);
    p->depth--;
    return KD_OK;
}

/* After a tag: %} and a body. */
static kd_status parse_block(kd__parser *p, const char *const *ends, kd__node **out)
{
    int32_t there;
    KD_TRY(kd__parse_skip(p, ":", &there));
    KD_TRY(expect_type(p, KD__T_BLOCK_END, "%}"));
    return parse_body(p, ends, out);
}

/* A body up to its one end tag, which is gone over. */
static kd_status parse_closed(kd__parser *p, const char *end, kd__node **out)
{
    const char *const ends[] = { end, NULL };
    KD_TRY(parse_block(p, ends, out));
    return kd__parse_next(p);
}

/* The same of a tag whose body has variables of its own: it does not stand directly within an if
 * around the tag. */
static kd_status parse_own(kd__parser *p, const char *end, kd__node **out)
{
    const int32_t soft = p->soft;
    p->soft = 0;
    KD_TRY(parse_closed(p, end, out));
    p->soft = soft;
    return KD_OK;
}

/* ---- tags: `n` is the tag's node, the token after its name is next ---- */

static kd_status parse_branches(kd__parser *p, kd__node *n)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL };
    for (;;) {
        n->type = KD__IF;
        KD_TRY(kd__parse_tuple(p, KD__NO_CHOICE, NULL, &n->a));
        KD_TRY(parse_block(p, ends, &n->b));
        if (!kd__parse_is_name(&p->now, "elif")) break;
        KD_TRY(kd__node_new(p, KD__IF, &n->c));
        n = n->c;
        KD_TRY(kd__parse_next(p));
    }
    const int other = kd__parse_is_name(&p->now, "else");
    KD_TRY(kd__parse_next(p));
    return other ? parse_closed(p, "endif", &n->c) : KD_OK;
}

static kd_status parse_if(kd__parser *p, kd__node *n)
{
    const int32_t soft = p->soft;
    p->soft = 1;
    KD_TRY(parse_branches(p, n));
    p->soft = soft;
    return KD_OK;
}

/* The filter, the body and what stands for an empty loop. */
static kd_status parse_turns(kd__parser *p, kd__node *n)
{
    static const char *const ends[] = { "endfor", "else", NULL };
    int32_t there;
    KD_TRY(kd__parse_skip_name(p, "if", &there));
    if (there) KD_TRY(kd__parse_expression(p, 0, &n->e));
    if (kd__parse_is_name(&p->now, "recursive"))
        return kd__parse_unsupported(p, "a loop that is", "recursive", 9);
    p->loops++;
    KD_TRY(parse_block(p, ends, &n->b));
    p->loops--;
    const int other = kd__parse_is_name(&p->now, "else");
    KD_TRY(kd__parse_next(p));
    return other ? parse_closed(p, "endfor", &n->c) : KD_OK;
}

static kd_status parse_for(kd__parser *p, kd__node *n)
{
    const int32_t soft = p->soft;
    int32_t there;
    n->type = KD__FOR;
    KD_TRY(kd__parse_target(p, "in", 0, &n->a));
    KD_TRY(kd__parse_skip_name(p, "in", &there));
    if (!there) return kd__parse_unexpected(p, "in");
    KD_TRY(kd__parse_tuple(p, KD__NO_CHOICE, "recursive", &n->d));
    p->soft = 0;
    KD_TRY(parse_turns(p, n));
    p->soft = soft;
    return KD_OK;
}

static kd_status parse_break(kd__parser *p, kd__node *n)
{
    n->type = KD__BREAK;
    return p->loops ? KD_OK : kd__parse_bad(p, "break outside of a loop");
}

static kd_status parse_continue(kd__parser *p, kd__node *n)
{
    n->type = KD__CONTINUE;
    return p->loops ? KD_OK : kd__parse_bad(p, "continue outside of a loop");
}

static kd_status parse_set(kd__parser *p, kd__node *n)
{
    int32_t there;
    kd__node *written;
    KD_TRY(kd__parse_target(p, "", 1, &n->a));
    KD_TRY(kd__parse_skip(p, "=", &there));
    n->type = there ? KD__SET : KD__SET_BLOCK;
    if (there) return kd__parse_tuple(p, 0, NULL, &n->b);
    const int32_t soft = p->soft;
    p->soft = 0;
    KD_TRY(kd__node_new(p, KD__BLOCK_VALUE, &written));
    KD_TRY(kd__parse_filters(p, written, 0, &n->c));
    KD_TRY(parse_closed(p, "endset", &n->b));
    p->soft = soft;
    return KD_OK;
}

static kd_status parse_with(kd__parser *p, kd__node *n)
{
    kd__node **target = &n->a, **value = &n->c;
    n->type = KD__WITH;
    while (p->now.type != KD__T_BLOCK_END) {
        if (n->a) KD_TRY(kd__parse_expect(p, ","));
        KD_TRY(kd__parse_target(p, NULL, 0, target));
        KD_TRY(kd__parse_expect(p, "="));
        KD_TRY(kd__parse_expression(p, 0, value));
        target = &(*target)->next, value = &(*value)->next;
    }
    return parse_own(p, "endwith", &n->b);
}

/* (a, b=1): names with their defaults. */
static kd_status parse_parameters(kd__parser *p, kd__node **out)
{
    const int32_t soft = p->soft;
    int32_t with_default = 0, there;
    p->soft = 0;
    KD_TRY(kd__parse_expect(p, "("));
    while (!kd__parse_is(&p->now, ")")) {
        if (p->now.type != KD__T_NAME) return kd__parse_unexpected(p, "a parameter's name");
        KD_TRY(kd__node_new(p, KD__NAME, out));
        KD_TRY(kd__parse_name_number(p, p->now.text, p->now.bytes, &(*out)->name));
        KD_TRY(kd__parse_next(p));
        KD_TRY(kd__parse_skip(p, "=", &there));
        if (there) KD_TRY(kd__parse_expression(p, 0, &(*out)->a));
        else if (with_default)
            return kd__parse_bad(p, "a parameter without a default after one with a default");
        with_default = there;
        out = &(*out)->next;
        if (!kd__parse_is(&p->now, ")")) KD_TRY(kd__parse_expect(p, ","));
    }
    p->soft = soft;
    return kd__parse_next(p);
}

/* A body that is called: it has loops, and special names, of its own. */
static kd_status parse_called(kd__parser *p, kd__node *n, const char *end)
{
    const int32_t loops = p->loops;
    const uint8_t uses = p->uses;
    p->loops = p->uses = 0;
    KD_TRY(parse_own(p, end, &n->b));
    n->flags = p->uses;
    p->loops = loops;
    p->uses = uses | p->uses;
    return KD_OK;
}

static kd_status parse_macro(kd__parser *p, kd__node *n)
{
    n->type = KD__DEFINE;
    if (p->now.type != KD__T_NAME) return kd__parse_unexpected(p, "the macro's name");
    KD_TRY(kd__parse_name_number(p, p->now.text, p->now.bytes, &n->name));
    KD_TRY(kd__parse_next(p));
    KD_TRY(parse_parameters(p, &n->a));
    return parse_called(p, n, "endmacro");
}

static kd_status parse_call_block(kd__parser *p, kd__node *n)
{
    n->type = KD__CALL_BLOCK;
    if (kd__parse_is(&p->now, "(")) KD_TRY(parse_parameters(p, &n->c));
    KD_TRY(kd__parse_expression(p, 0, &n->a));
    if (n->a->type != KD__CALL) return kd__parse_bad(p, "call: expected the call of a macro");
    return parse_called(p, n, "endcall");
}

static kd_status parse_filter_block(kd__parser *p, kd__node *n)
{
    kd__node *written;
    n->type = KD__FILTER_BLOCK;
    KD_TRY(kd__node_new(p, KD__BLOCK_VALUE, &written));
    const int32_t soft = p->soft;
    p->soft = 0;
    KD_TRY(kd__parse_filters(p, written, 1, &n->c));
    KD_TRY(parse_closed(p, "endfilter", &n->b));
    p->soft = soft;
    return KD_OK;
}

static kd_status parse_generation(kd__parser *p, kd__node *n)
{
    n->type = KD__GENERATION;
    p->t->generates = 1;
    return parse_called(p, n, "endgeneration");
}

/* {% print a, b %} */
static kd_status parse_print_tag(kd__parser *p, kd__node *n)
{
    n->type = KD__PRINT;
    KD_TRY(kd__parse_expression(p, 0, &n->a));
    while (kd__parse_is(&p->now, ",")) {
        KD_TRY(kd__parse_next(p));
        KD_TRY(kd__node_new(p, KD__PRINT, &n->next));
        n = n->next;
        KD_TRY(kd__parse_expression(p, 0, &n->a));
    }
    return KD_OK;
}

static kd_status parse_tag(kd__parser *p, kd__node **out)
{
    static const struct {
        const char *name;
        kd_status (*parse)(kd__parser *p, kd__node *n);
    } tags[] = { { "if", parse_if },
                 { "for", parse_for },
                 { "set", parse_set },
                 { "macro", parse_macro },
                 { "break", parse_break },
                 { "continue", parse_continue },
                 { "with", parse_with },
                 { "call", parse_call_block },
                 { "print", parse_print_tag },
                 { "filter", parse_filter_block },
                 { "generation", parse_generation } };
    if (p->now.type != KD__T_NAME) return kd__parse_unexpected(p, "a tag's name");
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        if (!kd__parse_is_name(&p->now, tags[i].name)) continue;
        KD_TRY(kd__node_new(p, KD__TEXT, out));
        KD_TRY(kd__parse_next(p));
        return tags[i].parse(p, *out);
    }
    return kd__parse_unsupported(p, "the tag", p->now.text, p->now.bytes);
}

/* ---- the whole ---- */

static kd_status parse_all(kd__template *t, const char *text, int64_t bytes, const char *name)
{
    kd__parser p = { .t = t };
    kd__value title;
    KD_TRY(kd__string_copy(&t->room, name, (int64_t)strlen(name), &title));
    t->title = title.text;
    KD_TRY(kd__lexer_begin(&p.lexer, &t->room, text, bytes, t->title));
    KD_TRY(kd__lexer_next(&p.lexer, &p.now));
    if (p.now.type != KD__T_END) KD_TRY(kd__lexer_next(&p.lexer, &p.ahead));
    return parse_body(&p, NULL, &t->body);
}

kd_status kd__template_parse(kd__template **out, kd_context *context, const char *text,
                             int64_t bytes, const char *name)
{
    kd__template *t = NULL;
    KD_TRY(KD_NEW(context, &t, 1));
    t->context = context;
    t->room.context = context;
    const kd_status status = parse_all(t, text, bytes, name);
    if (status == KD_OK) *out = t;
    else kd__template_free(t);
    return status;
}

void kd__template_free(kd__template *t)
{
    if (!t) return;
    kd__room_free(&t->room);
    kd__release(t->context, t);
}

int kd__template_generates(const kd__template *t) { return t->generates; }
