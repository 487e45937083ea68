/* Characters of valid UTF-8, and what Python's str knows of them. */
#ifndef KD_TEMPLATE_CHARACTERS_H
#define KD_TEMPLATE_CHARACTERS_H

#include "language/template/room.h"

/* Classes of a character. */
#define KD__ALPHA 1
#define KD__DECIMAL 2
#define KD__DIGIT 4
#define KD__NUMERIC 8
#define KD__UPPER 16
#define KD__LOWER 32
#define KD__TITLE 64 /* of the category Lt */
#define KD__PRINTABLE 128

enum { KD__TO_UPPER, KD__TO_LOWER, KD__TO_TITLE };
enum { KD__CHARACTER_BYTES = 12 }; /* the most that one character becomes in another case */

int kd__is_utf8(const char *text, int64_t bytes);
/* Of the character that begins with this byte. */
static inline int32_t kd__character_bytes(char first)
{
    const unsigned char c = (unsigned char)first;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}
uint32_t kd__character_at(const char *text);
int32_t kd__character_put(char *to, uint32_t character);
int64_t kd__characters(const char *text, int64_t bytes);
/* Where character number `index` begins; `bytes` when there are not so many. */
int64_t kd__character_offset(const char *text, int64_t bytes, int64_t index);
int kd__character_class(uint32_t character);
/* 0 to 9, of a character of the class KD__DECIMAL. */
int kd__decimal_digit(uint32_t character);
/* str.isspace, and what str.splitlines cuts at. */
int kd__is_space(uint32_t character);
int kd__is_line_end(uint32_t character);
/* Writes the character in another case, up to KD__CHARACTER_BYTES, and returns how many bytes. */
int32_t kd__character_case(uint32_t character, int32_t to, char *out);

#endif
