#!/bin/sh
# PyTorch 2.15 into a virtual environment of its own, to measure and check against: peers.sh FOLDER
set -eu
folder=${1:?usage: peers.sh FOLDER}
[ -x "$folder/bin/python" ] || python3 -m venv "$folder"
folder=$(cd "$folder" && pwd)
"$folder/bin/python" -c "import torch" 2> /dev/null && exit 0
if [ -e /usr/local/cuda/lib64/libcublas.so.13 ]; then # its CUDA parts are never used, but linked: take them from the toolkit where it is
    "$folder/bin/pip" install -q --disable-pip-version-check --no-deps torch==2.15.0
    "$folder/bin/pip" install -q --disable-pip-version-check -U setuptools numpy safetensors typing_extensions sympy jinja2 networkx filelock fsspec nvidia-cufile \
        nvidia-cusparselt-cu13==0.8.1 nvidia-nvshmem-cu13==3.7.2 nvidia-nccl-cu13==2.30.7
else
    "$folder/bin/pip" install -q --disable-pip-version-check -U setuptools numpy safetensors torch==2.15.0
fi
libraries=$(find "$folder" -path '*/nvidia/*' -type d -name lib | tr '\n' ':')
echo "export LD_LIBRARY_PATH=\"$libraries/usr/local/cuda/lib64:\${LD_LIBRARY_PATH:-}\"" > "$folder/environment"
