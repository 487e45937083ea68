"""The same files in llama.cpp, where its package is installed."""

import time

import numpy as np

try:
    import llama_cpp
except ImportError:
    llama_cpp = None


def measure(path, held):
    """KL to the float model and tokens a second as texts; dashes without the package."""
    if llama_cpp is None:
        return "-", "-"
    length = len(held.sequences[0])
    model = llama_cpp.Llama(path, n_ctx=length, logits_all=True, verbose=False)

    def logits_of(one):
        model.reset()
        model.eval([int(token) for token in one])
        return np.array(model.scores[:length])

    far, _ = held.compare(logits_of)
    model.reset()
    model.eval([1])
    start, count = time.perf_counter(), 100
    for _ in range(count):
        model.eval([int(model.scores[model.n_tokens - 1].argmax())])
    speed = count / (time.perf_counter() - start)
    model.close()
    return f"{far:.5f}", f"{speed:.0f}"
