/* Decimal numbers in text, in the context's locale. */
#include "base/context.h"
#include "base/numbers.h"
#include "base/os.h"

double kd__parse_double(kd_context *context, const char *text, char **end)
{
    return kd__os_parse_double(context->locale, text, end);
}

void kd__format_double(kd_context *context, char text[32], double value)
{
    void *locale = context->locale;
    kd__os_print_double(locale, text, 32, "%.*g", 15, value);
    if (kd__os_parse_double(locale, text, NULL) != value)
        kd__os_print_double(locale, text, 32, "%.*g", 17, value);
}
