/* Reading members of tokenizer.json, for the parts of the reader. */
#ifndef KD_TOKENIZER_READER_H
#define KD_TOKENIZER_READER_H

#include "language/tokenizer/tokenizer.h"

typedef struct kd__reader {
    kd_tokenizer *t;
    const char *what; /* the file, for messages */
} kd__reader;

static inline const char *kd__text_of(const kd__json *node, const char *key)
{
    const kd__json *member = kd__json_member(node, key);
    return member && member->type == KD__JSON_STRING ? member->text : NULL;
}

static inline int kd__is_on(const kd__json *node, const char *key, int otherwise)
{
    const kd__json *member = kd__json_member(node, key);
    return member && member->type == KD__JSON_BOOL ? member->number != 0 : otherwise;
}

static inline int kd__is_given(const kd__json *node, const char *key)
{
    const kd__json *member = kd__json_member(node, key);
    return member && member->type != KD__JSON_NULL &&
           !(member->type == KD__JSON_STRING && !member->length);
}

static inline kd_status kd__unsupported(const kd__reader *r, const char *part, const char *type)
{
    return kd__fail(KD_ERR_UNSUPPORTED, "%s: %s of type %.40s is not supported", r->what, part,
                    type ? type : "(none)");
}

/* The post-processor: what stands around a text and around a pair of texts (around.c). */
kd_status kd__around_read(kd__reader *r, const kd__json *post_processor);
/* What a WordPiece model needs to be known before its vocabulary is (wordpiece.c). */
kd_status kd__wordpiece_read(kd__reader *r, const kd__json *model);

#endif
