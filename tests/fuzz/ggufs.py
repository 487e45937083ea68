"""Seeds of the fuzzers: GGUF files of one tiny model, its matrices in each type of blocks, written
into tests/fuzz/corpus. Whoever changes what is read runs this again:

    python tests/fuzz/ggufs.py
"""

import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
KIND = 13
#: ggml's number, numbers and bytes of a block.
TYPES = {
    "q2-k": (10, 256, 84), "q3-k": (11, 256, 110), "q6-k": (14, 256, 210), "iq4-nl": (20, 32, 18),
    "iq4-xs": (23, 256, 136), "mxfp4": (39, 32, 17), "q5-1": (7, 32, 24), "q4-k": (12, 256, 144),
}  # fmt: skip
WIDTH = 256
SIZES = {
    "context_length": 8, "embedding_length": WIDTH, "block_count": 1, "feed_forward_length": 2,
    "attention.head_count": 1, "attention.key_length": 2, "attention.value_length": 2,
    "rope.dimension_count": 2,
}  # fmt: skip
#: Rows and columns; columns of WIDTH are in blocks.
MATRICES = {
    "token_embd": (3, WIDTH), "blk.0.attn_q": (2, WIDTH), "blk.0.attn_k": (2, WIDTH),
    "blk.0.attn_v": (2, WIDTH), "blk.0.attn_output": (WIDTH, 2), "blk.0.ffn_gate": (2, WIDTH),
    "blk.0.ffn_up": (2, WIDTH), "blk.0.ffn_down": (WIDTH, 2),
}  # fmt: skip
NORMS = ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm")


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def pair(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def pairs():
    made = [pair("general.architecture", 8, text("llama"))]
    made += [pair("llama." + key, 4, struct.pack("<I", value)) for key, value in SIZES.items()]
    made.append(pair("llama.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5)))
    made.append(pair("tokenizer.ggml.model", 8, text("gpt2")))
    tokens = struct.pack("<IQ", 8, 3) + text("a") + text("b") + text("ab")
    made.append(pair("tokenizer.ggml.tokens", 9, tokens))
    made.append(pair("tokenizer.ggml.merges", 9, struct.pack("<IQ", 8, 1) + text("a b")))
    return made


def tensors(number, block, size):
    for name, (rows, columns) in MATRICES.items():
        if columns == WIDTH:
            count = rows * columns // block * size
            data = bytes((7 * i + 3) % 251 if i % size else 1 for i in range(count))
            yield name, (columns, rows), number, data
        else:  # of float16
            yield name, (columns, rows), 1, bytes(2 * rows * columns)
    for name in NORMS:
        yield name, (WIDTH,), 1, struct.pack("<H", 0x3C00) * WIDTH


def file_of(number, block, size):
    keys, infos, data = pairs(), b"", b""
    all_tensors = list(tensors(number, block, size))
    for name, dims, kind, numbers in all_tensors:
        infos += text(name + ".weight") + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind,
                                                      len(data))  # fmt: skip
        data += numbers + bytes(-len(numbers) % 32)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(all_tensors), len(keys)) + b"".join(keys) + infos
    return head + bytes(-len(head) % 32) + data


def importance():
    """Of a model of one layer: 4 wide, 3 in the middle."""
    keys = [pair("general.type", 8, text("imatrix"))]
    keys.append(pair("imatrix.datasets", 9, struct.pack("<IQ", 8, 1) + text("a")))
    keys += [pair("imatrix." + key, 4, struct.pack("<I", 9)) for key in ("chunk_count", "chunk_size")]
    widths = {"attn_q": 4, "attn_k": 4, "attn_v": 4, "attn_output": 4, "ffn_gate": 4, "ffn_up": 4,
              "ffn_down": 3}  # fmt: skip
    infos, data = b"", b""
    for name, width in widths.items():
        for ending, count in ("in_sum2", width), ("counts", 1):
            name_there = f"blk.0.{name}.weight.{ending}"
            infos += text(name_there) + struct.pack("<IQQIQ", 2, count, 1, 0, len(data))
            data += struct.pack("<f", 2.5) * count
            data += bytes(-len(data) % 32)
    head = struct.pack("<4sIQQ", b"GGUF", 3, 2 * len(widths), len(keys)) + b"".join(keys) + infos
    return head + bytes(-len(head) % 32) + data


with open(os.path.join(HERE, "corpus", "gguf-importance"), "wb") as file:
    file.write(bytes([KIND]) + importance())
for name, kind in TYPES.items():
    with open(os.path.join(HERE, "corpus", "gguf-" + name), "wb") as file:
        file.write(bytes([KIND]) + file_of(*kind))
