/* Rules about one text. */
#include <math.h>
#include <string.h>

#include "course/curation/curation.h"
#include "language/text/thoughts.h"

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Runs between white space; of scripts without spaces each character. */
static int64_t spaced_words(const char *text, int64_t bytes)
{
    int64_t count = 0;
    int32_t before = KD__LETTER_SPACE;
    for (const unsigned char *at = (const unsigned char *)text, *end = at + bytes; at < end;) {
        const int32_t kind = kd__next_letter(&at).kind;
        const int begins = before == KD__LETTER_SPACE || before == KD__LETTER_ALONE;
        /* a mark after such a character is no word */
        const int joins = kind == KD__LETTER_MARK && before == KD__LETTER_ALONE;
        count += kind == KD__LETTER_ALONE || (kind != KD__LETTER_SPACE && begins && !joins);
        if (!joins) before = kind;
    }
    return count;
}

kd_status kd__measure(const kd_curation *c, int32_t unit, const char *text, int64_t bytes,
                      int64_t *length)
{
    *length = 0;
    if (unit == KD_UNIT_BYTES) *length = bytes;
    else if (unit == KD_UNIT_RECORDS) *length = 1;
    else if (unit == KD_UNIT_TOKENS)
        return kd_tokenizer_encode(c->options.tokenizer, text, bytes, 0, NULL, 0, length);
    else *length = spaced_words(text, bytes);
    return KD_OK;
}

const char *kd__rule_length(const kd_curation *c, const kd__filter *f, const kd_record *r,
                            kd_status *status)
{
    int64_t length;
    if (!strcmp(r->finish, "length")) return "cut off";
    *status = kd__measure(c, f->o.unit, r->completion, (int64_t)strlen(r->completion), &length);
    if (*status != KD_OK) return NULL;
    if ((double)length < f->numbers[KD_CURATION_MIN_LENGTH]) return "too short";
    const double most = f->numbers[KD_CURATION_MAX_LENGTH];
    return most > 0 && (double)length > most ? "too long" : NULL;
}

/* ---- repetition ---- */

typedef struct {
    kd__set seen;
    int64_t grams, repeated;
    kd_status status;
} repetition;

static int see(void *user, uint64_t hash)
{
    repetition *r = user;
    int was_there;
    r->status = kd__set_add(&r->seen, hash, &was_there);
    r->grams++;
    r->repeated += was_there;
    return r->status != KD_OK;
}

/* A run of one character, "......" or the same in any script, is no loop of words. */
static int is_one_character(const char *unit, int64_t bytes)
{
    const int32_t size = kd__utf8_size(*unit);
    for (int64_t i = size; i < bytes; i++)
        if (unit[i] != unit[i - size]) return 0;
    return bytes % size == 0;
}

/* How often the text's last p bytes stand in a row at its end, for the p that makes the most of
 * it. */
static int64_t loop_at_end(const char *text, int64_t bytes)
{
    int64_t most = 1;
    for (int64_t p = 4; p <= 200 && 2 * p <= bytes; p++) {
        const char *unit = text + bytes - p;
        int64_t times = 1;
        while ((times + 1) * p <= bytes && !memcmp(unit, unit - times * p, (size_t)p)) times++;
        if (times > most && !is_one_character(unit, p)) most = times;
    }
    return most;
}

const char *kd__rule_repetition(const kd__filter *f, const kd_record *r, kd_status *status)
{
    repetition seen = { .seen = { .context = f->grams.context } };
    int64_t bytes = (int64_t)strlen(r->completion);
    kd__each_gram(kd__words_by_worth(r->completion), f->o.ngram, see, &seen);
    kd__set_free(&seen.seen);
    *status = seen.status;
    if (*status != KD_OK) return NULL;
    const double most = f->numbers[KD_CURATION_MAX_REPEATED_SHARE] * (double)seen.grams;
    if (seen.grams > 4 * f->o.ngram && (double)seen.repeated > most) return "repeated n-grams";
    while (bytes && is_space(r->completion[bytes - 1])) bytes--;
    const double times = (double)loop_at_end(r->completion, bytes);
    return times >= f->numbers[KD_CURATION_LOOP_COUNT] ? "a loop at its end" : NULL;
}

/* ---- scripts ---- */

enum {
    LATIN,
    GREEK,
    CYRILLIC,
    HEBREW,
    ARABIC,
    INDIC,
    THAI,
    LAO,
    BURMESE,
    KHMER,
    HANGUL,
    HAN,
    SCRIPTS
};

