#!/bin/sh
# Proves that the gates can fail: in a copy of the tree one line is broken for each of them, and the gate must turn red.
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
git ls-files | tar cf - -T - | tar xf - -C "$work"
cd "$work"
git init -q . && git add -A && git -c user.name=x -c user.email=x@x commit -q -m x
make -s all > /dev/null 2>&1

# gate, file, what to change (sed), the make target, the suite that must notice it where that is known
prove() {
    sed -i "$3" "$2"
    git diff --quiet && { echo "$1: the break did not apply"; exit 1; }
    if env ${5:+CK_RUN_SUITE=$5} make -s "$4" > "$work/log" 2>&1; then echo "$1: stayed green with $2 broken"; exit 1; fi
    echo "red as it should be: $1"
    git checkout -q . && git clean -q -f src include tests examples
}
prove "values against PyTorch and published vectors" src/loss/terms_soft.c 's/row->loss = d \/ v.sum - log(v.sum)/row->loss = d \/ v.sum + log(v.sum)/' unit loss
prove "gradients" src/nn/activation.c 's/dy\[i\] \*= 1 - y\[i\] \* y\[i\]/dy[i] *= 1 - y[i]/' unit model
prove "optimisers against PyTorch" src/math/kernels_body.h 's/x \* (s.learning_rate \* s.decay)/x * s.decay/' unit optimizer
prove "resume gives the same bits" src/optimizer/optimizer.c 's/optimizer->steps = numbers\[0\];/optimizer->steps = 0;/' unit checkpoint
prove "hostile files" src/base/array_file.c 's/KD_FAIL_IF(!dtype, KD_ERR_FORMAT, "%s: IDX/KD_FAIL_IF(0, KD_ERR_FORMAT, "%s: IDX/' unit data
prove "headers" include/kdistill/loss.h 's/^typedef struct kd_loss kd_loss;/typedef struct kd_loss kd_loss; typedef struct kd_empty { } kd_empty;/' check-headers
prove "symbols: a function that is not recorded" include/kdistill/loss.h 's/^KD_API void kd_loss_free/KD_API void kd_loss_more(void);\nKD_API void kd_loss_free/' check-symbols
prove "symbols: an internal name that leaks" src/base/hash.c 's/^uint32_t kd__crc32(/__attribute__((visibility("default"))) uint32_t kd__crc32(/' check-symbols
prove "abi: a field that moves" include/kdistill/monitor.h 's/    int32_t patience; .*/    int64_t patience;/' check-abi
prove "abi: a parameter that changes" include/kdistill/context.h 's/kd_context_cancel(kd_context \*context, int32_t on)/kd_context_cancel(kd_context *context, double on)/; ' check-abi
prove "layers" src/base/text.c 's/#include "base\/text.h"/#include "base\/text.h"\n#include "model\/model.h"/' check-layers
prove "threads: a sum in the threads' order" src/loss/rows.c 's/s->value\[r\] = row.state == KD__ROW_VALID ? row.loss \* row.gate \* factor : 0;/s->value[r] = row.loss * factor; { static _Atomic int order; row.dz \&\& (row.dz[0] += 1e-6f * (float)(order++ % 7)); }/' check-threads
prove "oom: a block that is not freed" src/data/loader.c 's/    kd__release(loader->object.context, loader->order);//' check-oom
prove "oom: an allocation that is not checked" src/data/loader.c 's/if (status != KD_OK) {/if (0) {/' check-oom
prove "faults: a temporary file that stays" src/base/file.c 's/if (output->temporary) unlink(output->temporary);//' check-faults
prove "stores: a checksum that nobody looks at" src/store/open.c 's/    if (kd__crc32(0, \*out + KD__RECORD_HEADER/    if (0 \&\& kd__crc32(0, *out + KD__RECORD_HEADER/' unit store
prove "stores: what was not written whole stays" src/store/writer.c 's/^    if (w->dirty) KD_TRY(cut_to_end(w));//; s/^        cut_to_end(w); .*//' check-faults
prove "verdicts: any number is right" src/verify/latex.c 's/return x == y; \/\* whole numbers \*\//return 1;/' unit verify
prove "records: an unfinished last line stays" src/record/writer.c 's/^    return heal(w);/    return lseek(w->file, 0, SEEK_END) < 0;/' unit record
prove "a killed course: an order that no seed tells" src/train/packer.c 's/kd__stream(p->options.seed, (uint64_t)(t - p->tasks) + 1/kd__stream((uint64_t)(size_t)p, (uint64_t)(t - p->tasks) + 1/' check-kill-course
prove "dlopen: threads that stay" src/context/context.c 's/^    kd__pool_free(context);//' check-dlopen
prove "python: a constant that differs" python/kdistill/_api.py 's/^KD_ERR_SHAPE = -3/KD_ERR_SHAPE = -4/' check-python
prove "asan: a read beyond the end" src/data/loader.c 's/memcpy(batch->numbers, loader->order + first, (size_t)batch->samples/memcpy(batch->numbers, loader->order + first, (size_t)(batch->samples + 999)/' check-asan data
prove "ubsan: a shift too far" src/base/json.c 's/int value = 0;/int value = 1 << (32 + (s[0] \& 1));/' check-ubsan model
prove "tsan: a counter without a lock" src/base/thread.c 's/    while ((index = atomic_fetch_add/    static int calls; calls++;\n    while ((index = atomic_fetch_add/' check-tsan context
echo "every gate was seen red"
