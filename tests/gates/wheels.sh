#!/bin/sh
# What a wheel promises: small, one file, tags that auditwheel agrees with, no AVX outside the
# kernels, the same kernels chosen as in the Makefile's build, a fresh environment in which a part
# of tests/python passes, other packages imported in any order, an old processor, arm64 and musl;
# and that the source package builds.   wheels.sh FOLDER
set -eu
here=$(pwd)
wheels=$here/$1 python=${PYTHON:-python3} zig_python=$here/${ZIG_PYTHON:-build/zig/bin/python}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
fail() { echo "wheels: $*"; exit 1; }
version=$(sed -n 's/^VERSION := //p' Makefile)

# ---- every wheel, as a file ----
count=0
for wheel in "$wheels/kdistill-$version"-*.whl; do
    count=$((count + 1)) limit=1048576
    case $wheel in *win_amd64.whl) limit=1258291 ;; esac
    size=$(stat -c %s "$wheel")
    [ "$size" -le $limit ] || fail "$wheel: expected at most $limit bytes, got $size"
    case $wheel in *win_amd64.whl) continue ;; esac # check-windows looks at what is in it
    rm -rf "$work/files"
    "$zig_python" -m zipfile -e "$wheel" "$work/files"
    library=$work/files/kdistill/lib/libkdistill.so.0
    system='(libc|libm|libpthread|ld-linux-[a-z0-9-]+|libc\.musl-[a-z0-9_]+)\.so(\.[0-9]+)*'
    needed=$(readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' |
        grep -vxE "$system" || true)
    [ -z "$needed" ] || fail "$wheel needs $needed"
    [ -s "$work"/files/kdistill-"$version".dist-info/sboms/kdistill.spdx.json ] || fail "no SBOM"
    ! strings "$library" | grep -q "$here" || fail "$wheel names the folder that it was built in"
    "$zig_python" -m auditwheel show "$wheel" > "$work/audit" 2>&1 || { cat "$work/audit"; exit 1; }
    tag=$(basename "$wheel" .whl | sed 's/.*\.//; s/.*-none-//')
    tr -d '\n' < "$work/audit" | grep -q "consistent with.*$tag" ||
        { cat "$work/audit"; fail "auditwheel does not agree with $tag"; }
    echo "$size bytes, auditwheel agrees: $tag"
done
[ "$count" -ge 5 ] || fail "expected five wheels in $wheels, got $count"

# ---- no AVX where any processor comes along ----
for object in build/wheel/manylinux-x86_64/*.o; do
    case $object in # these choose their functions for AVX when a context is made
        */math-kernels_avx* | */math-int8.o | */math-int4_tiles.o | */math-bfloat16.o) continue ;;
    esac
    ! objdump -d "$object" | grep -qE '%[yz]mm' || fail "$object has AVX instructions"
done

# ---- a fresh environment; numpy, and torch where it is, are those of $PYTHON ----
"$python" -m venv "$work/venv"
mine=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -c 'import numpy, os; print(os.path.dirname(os.path.dirname(numpy.__file__)))' \
    > "$mine/beside.pth"
wheel=$(ls "$wheels/kdistill-$version"-*manylinux*x86_64.whl)
"$work/venv/bin/pip" install -q --no-deps --no-index "$wheel"
export PYTHONPATH="$here/tests/python"
unset KDISTILL_LIBRARY || true
cd "$work"
"$work/venv/bin/python" - << 'PYTHON'
import os, sys, threading
import kdistill as kd
from kdistill import _library
assert _library.library_path().startswith(sys.prefix), _library.library_path()
assert "blas none" in kd.build_info(), kd.build_info()
try:
    import torch
    torch.ones(64, 64) @ torch.ones(64, 64)
except ImportError:
    print("SKIPPED torch beside the wheel: it is not installed")
def use():
    with kd.Context(threads=2) as ctx:
        config = {"model_type": "mlp", "input_size": 4, "hidden_sizes": [64], "num_labels": 3}
        with kd.Model(ctx, config):
            pass
