/* Insides of a tokenizer: added tokens are cut out of the text, what lies between is normalised, cut into pieces, and each piece is
 * merged (byte pair encoding, Sennrich et al. 2016), in the way of Hugging Face's tokenizers package.                          */
#ifndef KD_TOKENIZER_TOKENIZER_H
#define KD_TOKENIZER_TOKENIZER_H

#include <kdistill/tokenizer.h>

#include "base/json.h"
#include "base/text.h"
#include "tokenizer/regex.h"
#include "tokenizer/unicode.h"

/* ---- vocabulary ---- */

typedef struct kd__token {
    const char *text; /* as the file has it, NULL: this id is no token */
    const char *key;  /* what a piece must be to be this token: bytes for byte-level models; NULL: none */
    int32_t text_bytes, key_bytes;
    int32_t flags; /* KD_TOKEN_SPECIAL, KD_TOKEN_ADDED, and those below */
    int32_t whole; /* merging the token's own text gives the token */
    char *normal;  /* of an added token that is found in normalised text: its normalised text, which decoding shows; else NULL */
} kd__token;
#define KD__TOKEN_NORMALIZED 0x100
#define KD__TOKEN_LEFT 0x200
#define KD__TOKEN_RIGHT 0x400
#define KD__TOKEN_WORD 0x800
#define KD__TOKEN_OUTSIDE 0x1000 /* not in the vocabulary of the merges */

typedef struct kd__merge {
    uint64_t pair; /* left << 32 | right; UINT64_MAX: free */
    int32_t rank, id;
} kd__merge;

static inline uint64_t kd__pair_hash(uint64_t pair) { return (pair * 0x9e3779b97f4a7c15u) >> 20; }

/* A trie of added tokens; children of a node are a list. */
typedef struct kd__trie_node {
    int32_t child, next, id; /* -1: none */
    unsigned char byte;
} kd__trie_node;
typedef struct kd__trie {
    kd__trie_node *nodes;
    int64_t count, room;
    uint8_t first[256];
} kd__trie;

/* ---- steps of normalising, cutting and decoding ---- */

enum {
    KD__STEP_FORM, /* normalise: option is the form */
    KD__STEP_LOWER,
    KD__STEP_STRIP,   /* white space; option: 1 left, 2 right */
    KD__STEP_PREPEND, /* `to`; cut: before pieces that do not begin with it, option says which */
    KD__STEP_REPLACE, /* matches of the regex by `to` */
    KD__STEP_SPLIT,   /* cut: at matches of the regex; option is the behaviour */
    KD__STEP_DIGITS,  /* cut: numbers; option 1: each character alone */
    KD__STEP_BYTES,   /* decode: characters of GPT-2's alphabet to bytes */
    KD__STEP_BYTE_FALLBACK,
    KD__STEP_FUSE,
    KD__STEP_STRIP_TEXT, /* decode: up to `start` and `stop` times `to` */
    KD__STEP_METASPACE   /* decode: `to` to a space; option 1: not the first token's */
};
enum { KD__REMOVED, KD__ISOLATED, KD__MERGED_WITH_PREVIOUS, KD__MERGED_WITH_NEXT, KD__CONTIGUOUS };
enum { KD__ALL_PIECES, KD__FIRST_PIECE };

typedef struct kd__step {
    int32_t type, option, inverted;
    int32_t start, stop;
    const char *to;
    int64_t to_bytes;
    kd__regex *regex;
    const char *pattern; /* of a split, NULL: it was a text */
} kd__step;

typedef struct kd__steps {
    kd__step *step;
    int64_t count, room;
} kd__steps;

struct kd_tokenizer {
    kd__object object;
    kd__unicode *unicode;
    char *source; /* tokenizer.json */
    int64_t source_bytes;
    char *chat_template;  /* NULL: none */
    char *default_system; /* of the template, NULL: none */
    int32_t chat_format, chat_thinks;
    kd__json_document document; /* of the source; names lie in it */
    char *keys;                 /* pool of keys of byte-level tokens */
    char **own;                 /* texts of tokens added or renamed later */
    int64_t own_count, own_room;
    kd__token *tokens; /* by id */
    int64_t size, tokens_room;
    int32_t *by_text, *by_key; /* hash tables of ids, -1: free */
    int64_t hash_size;
    kd__merge *merges;
    int64_t merges_size;
    uint64_t *neighbours;    /* pairs of characters' ids that stand beside each other in some token: where none does, no merge reaches across */
    int64_t neighbours_size; /* 0: a piece is not taken apart */
    int32_t byte_level, byte_fallback, fuse_unknown, ignore_merges, unknown; /* unknown: id, -1: none */
    int32_t bytes[256];                                                      /* ids of single bytes, or of <0xXX>; -1: none */
    kd__trie added, added_normalized;
    kd__steps normalizers, cuts, decoders;
    int32_t has_decoder;
    int32_t *before, *behind; /* what the post-processor puts around a text */
    int64_t before_count, behind_count;
};

