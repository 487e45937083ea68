/* Methods of texts; the others are in methods.c. */
#ifndef KD_TEMPLATE_METHODS_H
#define KD_TEMPLATE_METHODS_H

#include "language/template/callable.h"

extern const kd__callable kd__string_methods[];

#endif
