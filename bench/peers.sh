#!/bin/sh
# What the library is measured and checked against, into a virtual environment of its own: peers.sh FOLDER
# PyTorch 2.15, transformers, tokenizers, TRL and torchdistill (their losses are run as oracles).
set -eu
folder=${1:?usage: peers.sh FOLDER}
[ -x "$folder/bin/python" ] || python3 -m venv "$folder"
folder=$(cd "$folder" && pwd)
pip="$folder/bin/pip install -q --disable-pip-version-check"
if [ -e /usr/local/cuda/lib64/libcublas.so.13 ]; then # torch's CUDA parts are never used, but linked: take them from the toolkit where it is
    "$folder/bin/python" -c "import torch" 2> /dev/null || {
        $pip --no-deps torch==2.15.0
        $pip -U setuptools numpy safetensors typing_extensions sympy jinja2 networkx filelock fsspec nvidia-cufile \
            nvidia-cusparselt-cu13==0.8.1 nvidia-nvshmem-cu13==3.7.2 nvidia-nccl-cu13==2.30.7 2> /dev/null
    }
else
    "$folder/bin/python" -c "import torch" 2> /dev/null || $pip -U setuptools numpy safetensors torch==2.15.0
fi
"$folder/bin/python" -c "import transformers, trl, tokenizers, torchdistill, sacrebleu, rouge_score" 2> /dev/null || {
    $pip --no-deps transformers==5.23.0 trl==1.16.0 accelerate tokenizers torchdistill==1.1.5 2> /dev/null
    $pip regex requests pyyaml tqdm packaging huggingface_hub psutil httpx typer datasets gguf sacrebleu==2.6.0 rouge-score 2> /dev/null
}
libraries=$(find "$folder" -path '*/nvidia/*' -type d -name lib | tr '\n' ':')
echo "export HF_HUB_OFFLINE=1 LD_LIBRARY_PATH=\"$libraries/usr/local/cuda/lib64:\${LD_LIBRARY_PATH:-}\"" > "$folder/environment"
"$folder/bin/python" -m pip list 2> /dev/null | grep -E '^(torch|transformers|tokenizers|trl|torchdistill) '
