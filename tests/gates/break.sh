#!/bin/sh
# Proves that the gates can fail: in a copy of the tree one line is broken for each of them, and the
# gate must turn red. break.sh [WORD ..]: only the breaks whose names hold a WORD.
#
# The copy is built once, at -O1; each break starts from it and compiles what the break touches.
# Before its first break a gate must be green there; SEEN_GREEN=yes leaves that to whoever has just
# run the gates. EVERY=3: of the breaks that run the library one in three, chosen by the commit;
# EVERY=0: none is tried, all are only looked at: does each still find the line that it changes?
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
tree=$work/tree whole=$work/whole
export CFLAGS='-O1 -g'
mkdir "$tree"
git ls-files | tar cf - -T - | tar xf - -C "$tree"
commit=$((0x$(git rev-parse --short=4 HEAD 2> /dev/null || echo 0)))
cd "$tree"
git init -q . && git add -A # some gates ask git for the files

missed() { # what happened; the log tells more. The other breaks are tried all the same.
    tail -n 20 "$work/log"
    echo "FAILED: $1"
    misses=$((misses + 1))
}
run() { # target, or target:suite
    suite=${1#"${1%%:*}"}
    env ${suite:+CK_RUN_SUITE=${suite#:} PYTHON_TESTS=${suite#:}.py} \
        make -s "${1%%:*}" > "$work/log" 2>&1
}
keep() { rm -rf "$whole" && cp -a "$tree" "$whole"; }
fresh() { cd "$work" && rm -rf "$tree" && cp -a "$whole" "$tree" && cd "$tree"; }
wanted() { # name
    [ -n "$words" ] || return 0
    for word in $words; do case $1 in *"$word"*) return 0 ;; esac; done
    return 1
}
turns() { # a break that runs the library: has it its turn?
    count=$((count + 1))
    [ $(((count + commit) % every)) -eq 0 ]
}
words=$* proved=0 misses=0 greens=' ' has_library= count=0 every=${EVERY:-1}

# A break: its name, the gate (a make target, with the suite or the file of Python that must notice
# it where that is known), the files, what to change in each (sed). One that changes nothing or does
# not compile proves nothing.
prove() {
    wanted "$1" || return 0
    applies "$@" && [ "$every" -ne 0 ] || return 0
    reads "$2" || turns || return 0
    reads "$2" || library
    fresh
    green "$2" || { missed "$1: $2 is red before anything is broken"; return 0; }
    sed -i "$4" $3
    compiles "$3" "$2" || { missed "$1: $3 does not compile once it is broken"; return 0; }
    if run "$2"; then missed "$1: stayed green with $3 broken"; return 0; fi
    proved=$((proved + 1))
    echo "red as it should be: $1"
}
applies() { # name, gate, files, change
    for file in $3; do
        sed "$4" "$whole/$file" | cmp -s - "$whole/$file" || continue
        echo "$4" > "$work/log"
        missed "$1: the break finds no line in $file"
        return 1
    done
}
green() { # gate
    [ -z "${SEEN_GREEN:-}" ] || return 0
    case $greens in *" $1 "*) return 0 ;; esac
    run "$1" && greens="$greens$1 "
}
compiles() { # files, gate
    if reads "$2"; then return 0; fi
    case $1 in *.py | *.md) return 0 ;; esac
    run all
}
reads() { # gate
    case $1 in
    check-headers | check-names | check-words | check-pages) return 0 ;;
    check-layers | check-lists) return 0 ;;
    esac
    return 1
}
library() { # built before the first break that needs it
    [ -z "$has_library" ] || return 0
    fresh
    run built || { missed "the copy does not build"; exit 1; }
    has_library=yes
    keep
}

keep
# ---- gates that read the sources ----
prove "headers" check-headers include/kdistill/loss.h \
    's/^typedef struct kd_loss kd_loss;/& typedef struct kd_empty { } kd_empty;/'
prove "names: a struct filled without get" check-names include/kdistill/store.h \
    's/kd_store_get_info(/kd_store_facts(/'
