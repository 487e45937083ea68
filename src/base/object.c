/* References of handles and of their context. */
#include "base/object.h"

#include "base/context.h"
#include "base/memory.h"

kd_status kd__object_create(void **out, kd_context *context, size_t size)
{
    void *object = NULL;
    KD_TRY(kd__allocate(context, &object, 1, size));
    kd__object *base = object;
    atomic_init(&base->references, 1);
    base->context = context;
    atomic_fetch_add(&context->references, 1);
    *out = object;
    return KD_OK;
}

void *kd__object_hold(void *object)
{
    atomic_fetch_add(&((kd__object *)object)->references, 1);
    return object;
}

int kd__object_drop(void *object)
{
    return object && atomic_fetch_sub(&((kd__object *)object)->references, 1) == 1;
}

void kd__object_destroy(void *object)
{
    kd_context *context = ((kd__object *)object)->context;
    kd__release(context, object);
    context->free(context);
}