use()
threads = [threading.Thread(target=use) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
child = os.fork()
if not child:
    use()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
PYTHON
# Whatever is imported first: torch, scikit-learn, pyarrow and xgboost, those that are there.
order=0
while [ $order -lt "${IMPORT_ORDERS:-3}" ]; do
    order=$((order + 1))
    "$work/venv/bin/python" - $order << 'PYTHON' || fail "imports in order $order fail"
import importlib, importlib.util, random, sys
names = ["numpy", "scipy.linalg", "torch", "sklearn.linear_model", "pyarrow", "xgboost", "kdistill"]
names = [name for name in names if importlib.util.find_spec(name.split(".")[0])]
random.Random(int(sys.argv[1])).shuffle(names)
made = {name: importlib.import_module(name) for name in names}
kd, np = made["kdistill"], made["numpy"]
x, y = np.random.default_rng(1).normal(size=(64, 4)).astype("float32"), np.arange(64) % 2
config = {"model_type": "mlp", "input_size": 4, "hidden_sizes": [8], "num_labels": 2}
logits = np.stack([x[:, 0], -x[:, 0]], 1)
assert kd.distill(config, logits, x, epochs=3).losses
if "torch" in made:
    made["torch"].nn.Linear(4, 2)(made["torch"].from_numpy(x)).sum().backward()
if "sklearn.linear_model" in made:
    made["sklearn.linear_model"].LogisticRegression().fit(x, y)
if "pyarrow" in made:
    assert made["pyarrow"].array(y).sum().as_py() == 32
if "xgboost" in made:
    made["xgboost"].XGBClassifier(n_estimators=2).fit(x, y)
if sys.argv[1] == "1":
    print("imported beside", ", ".join(sorted(set(names) - {"kdistill"})))
PYTHON
done
isa() { "$@" -c 'import kdistill as kd; print(kd.Context().info.isa)'; }
wheels_isa=$(isa "$work/venv/bin/python")
ours=$(KDISTILL_LIBRARY=$here/lib/libkdistill.so.0 isa "$work/venv/bin/python")
[ "$wheels_isa" = "$ours" ] ||
    fail "the wheel chose instruction set $wheels_isa, the Makefile's build $ours"
(cd "$here/tests/python" && "$work/venv/bin/python" -m unittest -q \
    ${WHEEL_TESTS:-test_arrays test_batch test_context test_dataset test_handle test_loss \
    test_metrics test_model test_optimizer test_schedule test_status test_store test_teacher \
    test_tokenizer}) ||
    fail "tests/python fail with the wheel"

# ---- the source package, by this machine's compiler, without a network ----
sdist=$wheels/kdistill-$version.tar.gz
[ -e "$sdist" ] || fail "no $sdist: make sdist"
"$python" -m venv "$work/source"
cp "$mine/beside.pth" "$("$work/source/bin/python" -c \
    'import sysconfig; print(sysconfig.get_path("purelib"))')/"
"$work/source/bin/pip" install -q --no-deps --no-index "$sdist" || fail "$sdist does not build"
(cd "$here/tests/python" && "$work/source/bin/python" -m unittest -q test_loss test_status) ||
    fail "tests/python fail with the source package"
echo "the source package builds and installs"

# ---- a program in C with the wheel's library ----
library=$mine/kdistill/lib/libkdistill.so.0
cc -O2 -I"$here/include" "$here/examples/loop.c" -o "$work/loop" "$library" -lm \
    -Wl,-rpath,"$(dirname "$library")"
"$work/loop" > /dev/null || fail "a C program built against the wheel fails"

# ---- a processor without AVX ----
if command -v qemu-x86_64 > /dev/null; then
    qemu-x86_64 -cpu Nehalem "$work/loop" > /dev/null 2>&1 || fail "it does not run on Nehalem"
    echo "runs on Nehalem, without AVX"
else
    echo "SKIPPED Nehalem: no qemu-x86_64 (Debian: qemu-user)"
fi

# ---- musl ----
wheel=$(ls "$wheels/kdistill-$version"-*musllinux*x86_64.whl)
"$zig_python" -m zipfile -e "$wheel" "$work/musl"
if [ -e /lib/ld-musl-x86_64.so.1 ]; then
    place=$work/musl/kdistill
    "$zig_python" -m ziglang cc -target x86_64-linux-musl -dynamic -O1 -I"$here/include" \
        "$here/examples/loop.c" -o "$work/musl-loop" "$place/lib/libkdistill.so.0" -lm \
        -Wl,-rpath,"$place/lib"
    "$work/musl-loop" > /dev/null || fail "a program on musl fails"
    echo "runs on musl"
else
    echo "SKIPPED musl: no /lib/ld-musl-x86_64.so.1 (Debian: musl)"
fi

# ---- arm64 ----
if command -v qemu-aarch64 > /dev/null && [ -d /usr/aarch64-linux-gnu ]; then
    wheel=$(ls "$wheels/kdistill-$version"-*manylinux*aarch64.whl) place=$work/arm/kdistill
    "$zig_python" -m zipfile -e "$wheel" "$work/arm"
    "$zig_python" -m ziglang cc -target aarch64-linux-gnu.2.17 -O1 -I"$here/include" \
        "$here/examples/loop.c" -o "$work/arm-loop" "$place/lib/libkdistill.so.0" -lm \
        -Wl,-rpath,"$place/lib"
    qemu-aarch64 -L /usr/aarch64-linux-gnu "$work/arm-loop" > /dev/null ||
        fail "a program on arm64 fails"
    arm_python=$(cd "$here" && sh tests/gates/arm_python.sh)
    (cd "$here/tests/python" && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$work/arm:$PYTHONPATH" \
        $arm_python -m unittest -q test_batch test_dataset test_loss test_model test_schedule) ||
        fail "tests/python fail on arm64"
    echo "runs on arm64"
else
    echo "SKIPPED arm64: no qemu-aarch64 (Debian: qemu-user, libc6-dev-arm64-cross)"
fi
echo "wheels: $count of them hold what they promise"