static int script_of(uint32_t c)
{
    static const struct {
        uint32_t from, to;
        int script;
    } ranges[] = {
        { 'A', 'Z', LATIN },        { 'a', 'z', LATIN },         { 0xc0, 0x24f, LATIN },
        { 0x370, 0x3ff, GREEK },    { 0x400, 0x52f, CYRILLIC },  { 0x590, 0x5ff, HEBREW },
        { 0x600, 0x6ff, ARABIC },   { 0x750, 0x77f, ARABIC },    { 0x900, 0xdff, INDIC },
        { 0xe00, 0xe7f, THAI },     { 0x1100, 0x11ff, HANGUL },  { 0x1e00, 0x1eff, LATIN },
        { 0x1f00, 0x1fff, GREEK },  { 0x3040, 0x30ff, HAN },     { 0x3400, 0x4dbf, HAN },
        { 0x4e00, 0x9fff, HAN },    { 0xac00, 0xd7a3, HANGUL },  { 0xf900, 0xfaff, HAN },
        { 0xfb50, 0xfdff, ARABIC }, { 0xfe70, 0xfeff, ARABIC },  { 0x20000, 0x3ffff, HAN },
        { 0xe80, 0xeff, LAO },      { 0x1000, 0x109f, BURMESE }, { 0x1780, 0x17ff, KHMER },
        { 0xff21, 0xff3a, LATIN },  { 0xff41, 0xff5a, LATIN },   { 0xff66, 0xff9f, HAN }
    };
    if (c == 0xd7 || c == 0xf7 || c == 0x3c0) return -1; /* signs, and pi as in mathematics */
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i].from && c <= ranges[i].to) return ranges[i].script;
    return -1;
}

static int64_t count_scripts(const char *text, int64_t counts[SCRIPTS])
{
    int64_t letters = 0;
    while (*text) {
        const int script = script_of(kd__utf8_next(&text)); /* a reader's texts are whole UTF-8 */
        if (script < 0) continue;
        counts[script]++;
        letters++;
    }
    return letters;
}

const char *kd__rule_scripts(const kd__filter *f, const kd_record *r)
{
    int64_t said[SCRIPTS] = { 0 }, asked[SCRIPTS] = { 0 }, other = 0;
    int most = 0;
    const int64_t letters = count_scripts(r->completion, said);
    count_scripts(r->prompt, asked);
    for (int s = 1; s < SCRIPTS; s++) most = said[s] > said[most] ? s : most;
    for (int s = 0; s < SCRIPTS; s++) other += s != most && !asked[s] ? said[s] : 0;
    const double share = f->numbers[KD_CURATION_MAX_SCRIPT_SHARE];
    return letters && (double)other > share * (double)letters ? "mixed scripts" : NULL;
}

/* ---- markup ---- */

static int64_t count_of(const char *text, const char *word)
{
    int64_t count = 0;
    for (const char *at = strstr(text, word); at; at = strstr(at + strlen(word), word)) count++;
    return count;
}

/* Fences stand at the beginning of a line. */
static int64_t count_fences(const char *text)
{
    int64_t count = 0;
    for (const char *at = strstr(text, "```"); at; at = strstr(at, "```")) {
        const char *before = at;
        while (before > text && (before[-1] == ' ' || before[-1] == '\t')) before--;
        count += before == text || before[-1] == '\n';
        while (*at == '`') at++;
    }
    return count;
}

static int open_boxed(const char *text)
{
    for (const char *at = strstr(text, "\\boxed{"); at; at = strstr(at + 1, "\\boxed{")) {
        int depth = 1;
        for (const char *p = at + 7; depth; p++) {
            if (!*p) return 1;
            if (*p == '\\' && (p[1] == '{' || p[1] == '}')) p++;
            else depth += *p == '{' ? 1 : *p == '}' ? -1 : 0;
        }
    }
    return 0;
}

const char *kd__rule_markup(const kd_record *r)
{
    const char *t = r->completion;
    const kd__thoughts thoughts = kd__thoughts_of(t, t + strlen(t));
    if (thoughts.opened > 1 || thoughts.closed > 1) return "doubled think tags";
    if (thoughts.opened != thoughts.closed) return "an open think tag";
    if (thoughts.opened && thoughts.closing.at < thoughts.opening.at)
        return "think tags in the wrong order";
    if (count_fences(t) % 2) return "an open code fence";
    if (open_boxed(t)) return "an open \\boxed{";
    if (count_of(t, "\\begin{") != count_of(t, "\\end{")) return "an open environment";
    return count_of(t, "$$") % 2 ? "open $$" : NULL;
}

const char *kd__rule_paragraphs(const kd_curation *c, const kd__filter *f, const kd_record *r,
                                kd_status *status)
{
    for (const char *at = r->completion; *at;) {
        const char *end = strstr(at, "\n\n");
        int64_t length;
        if (!end) end = at + strlen(at);
        *status = kd__measure(c, f->o.unit, at, end - at, &length);
        if (*status != KD_OK) return NULL;
        if ((double)length > f->numbers[KD_CURATION_MAX_PARAGRAPH]) return "a long paragraph";
        at = end + strspn(end, "\n");
    }
    return NULL;
}
