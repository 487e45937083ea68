/* Decimal numbers in text, in the context's locale. */
#include <stdio.h>
#include <stdlib.h>

#include "base/context.h"
#include "base/numbers.h"

double kd__parse_double(kd_context *context, const char *text, char **end)
{
    locale_t before = uselocale(context->locale);
    double value = strtod(text, end);
    uselocale(before);
    return value;
}

void kd__format_double(kd_context *context, char text[32], double value)
{
    locale_t before = uselocale(context->locale);
    snprintf(text, 32, "%.15g", value);
    if (strtod(text, NULL) != value) snprintf(text, 32, "%.17g", value);
    uselocale(before);
}
