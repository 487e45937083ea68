"""llama.cpp's package for scripts that need it; where it is not installed, they end here and say
so. sh bench/peers.sh FOLDER rivals compiles it."""

import sys

try:
    import llama_cpp
except ImportError:
    print(f"left out: {sys.argv[0]}: llama_cpp is not installed")
    sys.exit(0)

__all__ = ["llama_cpp"]
