#include "unit.h"

/* KD_TEST_TURN=1/3: of the suites each third from the second on. Any other text runs all. */
static int has_its_turn(size_t suite)
{
    const char *turns = getenv("KD_TEST_TURN");
    size_t turn, parts;
    if (!turns || sscanf(turns, "%zu/%zu", &turn, &parts) != 2 || !parts) return 1;
    return suite % parts == turn % parts;
}

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
        if (has_its_turn(i)) srunner_add_suite(runner, suites[i]());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
