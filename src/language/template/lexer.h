/* The tokens of a template, one at a time. */
#ifndef KD_TEMPLATE_LEXER_H
#define KD_TEMPLATE_LEXER_H

#include "language/template/room.h"

enum {
    KD__T_END,
    KD__T_DATA,
    KD__T_BLOCK_BEGIN,
    KD__T_BLOCK_END,
    KD__T_VARIABLE_BEGIN,
    KD__T_VARIABLE_END,
    KD__T_NAME,
    KD__T_STRING,
    KD__T_INTEGER,
    KD__T_FLOAT,
    KD__T_OPERATOR
};

typedef struct kd__lexeme {
    int32_t type, line;
    const char *text; /* of a string: unescaped; of an operator: itself, at most two characters */
    int64_t bytes;
} kd__lexeme;

typedef struct kd__lexer {
    kd__room *room;
    const char *title;
    const char *at, *end;
    int32_t line;
    int32_t inside; /* KD__T_BLOCK_BEGIN or KD__T_VARIABLE_BEGIN: between its marks, 0: text */
    int32_t line_starting; /* what was read last ended a line, or nothing was read */
    int32_t opened;        /* brackets */
    char brackets[96];
    int32_t begun; /* the mark after a text that was given: its token comes next, 0: none */
} kd__lexer;

/* `text` is copied with its line ends made \n. */
kd_status kd__lexer_begin(kd__lexer *lexer, kd__room *room, const char *text, int64_t bytes,
                          const char *title);
kd_status kd__lexer_next(kd__lexer *lexer, kd__lexeme *token);

#endif
