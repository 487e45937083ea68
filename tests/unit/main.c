#include "unit.h"

int main(void)
{
    Suite *(*const suites[])(void) = { context_suite,   data_suite,    loss_suite,       model_suite,     teacher_suite,    schedule_suite,
                                       optimizer_suite, metrics_suite, checkpoint_suite, monitor_suite,   divergence_suite, head_suite,
                                       store_suite,     decoder_suite, tokenizer_suite,  generator_suite, student_suite,    verify_suite,
                                       record_suite,    packer_suite,  answers_suite,    curation_suite,  augment_suite,    select_suite,
                                       compare_suite,   begun_suite };
    SRunner *runner = srunner_create(NULL);
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) srunner_add_suite(runner, suites[i]());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
