/* The base of all handles: references, and the context that a handle keeps alive. */
#ifndef KD_BASE_OBJECT_H
#define KD_BASE_OBJECT_H

#include <kdistill/context.h>
#include <stdatomic.h>

#include "base/status.h"

/* The first member of every handle. */
typedef struct kd__object {
    atomic_int references;
    kd_context *context;
} kd__object;

/* Allocates an object (first member kd__object) and takes a reference to the context. */
kd_status kd__object_create(void **out, kd_context *context, size_t size);
void *kd__object_hold(void *object);
/* 1: this was the last reference: free the members, then call kd__object_destroy. */
int kd__object_drop(void *object);
void kd__object_destroy(void *object);

#endif
