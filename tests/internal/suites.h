/* Suites of what the library hides. */
#ifndef SUITES_H
#define SUITES_H

#include <check.h>

Suite *base_suite(void);
Suite *bounds_suite(void);
Suite *draft_length_suite(void);
Suite *eigen_suite(void);
Suite *int4_suite(void);
Suite *int8_suite(void);
Suite *kernels_suite(void);
Suite *layers_suite(void);
Suite *many_ranks_suite(void);
Suite *os_suite(void);
Suite *relation_suite(void);
Suite *loss_state_suite(void);
Suite *relation_goldens_suite(void);
Suite *packed_suite(void);
Suite *positions_suite(void);
Suite *sorter_suite(void);
Suite *system_suite(void);
Suite *token_relation_suite(void);

#endif
