/* Three small tokenizers for the tests of text: bytes with a few merges, characters with byte
 * fallback, and words. */
#ifndef TEXTKIT_H
#define TEXTKIT_H

#include <kdistill.h>
#include <stdio.h>
#include <string.h>

/* Bytes: ids 0 to 255 are the bytes in the order of GPT-2's alphabet, then the merges' tokens, then
 * the added ones. */
static inline int bytes_tokenizer(const char *path, const char *cut, const char *added)
{
    static const char *const merges[][2] = { { "h", "e" },    { "l", "l" },      { "he", "ll" },
                                             { "hell", "o" }, { "\u0120", "w" }, { "\u0120w", "o" },
                                             { "r", "l" } };
    FILE *file = fopen(path, "wb");
    if (!file) return -1;
    fprintf(file,
            "{\"added_tokens\":[%s],\"normalizer\":null,\"pre_tokenizer\":%s,\"decoder\":{\"type\":"
            "\"ByteLevel\"},"
            "\"post_processor\":null,\"model\":{\"type\":\"BPE\",\"vocab\":{",
            added, cut);
    int id = 0;
    for (int c = 33; c < 324; c++) {
        if ((c >= 127 && c <= 160) || c == 173) continue;
        if (c == '"' || c == '\\') fprintf(file, "\"\\%c\":%d,", c, id++);
        else if (c < 127) fprintf(file, "\"%c\":%d,", c, id++);
        else fprintf(file, "\"%c%c\":%d,", 0xc0 | c >> 6, 0x80 | (c & 63), id++);
    }
    for (int i = 0; i < 7; i++)
        fprintf(file, "%s\"%s%s\":%d", i ? "," : "", merges[i][0], merges[i][1], id++);
    fprintf(file, "},\"merges\":[");
    for (int i = 0; i < 7; i++)
        fprintf(file, "%s\"%s %s\"", i ? "," : "", merges[i][0], merges[i][1]);
    fprintf(file, "]}}");
    return fclose(file);
}

#define TEXT_CUT "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"
#define TEXT_ADDED                                                                                 \
    "{\"id\":263,\"content\":\"<|im_start|>\",\"special\":true,\"normalized\":false},{\"id\":264," \
    "\"content\":\"<|im_end|>\",\"special\":true,"                                                 \
    "\"normalized\":false}"

/* Characters a, b, c and a mark for the space; every other one as its bytes. */
static inline int characters_tokenizer(const char *path)
{
    FILE *file = fopen(path, "wb");
    if (!file) return -1;
    fprintf(file, "{\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true,"
                  "\"normalized\":false},{\"id\":1,\"content\":\"<s>\","
                  "\"special\":true,\"normalized\":false}],"
                  "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\","
                  "\"prepend\":\"\u2581\"},{\"type\":\"Replace\","
                  "\"pattern\":{\"String\":\" \"},\"content\":\"\u2581\"}]},"
                  "\"pre_tokenizer\":null,\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{"
                  "\"type\":\"Replace\",\"pattern\":{\"String\":\"\u2581\"},"
                  "\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
                  "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},"
                  "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{"
                  "\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{"
                  "\"id\":\"A\",\"type_id\":0}}]},"
                  "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"byte_fallback\":true,"
                  "\"fuse_unk\":true,\"vocab\":{\"<unk>\":0,\"<s>\":1");
    for (int b = 0; b < 256; b++) fprintf(file, ",\"<0x%02X>\":%d", b, b + 2);
    fprintf(file, ",\"\u2581\":258,\"a\":259,\"b\":260,\"c\":261,\"ab\":262,\"\u2581ab\":263},"
                  "\"merges\":[[\"a\",\"b\"],[\"\u2581\",\"ab\"]]}}");
    return fclose(file);
}

/* Words by WordPiece, as BERT's files have it. */
#define WORD_BERT(members) "{\"type\":\"BertNormalizer\"," members "}"
#define WORD_UNCASED                                                                               \
    "\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true"
#define WORD_SEQUENCE(id, type) "{\"Sequence\":{\"id\":\"" id "\",\"type_id\":" #type "}}"
#define WORD_SPECIAL(id, type) "{\"SpecialToken\":{\"id\":\"" id "\",\"type_id\":" #type "}}"
#define WORD_TEMPLATE(pair)                                                                        \
    "{\"type\":\"TemplateProcessing\",\"single\":[" WORD_SPECIAL("[CLS]", 0) "," WORD_SEQUENCE(    \
        "A", 0) "," WORD_SPECIAL("[SEP]",                                                          \
                                 0) "],\"pair\":[" pair                                            \
                                    "],\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]"              \
                                    "\",\"ids\":[2],\"tokens\":[\"[CLS]\"]},\"[SEP]\":{"           \
                                    "\"id\":\"[SEP]\",\"ids\":[3],\"tokens\":[\"[SEP]\"]}}}"
#define WORD_PAIR                                                                                  \
    WORD_SPECIAL("[CLS]", 0)                                                                       \
    "," WORD_SEQUENCE("A", 0) "," WORD_SPECIAL("[SEP]", 0) "," WORD_SEQUENCE(                      \
        "B", 1) "," WORD_SPECIAL("[SEP]", 1)
#define WORD_ADDED(id, content)                                                                    \
    "{\"id\":" #id ",\"content\":\"" content "\",\"single_word\":false,\"lstrip\":false,"          \
    "\"rstrip\":false,\"normalized\":false,\"special\":true}"
#define WORD_VOCABULARY                                                                            \
    "\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4,\"the\":5,\"play\":6,"           \
    "\"##ing\":7,\"##ed\":8,\"un\":9,\"##play\":10,\"##able\":11,\".\":12,\",\":13,\"'\":14,"      \
    "\"t\":15,\"don\":16,\"cafe\":17,\"\u4f60\":18,\"!\":19,\"a\":20,\"##a\":21,\"Caf\u00e9\":22," \
    "\"hello\":23,\"##\":24,\"#\":25,\"s\":26"
#define WORD_MODEL(vocabulary)                                                                     \
    "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","        \
    "\"max_input_chars_per_word\":100,\"vocab\":{" vocabulary "}}"
#define WORD_FILE(normalizer, post, more, model)                                                   \
    "{\"added_tokens\":[" WORD_ADDED(1, "[UNK]") "," WORD_ADDED(2, "[CLS]") "," WORD_ADDED(        \
        3, "[SEP]") "," WORD_ADDED(4, "[MASK]") "],\"normalizer\":" normalizer                     \
                                                ",\"pre_tokenizer\":{\"type\":"                    \
                                                "\"BertPreTokenizer\"},\"post_processor\":" post   \
                                                ",\"decoder\":{\"type\":\"WordPiece\",\"prefix\":" \
                                                "\"##\",\"cleanup\":true}," more                   \
                                                "\"model\":" model "}"
#define WORD_ALL                                                                                   \
    WORD_FILE(WORD_BERT(WORD_UNCASED), WORD_TEMPLATE(WORD_PAIR), "", WORD_MODEL(WORD_VOCABULARY))

static inline int words_tokenizer(const char *path)
{
    FILE *file = fopen(path, "wb");
    if (!file) return -1;
    fputs(WORD_ALL, file);
    return fclose(file);
}

#endif
