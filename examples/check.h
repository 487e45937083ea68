/* What every example does with a status: say what went wrong and stop. */
#ifndef EXAMPLE_CHECK_H
#define EXAMPLE_CHECK_H

#include <kdistill.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        kd_status check_status = (call);                                                           \
        if (check_status < 0) {                                                                    \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, kd_status_name(check_status),   \
                    kd_last_error());                                                              \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
