/* Insides of a tokenizer: added tokens are cut out of the text, what lies between is normalized,
 * cut into pieces, and each piece is merged (byte pair encoding, Sennrich et al. 2016), in the way
 * of Hugging Face's tokenizers package. */
#ifndef KD_TOKENIZER_TOKENIZER_H
#define KD_TOKENIZER_TOKENIZER_H

#include <kdistill/tokenizer.h>

#include "formats/json.h"
#include "base/object.h"
#include "base/table.h"
#include "base/text.h"
#include "language/text/regex.h"
#include "language/text/unicode.h"

/* ---- vocabulary ---- */

typedef struct kd__token {
    const char *text; /* as the file has it, NULL: this id is no token */
    /* what a piece must be to be this token: bytes for byte-level models; NULL: none */
    const char *key;
    int32_t text_bytes, key_bytes;
    int32_t flags; /* KD_TOKEN_SPECIAL, KD_TOKEN_ADDED, and those below */
    int32_t whole; /* merging the token's own text gives the token */
    /* of an added token that is found in normalized text: its normalized text, which decoding
     * shows; else NULL */
    char *normal;
    int32_t normal_bytes;
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

/* ---- steps of normalizing, cutting and decoding ---- */

enum {
    KD__STEP_FORM, /* normalize: option is the form */
    KD__STEP_LOWER,
    KD__STEP_STRIP,   /* white space; option: 1 left, 2 right */
    KD__STEP_PREPEND, /* `to`; cut: before pieces that do not begin with it, option says which */
    /* matches of the regex by `to`; option 1: but not an empty one at the beginning */
    KD__STEP_REPLACE,
    KD__STEP_SPLIT,  /* cut: at matches of the regex; option is the behavior */
    KD__STEP_DIGITS, /* cut: numbers; option 1: each character alone */
    KD__STEP_BYTES,  /* decode: characters of GPT-2's alphabet to bytes */
    KD__STEP_BYTE_FALLBACK,
    KD__STEP_FUSE,
    KD__STEP_STRIP_TEXT, /* decode: up to `start` and `stop` times `to` */
    KD__STEP_METASPACE,  /* decode: `to` to a space; option 1: not the first token's */
    KD__STEP_BERT,       /* normalize: option is KD__BERT_CLEAN .. */
    KD__STEP_STRIP_MARKS,
    KD__STEP_BERT_CUT,
    KD__STEP_WORDPIECE /* decode: `to` continues a word; option 1: clean up */
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

/* An edge of the trie of a WordPiece model. */
typedef struct kd__edge {
    uint64_t key;     /* the node that it leaves << 8 | byte; UINT64_MAX: free */
    int32_t node, id; /* where it leads; the token that ends there, -1: none */
} kd__edge;

typedef struct kd__wordpiece {
    int32_t is_model;
    const char *prefix; /* of tokens that continue a word */
    int64_t prefix_bytes;
    int64_t longest_word; /* characters; a longer one is unknown */
    kd__edge *edges;
    int64_t size, count;
} kd__wordpiece;

/* What the post-processor makes of a text, or of a pair: each place is a token, or a text's. */
enum { KD__FIRST_TEXT = -1, KD__SECOND_TEXT = -2 };
typedef struct kd__place {
    int32_t id, type;
} kd__place;
typedef struct kd__layout {
    kd__place *place;
    int64_t count, room;
    int64_t text; /* the place of the first text */
} kd__layout;

#define KD__MOST_ENDS 16

struct kd_tokenizer {
    kd__object object;
    kd__unicode *unicode;
    char *source; /* tokenizer.json */
    int64_t source_bytes;
    char *chat_template;        /* the folder's, as text; NULL: none */
    struct kd__chats *chats;    /* it and the library's own, parsed */
    kd__json_document document; /* of the source; names lie in it */
    char *keys;                 /* pool of keys of byte-level tokens */
    char **own;                 /* texts of tokens added or renamed later */
    int64_t own_count, own_room;
    kd__token *tokens; /* by id */
    int64_t size, tokens_room;
    kd__table by_text, by_key; /* of ids */
    kd__merge *merges;
    int64_t merges_size;
    /* pairs of characters' ids that stand beside each other in some token: where none does, no
     * merge reaches across */
    uint64_t *neighbors;
    int64_t neighbors_size; /* 0: a piece is not taken apart */
    int32_t byte_level, byte_fallback, fuse_unknown, ignore_merges;
    int32_t unknown;          /* id, -1: none */
    const char *unknown_name; /* NULL: unknown characters are left out */
    int32_t bytes[256];       /* byte-level: ids of single bytes; -1: none */
    int32_t fallback[256];    /* byte_fallback: ids of <0xXX>; -1: none */
    kd__trie added, added_normalized;
    kd__steps normalizers, cuts, decoders;
    int32_t has_decoder;
    kd__wordpiece wordpiece;
    kd__layout single, pair; /* pair.count 0: the file has no usable template */
    kd_tokenizer_info told;  /* what the file says of cutting and padding */
    int32_t ends[KD__MOST_ENDS], end_count, begin, turn_end; /* -1: none */
};

static inline int64_t kd__before_count(const kd_tokenizer *t) { return t->single.text; }
static inline int64_t kd__behind_count(const kd_tokenizer *t)
{
    return t->single.count - t->single.text - 1;
}
/* The tokens before and behind a text, by number. */
static inline int32_t kd__before(const kd_tokenizer *t, int64_t i) { return t->single.place[i].id; }
static inline int32_t kd__behind(const kd_tokenizer *t, int64_t i)
{
    return t->single.place[t->single.text + 1 + i].id;
}

/* ids of one call, and, when asked for, where each ends in the given text and its type */
typedef struct kd__ids {
    kd_context *context;
    int32_t *at, *types;
    int64_t *ends;
    int64_t count, room, ends_room, types_room;
    int32_t is_traced, is_typed;
    int32_t type; /* of what is pushed next */
} kd__ids;
kd_status kd__ids_push(kd__ids *ids, int32_t id, int64_t end);
void kd__ids_free(kd__ids *ids);

int32_t kd__find_token(const kd_tokenizer *t, const char *text, int64_t bytes);
int32_t kd__find_key(const kd_tokenizer *t, const char *key, int64_t bytes);
/* Tables of the tokens that are there; then, when the merges are there too, the tries of added
 * tokens and `whole`. */
kd_status kd__tokenizer_index(kd_tokenizer *t);
kd_status kd__tokenizer_finish(kd_tokenizer *t);
/* The part of kd__tokenizer_finish that added tokens change. */
kd_status kd__tokenizer_tries(kd_tokenizer *t);
kd_status kd__tokenizer_set(kd_tokenizer *t, int64_t id, const char *text, int64_t bytes,
                            int32_t flags);
kd_status kd__tokenizer_merge(kd_tokenizer *t, int32_t left, int32_t right, int32_t rank,
                              int32_t id);
/* The longest added token at `at`, -1: none. */
int32_t kd__trie_match(const kd__trie *trie, const char *at, const char *end, int64_t *bytes);
/* The byte that a character of GPT-2's alphabet stands for, -1: none. */
int32_t kd__alphabet_byte(uint32_t c);
uint32_t kd__alphabet_character(unsigned char byte);
/* The byte that a token's text gives by number, "<0x0A>", -1: none. */
int32_t kd__byte_token(const char *text, int64_t bytes);
uint64_t kd__hash_bytes(const char *text, int64_t bytes);

kd_status kd__tokenizer_read(kd_tokenizer *t, const char *what);

/* May a merge reach across these two neighbors? */
static inline int kd__may_join(const kd_tokenizer *t, int32_t left, int32_t right)
{
    const uint64_t pair = (uint64_t)left << 32 | (uint32_t)right;
    for (uint64_t i = kd__pair_hash(pair);; i++) {
        const uint64_t found = t->neighbors[i & (uint64_t)(t->neighbors_size - 1)];
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
kd_status kd__bpe_piece(kd__bpe *work, const kd__piece *piece, kd__ids *ids);
void kd__bpe_free(kd__bpe *work);

/* After the vocabulary is indexed. */
kd_status kd__wordpiece_build(kd_tokenizer *t);
kd_status kd__wordpiece_piece(const kd_tokenizer *t, const kd__piece *piece, kd__ids *ids);
/* Appends a token as the decoder of such files writes it. */
kd_status kd__wordpiece_show(const kd__step *step, const char *at, int64_t bytes, int is_first,
                             kd__text *to);

typedef struct kd__pieces {
    kd_context *context;
    kd__piece *piece;
    int64_t count, room;
    kd__traced text; /* what steps that change the text wrote */
} kd__pieces;
/* Appends the text with the matches of the step's expression replaced. */
kd_status kd__replace(const kd_tokenizer *t, const kd__step *step, const kd__piece *piece,
                      kd__traced *to);
kd_status kd__normalize(const kd_tokenizer *t, const kd__piece *piece, kd__traced *to,
                        kd__traced *spare);
/* Cuts one stretch of normalized text into to->piece. */
kd_status kd__cut(const kd_tokenizer *t, const kd__piece *whole, kd__pieces *to, kd__pieces *spare);

/* Takes `source` over, whatever comes. */
kd_status kd__tokenizer_parse(kd_tokenizer **out, kd_context *context, char *source, int64_t bytes,
                              const char *what);
/* tokenizer.json with what was changed. */
kd_status kd__tokenizer_text(kd_tokenizer *t, kd__text *to);
kd_status kd__give_ids(const kd__ids *found, int32_t *ids, int64_t room, int64_t *count);
/* Ends too, when ids->is_traced. */
kd_status kd__encode(kd_tokenizer *t, const char *text, int64_t bytes, int32_t flags, kd__ids *ids);
/* `second` NULL: one text. Ends are those of one text. */
kd_status kd__encode_pair(kd_tokenizer *t, const char *first, int64_t first_bytes,
                          const char *second, int64_t second_bytes, int32_t flags, kd__ids *ids);
/* 1: what the text of the last id is depends on those after it: it is one byte of a run, whatever
 * ids without a text follow it. */
int kd__leaves_bytes_open(const kd_tokenizer *t, const int32_t *ids, int64_t count, int32_t flags);
kd_status kd__decode(kd_tokenizer *t, const int32_t *ids, int64_t count, int32_t flags,
                     kd__text *to);

#endif
