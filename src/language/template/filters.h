/* Filters that lie in several files; their table is in filters.c. */
#ifndef KD_TEMPLATE_FILTERS_H
#define KD_TEMPLATE_FILTERS_H

#include "language/template/callable.h"

kd__callee kd__filter_tojson, kd__filter_list, kd__filter_sort, kd__filter_dictsort,
    kd__filter_unique, kd__filter_min, kd__filter_max, kd__filter_sum, kd__filter_batch,
    kd__filter_slice, kd__filter_groupby, kd__filter_map, kd__filter_select, kd__filter_reject,
    kd__filter_selectattr, kd__filter_rejectattr, kd__filter_join, kd__filter_first,
    kd__filter_last, kd__filter_reverse, kd__filter_int, kd__filter_float, kd__filter_abs,
    kd__filter_round;

#endif