prove "names: a constant without its enum" check-names include/kdistill/loss.h \
    's/^#define KD_T2_ON /#define KD_SQUARED /'
prove "words: an oddity in a header" check-words include/kdistill/loss.h \
    's/^ \* - Denominators come from/ * - Denominators are told by/'
prove "pages: a link that leads nowhere" check-pages README.md \
    's/(docs\/guide.md)/(docs\/guides.md)/'
prove "layers" check-layers src/base/text.c \
    's/#include "base\/text.h"/#include "base\/text.h"\n#include "core\/model\/model.h"/'
prove "layers: a call of the system's outside of base/os" check-layers src/core/store/shard.c \
    's/^#include <errno.h>/&\n#include <unistd.h>/'
prove "lists: CMake without a flag of the kernels" check-lists CMakeLists.txt 's/;-mf16c//'
prove "lists: a version that was forgotten" check-lists python/pyproject.toml \
    's/^version = .*/version = "0.1.9"/'

# ---- gates that run the library ----
prove "commands: an option that the page does not tell of" check-commands docs/kdistill-store.1 \
    's/most\\-unmapped/most\\-known/'
prove "values against PyTorch and published vectors" unit:loss src/core/loss/terms_soft.c \
    's/row->loss = d \/ v.sum - log(v.sum)/row->loss = d \/ v.sum + log(v.sum)/'
prove "gradients" unit:model src/nn/activation.c \
    's/dy\[i\] \*= 1 - y\[i\] \* y\[i\]/dy[i] *= 1 - y[i]/'
prove "optimizers against PyTorch" unit:optimizer src/math/kernels_body.h \
    's/x \* (s.learning_rate \* s.decay)/x * s.decay/'
prove "resume gives the same bits" unit:checkpoint src/core/optimizer/optimizer.c \
    's/optimizer->steps = numbers\[0\];/optimizer->steps = 0;/'
prove "hostile files" unit:data src/formats/array_file.c \
    's/KD_FAIL_IF(!dtype, KD_ERR_FORMAT, "%s: IDX/KD_FAIL_IF(0, KD_ERR_FORMAT, "%s: IDX/'
prove "symbols: a function that is not recorded" check-symbols include/kdistill/loss.h \
    's/^KD_API void kd_loss_free/KD_API void kd_loss_more(void);\nKD_API void kd_loss_free/'
prove "symbols: an internal name that leaks" check-symbols src/base/hash.c \
    's/^uint32_t kd__crc32(/__attribute__((visibility("default"))) uint32_t kd__crc32(/'
prove "abi: a field that moves" check-abi include/kdistill/monitor.h \
    's/    int32_t patience; .*/    int64_t patience;/'
prove "abi: a parameter that changes" check-abi \
    "include/kdistill/context.h src/core/context/context.c" \
    's/\(kd_context_cancel(kd_context \*context\), int32_t on/\1, double on/'
prove "threads: a sum in the threads' order" check-threads src/core/loss/rows.c \
    's/^\( *\)s->value\[r\] = row.state == .*/&\
        static _Atomic int order;\
        if (row.dz) row.dz[0] += 1e-6f * (float)(order++ % 7);/'
prove "oom: a block that is not freed" check-oom src/core/data/loader.c \
    's/    kd__release(loader->object.context, loader->order);//'
prove "oom: an allocation that is not checked" check-oom src/core/data/loader.c \
    's/if (status != KD_OK) {/if (0) {/'
prove "faults: a temporary file that stays" check-faults src/base/file.c \
    's/if (output->temporary) kd__os_remove(output->temporary);//'
prove "stores: a checksum that nobody looks at" unit:store_damage src/core/store/open.c \
    's/    if (\(kd__crc32(0, \*out + KD__RECORD_HEADER\)/    if (0 \&\& \1/'
prove "stores: what was not written whole stays" check-faults src/core/store/writer.c \
    's/^    if (w->dirty) KD_TRY(cut_to_end(w));//; s/^        cut_to_end(w); .*//'
