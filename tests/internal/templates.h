#ifndef TEMPLATES_H
#define TEMPLATES_H

#include <check.h>

Suite *templates_suite(void);

#endif
