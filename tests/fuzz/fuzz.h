/* Inputs that are made of parts: each byte chooses one. */
#ifndef FUZZ_H
#define FUZZ_H

#include <kdistill.h>
#include <stddef.h>
#include <stdint.h>

/* A template of statements, and a chat of turns with fields, rendered, masked and continued. */
void use_chat_by_parts(kd_context *ctx, const uint8_t *data, size_t size);

/* A preprocessor_config.json and an image for it; a resize of any sizes and options. */
void use_pixels(kd_context *ctx, const uint8_t *data, size_t size);

#endif