prove "exchange: a rank draws the random numbers of another" unit:exchange \
    src/core/exchange/step_together.c 's/model->rows_before = has_batch ? rows : apart;/;/'
prove "exchange: own gradients are not rounded as they travel" unit:exchange \
    src/core/exchange/travel.c \
    's/if (is_own) kd__convert_from_float32(.*/memset(rounded, 0, sizeof rounded);/'
prove "exchange: what was foreseen is not taken over" unit:exchange \
    src/core/exchange/step_together.c 's/    kd__exchange_adopt(x);/;/'
prove "exchange: foreseen without moments" unit:exchange src/core/optimizer/step.c \
    's/if (first) memcpy(first, optimizer->first/if (!first) memcpy(first, optimizer->first/'
prove "exchange: a rank that failed is not heard" unit:exchange_errors src/core/exchange/agree.c \
    's/word->status != KD_OK, KD_ERR_PEER/word->status == 99, KD_ERR_PEER/'
prove "exchange: a save without manifest counts" unit:exchange_saves src/core/checkpoint/saves.c \
    's/(!l->whole || has_manifest(l->path, number))/1/'
prove "exchange: sums of other rows stay in a lazy table" unit:exchange_language \
    src/core/exchange/exchange.c 's/gradients_foreign = KD__FOREIGN_VIEWED/gradients_foreign += 0/'
prove "verdicts: any number is right" unit:verify src/course/verify/one_number.c \
    's/^    if (p == q) return 0;/    if (p == q) return 1;/'
prove "records: an unfinished last line stays" unit:record src/course/record/record_writer.c \
    "s/^        while (i > 0 .*'.n'.*//"
prove "a killed course: an order that no seed tells" check-kill-course src/course/packer/packer.c \
    's/kd__stream(p->options.seed, (uint64_t)(t - p->tasks)/kd__stream((size_t)p, t - p->tasks/'
prove "dlopen: threads that stay" check-dlopen src/core/context/context.c \
    's/^    kd__pool_free(context);//'
prove "command: an allocation that is not checked" check-command src/tool/say.c \
    's/^    if (more) return more;/    return more;/'
prove "command: a run that continues with other texts" check-python:test_command \
    src/tool/train_run.c 's/kd_packer_set_state(run->train.packer, run->state.packer/\
kd_packer_set_state(run->train.packer, run->train.first/'
prove "command: a key that nobody refuses" check-python:test_command_recipes src/tool/keys.c \
    's/return unknown_key(p, where, n, keys);/continue;/'
prove "python: a constant that differs" check-python:test_status python/kdistill/enums.py \
    's/ERR_SHAPE = -3/ERR_SHAPE = -4/'
prove "python: a reference page that is out of date" check-python:test_interface \
    docs/reference/python.md \
    's/^# Classes/# Classes of old/'

# ---- sanitizers: libraries of their own, built once for each kind ----
if [ "$every" -eq 1 ] && wanted "asan: ubsan:"; then
    library
    fresh
    run check-asan:data || missed "check-asan is red before anything is broken"
    keep
fi
prove "asan: a read beyond the end" check-asan:data src/core/data/loader.c \
    's/(size_t)batch->samples \(\* sizeof \*batch->numbers\)/(size_t)(batch->samples + 999) \1/'
prove "ubsan: a shift too far" check-asan:model src/formats/json.c \
    's/int value = 0;/int value = 1 << (32 + (s[0] \& 1));/'
prove "tsan: a counter without a lock" check-tsan:context src/base/thread.c \
    's/    while ((index = atomic_fetch_add/    static int calls; calls++;\n&/'
[ "$misses" -eq 0 ] || { echo "FAILED: $misses breaks, $proved gates were seen red"; exit 1; }
[ "$every" -ne 0 ] || { echo "breaks: each finds its line"; exit 0; }
echo "${words:+of \"$words\": }$proved gates were seen red"
