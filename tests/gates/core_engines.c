/* The engines of a build that has the core alone: see src/engines/engines.c. */
#include "core/model/layers.h"

const kd__engine *const kd__engines[] = { &kd__layers_engine, NULL };
const kd__model_format *const kd__model_formats[] = { NULL };