/* ids of one call */
typedef struct kd__ids {
    kd_context *context;
    int32_t *at;
    int64_t count, room;
} kd__ids;
kd_status kd__ids_push(kd__ids *ids, int32_t id);

int32_t kd__find_token(const kd_tokenizer *t, const char *text, int64_t bytes);
int32_t kd__find_key(const kd_tokenizer *t, const char *key, int64_t bytes);
/* Tables of the tokens that are there; then, when the merges are there too, the tries of added tokens and `whole`. */
kd_status kd__tokenizer_index(kd_tokenizer *t);
kd_status kd__tokenizer_finish(kd_tokenizer *t);
/* The part of kd__tokenizer_finish that added tokens change. */
kd_status kd__tokenizer_tries(kd_tokenizer *t);
kd_status kd__tokenizer_set(kd_tokenizer *t, int64_t id, const char *text, int64_t bytes, int32_t flags);
kd_status kd__tokenizer_merge(kd_tokenizer *t, int32_t left, int32_t right, int32_t rank, int32_t id);
/* The longest added token at `at`, -1: none. */
int32_t kd__trie_match(const kd__trie *trie, const char *at, const char *end, int64_t *bytes);
/* The byte that a character of GPT-2's alphabet stands for, -1: none. */
int32_t kd__alphabet_byte(uint32_t c);

kd_status kd__tokenizer_read(kd_tokenizer *t, const char *what);

/* May a merge reach across these two neighbours? */
static inline int kd__may_join(const kd_tokenizer *t, int32_t left, int32_t right)
{
    const uint64_t pair = (uint64_t)left << 32 | (uint32_t)right;
    for (uint64_t i = kd__pair_hash(pair);; i++) {
        const uint64_t found = t->neighbours[i & (uint64_t)(t->neighbours_size - 1)];
        if (found == pair || found == UINT64_MAX) return found == pair;
    }
}

/* Merges one piece; `work` is kept between pieces. */
typedef struct kd__bpe {
    const kd_tokenizer *tokenizer;
    struct kd__bpe_symbol *symbols;
    struct kd__bpe_entry *heap;
    int64_t room, heap_room, heap_count;
} kd__bpe;
kd_status kd__bpe_piece(kd__bpe *work, const char *piece, int64_t bytes, kd__ids *ids);
void kd__bpe_free(kd__bpe *work);

/* A piece of text on its way. */
typedef struct kd__piece {
    const char *at;
    int64_t bytes;
} kd__piece;
typedef struct kd__pieces {
    kd_context *context;
    kd__piece *piece;
    int64_t count, room;
    kd__text text; /* what steps that change the text wrote */
} kd__pieces;
/* Appends the text with the matches of the step's expression replaced. */
kd_status kd__replace(const kd_tokenizer *t, const kd__step *step, const char *text, int64_t bytes, kd__text *to);
kd_status kd__normalize(const kd_tokenizer *t, const char *text, int64_t bytes, kd__text *to, kd__text *spare);
/* Cuts one stretch of normalised text into to->piece; `first`: it stands at the beginning of the whole text. */
kd_status kd__cut(const kd_tokenizer *t, kd__piece whole, int first, kd__pieces *to, kd__pieces *spare);

/* Takes `source` over, whatever comes. */
kd_status kd__tokenizer_parse(kd_tokenizer **out, kd_context *context, char *source, int64_t bytes, const char *what);
/* tokenizer.json with what was changed. */
kd_status kd__tokenizer_text(kd_tokenizer *t, kd__text *to);
kd_status kd__give_ids(const kd__ids *found, int32_t *ids, int64_t room, int64_t *count);
kd_status kd__encode(kd_tokenizer *t, const char *text, int64_t bytes, int32_t flags, kd__ids *ids);
/* 1: what the token's text is depends on the tokens behind it: it is one byte of a run. */
int kd__leaves_bytes_open(const kd_tokenizer *t, int32_t id);
kd_status kd__decode(kd_tokenizer *t, const int32_t *ids, int64_t count, int32_t flags, kd__text *to);

#endif
