#!/bin/sh
# What the library is measured and checked against, into a virtual environment of its own: peers.sh
# FOLDER PyTorch 2.15, transformers, tokenizers, TRL and torchdistill (their losses are run as
# oracles), sentence-transformers and model2vec (their folders are read and written).
set -eu
folder=${1:?usage: peers.sh FOLDER}
[ -x "$folder/bin/python" ] || python3 -m venv "$folder"
folder=$(cd "$folder" && pwd)
pip="$folder/bin/pip install -q --disable-pip-version-check"
if [ -e /usr/local/cuda/lib64/libcublas.so.13 ]; then
    # torch's CUDA parts are never used, but linked: take them from the toolkit where it is
    "$folder/bin/python" -c "import torch" 2> /dev/null || {
        $pip --no-deps torch==2.15.0
        $pip -U setuptools numpy safetensors typing_extensions sympy jinja2 networkx filelock \
            fsspec nvidia-cufile nvidia-cusparselt-cu13==0.8.1 \
            nvidia-nvshmem-cu13==3.7.2 nvidia-nccl-cu13==2.30.7 \
            2> /dev/null
    }
else
    "$folder/bin/python" -c "import torch" 2> /dev/null ||
        $pip -U setuptools numpy safetensors torch==2.15.0
fi
packages="transformers, sentence_transformers, model2vec, trl, tokenizers, torchdistill"
packages="$packages, sacrebleu, rouge_score, math_verify"
"$folder/bin/python" -c "import $packages" 2> /dev/null || {
    $pip --no-deps transformers==5.23.0 trl==1.16.0 accelerate tokenizers \
        torchdistill==1.1.5 sentence-transformers==6.2.0 model2vec==0.10.0 2> /dev/null
    $pip scikit-learn joblib rich regex \
        requests pyyaml tqdm packaging huggingface_hub psutil httpx typer \
        datasets gguf sacrebleu==2.6.0 rouge-score 'math-verify[antlr4_13_2]==0.9.0' 2> /dev/null
}
# Adapters: tests/property/adapters.py.
"$folder/bin/python" -c "import peft" 2> /dev/null || $pip --no-deps peft==0.21.2
# Images: tests/property/image_front.py. Pillow 13 adds up in another order.
"$folder/bin/python" -c "import PIL" 2> /dev/null || $pip pillow==12.3.0
# Math-Verify's own tests, which its source archive has, for tests/property/verdicts_beside.py.
[ -d "$folder/math-verify/tests" ] || {
    "$folder/bin/python" -m pip download -q --disable-pip-version-check --no-deps \
        --no-binary :all: --no-build-isolation -d "$folder/math-verify" math-verify==0.9.0
    tar xzf "$folder"/math-verify/*.tar.gz -C "$folder/math-verify" --strip-components=1
}
# all-MiniLM-L6-v2 for tests of the long tier, which find it by KD_MINILM and skip without it.
[ -d "$folder/minilm" ] || {
    rm -rf "$folder/minilm.new"
    "$folder/bin/python" "$(dirname "$0")/minilm.py" "$folder/minilm.new" &&
        mv "$folder/minilm.new" "$folder/minilm" ||
        echo "SKIPPED all-MiniLM-L6-v2: it cannot be fetched"
}
# Rivals of the benchmarks, of which two are compiled for this processor (minutes): peers.sh FOLDER
# rivals. Benchmarks go without those that cannot be had.
native() { # NAME VERSION MODULE: from source with this processor's instructions, else as built
    "$folder/bin/python" -c "import $3" 2> /dev/null && return
    CMAKE_ARGS=-DGGML_NATIVE=ON $pip --no-binary "$1" "$1==$2" 2> /dev/null && return
    echo "$1 does not compile here: its package is taken as built"
    $pip "$1==$2" || echo "no $1"
}
if [ "${2:-}" = rivals ]; then
    "$folder/bin/python" -c "import onnxruntime, onnxscript" 2> /dev/null ||
        $pip onnxruntime==1.32.0 onnx==1.23.2 onnxscript
    "$folder/bin/python" -c "import model2vec" 2> /dev/null || $pip --no-deps model2vec==0.10.0
    "$folder/bin/python" -c "import librosa" 2> /dev/null || $pip librosa==0.11.0 ||
        echo "no librosa"
    "$folder/bin/python" -c "import mpi4py" 2> /dev/null || $pip mpi4py==4.1.2 || echo "no mpi4py"
    native llama-cpp-python 0.3.36 llama_cpp
    native ik-llama-cpp-python 0.1.5 ik_llama_cpp
fi
libraries=$(find "$folder" -path '*/nvidia/*' -type d -name lib | tr '\n' ':')
libraries=$libraries/usr/local/cuda/lib64
echo "export HF_HUB_OFFLINE=1 LD_LIBRARY_PATH=\"$libraries:\${LD_LIBRARY_PATH:-}\"" \
    > "$folder/environment"
[ ! -d "$folder/minilm" ] ||
    echo "export KD_MINILM=\"\${KD_MINILM:-$folder/minilm}\"" >> "$folder/environment"
[ -x "$folder/bin/ruff" ] && [ -x "$folder/bin/mypy" ] || $pip ruff==0.17.6 mypy==2.4.1 # make style
"$folder/bin/python" -m pip list 2> /dev/null |
    grep -E '^(torch|transformers|tokenizers|trl|torchdistill|sentence-transformers|model2vec) '
