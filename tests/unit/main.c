#include "unit.h"

int main(void)
{
#define SUITE(name) name##_suite,
    Suite *(*const suites[])(void) = {
#include "suites.h"
    };
#undef SUITE
    setvbuf(stdout, NULL, _IOLBF, 0); /* a log tells how far a run came */
    SRunner *runner = srunner_create(NULL);
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        srunner_add_suite(runner, suites[i]());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
