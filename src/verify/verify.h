/* Insides of verifiers. A stretch is a part of a text that is not ended with 0. */
#ifndef KD_VERIFY_VERIFY_H
#define KD_VERIFY_VERIFY_H

#include <kdistill/verify.h>

#include "base/status.h"

typedef struct {
    const char *at, *end;
} kd__stretch;

/* Are two answers the same in mathematics? */
int kd__same_mathematics(kd__stretch a, kd__stretch b, double tolerance);

/* The value of a flat expression (see flat.c) with variables of trial `trial`; 0: it is none. */
int kd__evaluate(const char *from, const char *end, int trial, double _Complex *value);

/* Simple LaTeX as a flat text without white space: signs of one byte, \name for what has a name. 0: too long. */
#define KD__FLAT 1024
enum {
    KD__NAME_END = 1,
    KD__SET_OPEN,
    KD__SET_CLOSE,
    KD__LESS_EQUAL,
    KD__MORE_EQUAL,
    KD__NOT_EQUAL,
    KD__PLUS_MINUS,
    KD__UNION,
    KD__ROW = 14,
    KD__IN
};
int kd__flatten(kd__stretch s, char out[KD__FLAT]);

#endif
