/* What Python's str does with texts. Results are views where they can be, and safe where their
 * text was. */
#ifndef KD_TEMPLATE_STRINGS_H
#define KD_TEMPLATE_STRINGS_H

#include "language/template/render.h"

#define KD__LEFT 1
#define KD__RIGHT 2

kd_status kd__string_case(kd__render *r, const kd__value *s, int32_t to, kd__value *out);
kd_status kd__string_capitalize(kd__render *r, const kd__value *s, kd__value *out);
kd_status kd__string_title(kd__render *r, const kd__value *s, kd__value *out);
kd_status kd__string_swapcase(kd__render *r, const kd__value *s, kd__value *out);
/* characters: those to take off; KD__V_ABSENT or none: white space. */
kd_status kd__string_strip(kd__render *r, const kd__value *s, const kd__value *characters,
                           int32_t sides, kd__value *out);
/* most: replacements, -1: all. */
kd_status kd__string_replace(kd__render *r, const kd__value *s, const kd__value *from,
                             const kd__value *to, int64_t most, kd__value *out);
/* separator KD__V_ABSENT or none: runs of white space. most: cuts, -1: all; side KD__RIGHT: from
 * the end. */
kd_status kd__string_split(kd__render *r, const kd__value *s, const kd__value *separator,
                           int64_t most, int32_t side, kd__value *out);
kd_status kd__string_lines(kd__render *r, const kd__value *s, int32_t keep_ends, kd__value *out);
kd_status kd__string_join(kd__render *r, const kd__value *separator, const kd__list *items,
                          kd__value *out);
/* The byte where `what` stands first, or last, in a text; -1: nowhere. */
int64_t kd__string_find(const char *text, int64_t bytes, const kd__value *what, int32_t side);
/* Spaces (or `fill`) around it up to `width` characters; sides: where the spaces go. */
kd_status kd__string_pad(kd__render *r, const kd__value *s, int64_t width, char fill, int32_t sides,
                         kd__value *out);

#endif
