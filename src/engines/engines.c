/* The kinds of models that this build knows, in the order in which a config's model_type is looked
 * for: a new one is a folder and a line here. */
#include "core/model/layers.h"
#include "language/decoder/decoder.h"
#include "language/encoder/encoder.h"
#include "language/gguf/gguf_model.h"
#include "language/image/image.h"
#include "language/static/static.h"
#include "language/towers/towers.h"

const kd__engine *const kd__engines[] = { &kd__layers_engine,
                                          &kd__decoder_engine,
                                          &kd__encoder_engine,
                                          &kd__image_engine,
                                          &kd__static_engine,
                                          &kd__towers_engine,
                                          NULL };
const kd__model_format *const kd__model_formats[] = { &kd__gguf_format, &kd__static_format, NULL };
