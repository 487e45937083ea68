"""Ids and texts equal those of Hugging Face's tokenizers on random strings, on the data's texts and
on published vectors.

    python tests/property/tokenizers_equal.py [strings]        100,000 by default; KD_DATA names
        the data

Tokenizers: the data's Qwen3 and TinyStories, and ones that this script trains on the data's text
with the parts of other families' files: GPT-2, Llama 3 (its expression, ignore_merges), Llama 2
(character BPE with byte fallback, Metaspace or Prepend), DeepSeek (several Splits, Digits)."""

import glob
import gzip
import json
import os
import random
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import tokenizers
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

import kdistill

DATA = os.environ.get("KD_DATA", "")
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| "
    r"?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK = [
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| "
    r"?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
]


def byte_level(cut, normalizer=None, post=None, **model):
    made = Tokenizer(models.BPE(**model))
    made.pre_tokenizer, made.decoder = cut, decoders.ByteLevel()
    if normalizer:
        made.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=3000,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|begin|>", "<|end|>"],
        show_progress=False,
    )
    made.train([os.path.join(DATA, "text", "tinyshakespeare.txt")], trainer)
    made.add_tokens(
        [
            AddedToken("word", single_word=True),
            AddedToken("<l>", lstrip=True),
            AddedToken("<r>", rstrip=True, normalized=False),
            AddedToken("<lr>", lstrip=True, rstrip=True),
        ]
    )
    if post:
        made.post_processor = processors.TemplateProcessing(
            single="<|begin|> $A <|end|>", special_tokens=[("<|begin|>", 0), ("<|end|>", 1)]
        )
    return made


def characters(cut=None, normalizer=None, decoder=None):
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    if cut:
        made.pre_tokenizer = cut
    if normalizer:
        made.normalizer = normalizer
    made.decoder = decoder
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=specials, show_progress=False, limit_alphabet=70
    )
    lines = open(os.path.join(DATA, "text", "tinyshakespeare.txt")).read().split("\n")
    made.train_from_iterator(lines[:8000], trainer)
    text = json.loads(made.to_str())  # bytes are no added tokens in such files
    text["added_tokens"] = [t for t in text["added_tokens"] if not t["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(text))


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def families():
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    sequence, byte = pre_tokenizers.Sequence, pre_tokenizers.ByteLevel
    llama2 = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    yield "gpt2", byte_level(byte(add_prefix_space=False))
    yield "gpt2, prefix", byte_level(byte(add_prefix_space=True), post=1)
    yield "llama3", byte_level(sequence([split(LLAMA3), plain]), ignore_merges=True)
    yield (
        "qwen, removed and inverted",
        byte_level(
            sequence([split(LLAMA3.replace("{1,3}", ""), "removed", True), plain]),
            normalizers.NFC(),
        ),
    )
    yield "deepseek", byte_level(sequence([split(p) for p in DEEPSEEK] + [plain]))
    yield (
        "smollm",
        byte_level(
            sequence([pre_tokenizers.Digits(individual_digits=True), byte(add_prefix_space=False)])
        ),
    )
    yield (
        "digits together",
        byte_level(
            sequence(
                [
                    pre_tokenizers.Digits(individual_digits=False),
                    pre_tokenizers.Punctuation("merged_with_next"),
                    plain,
                ]
            )
        ),
    )
    yield (
        "NFKC, lower",
        byte_level(
            sequence([pre_tokenizers.Whitespace(), plain]),
            normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]),
        ),
    )
    yield (
        "NFD, strip",
        byte_level(
            sequence([pre_tokenizers.WhitespaceSplit(), plain]),
            normalizers.Sequence([normalizers.NFD(), normalizers.Strip()]),
        ),
    )
    yield (
        "NFKD, contiguous",
        byte_level(
            sequence(
                [split(r"\p{Lu}+|\d", "contiguous"), split(r"[\s]", "merged_with_previous"), plain]
            ),
            normalizers.NFKD(),
        ),
    )
    yield (
        "llama2, prepend",
        characters(
            None,
            normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
            llama2,
        ),
    )
    for scheme in ("always", "first", "never"):
        yield (
            f"metaspace, {scheme}",
            characters(
                pre_tokenizers.Metaspace("▁", scheme, True),
                None,
                decoders.Metaspace("▁", scheme, True),
            ),
        )
    yield (
        "metaspace, whole",
        characters(pre_tokenizers.Metaspace("▁", "first", False), None, llama2),
    )


def random_string(rng):
    kind, parts = rng.random(), []
    ranges = [
        (32, 127),
        (32, 127),
        (0, 0x250),
        (0x300, 0x370),
        (0x370, 0x600),
        (0x600, 0xE00),
        (0x1100, 0x1200),
        (0x1E00, 0x2C00),
        (0x3040, 0x3200),
        (0x4E00, 0x9FFF),
        (0xAC00, 0xD7A4),
        (0xE000, 0x10000),
        (0x10000, 0x12000),
        (0x1D100, 0x1D800),
        (0x1F300, 0x1FA00),
        (0x20000, 0x30000),
        (0xE0000, 0x110000),
    ]
    words = [
        "don't",
        "we'LL",
        "it'S",
        "'\u017f",
        "word",
        "swords",
        " word ",
        "<l>",
        " <l> x",
        "<r>  y",
        " <lr> ",
        "<|begin|>",
        "<unk>",
        "<s>",
        "<|im_start|>",
        "</s>",
        "1234567",
        "12.5%",
        "\r\n",
        "\n\n \n",
        "\u00a0",
        "\u3000",
        "  ",
        "    ",
        "\t",
        "e\u0301",
        "q\u0323\u0307",
        "\u1100\u1161\u11a8",
        "\ufb01",
        "\u2126",
        "\u0345\u0301",
        "👩‍👩‍👧",
        "🇩🇪",
        "x" * 60,
        " " * 70,
        "_",
        "▁",
        "İ",
        "ſ",
        "K",
    ]
    for _ in range(rng.randint(1, 12)):
        if rng.random() < 0.4:
            parts.append(rng.choice(words))
        else:
            low, high = rng.choice(ranges) if kind > 0.3 else (32, 127)
            parts.append("".join(chr(rng.randrange(low, high)) for _ in range(rng.randint(1, 8))))
    return "".join(c for c in "".join(parts) if not 0xD800 <= ord(c) < 0xE000)


def compare(name, ours, theirs, text, kinds=(False, True)):
    for special in kinds:
        mine, expected = (
            ours.encode(text, special).tolist(),
            theirs.encode(text, add_special_tokens=special).ids,
        )
        if mine != expected:
            sys.exit(
                f"{name}: {text!r}\n  ours   {[ours.token(i)[0] for i in mine]}\n  theirs "
                f"{[theirs.id_to_token(i) for i in expected]}"
            )
    decoded = ours.decode(mine)
    if decoded != theirs.decode(mine, skip_special_tokens=False):
        sys.exit(
            f"{name}: decoding of {text!r}\n  ours   {decoded!r}\n  theirs "
            f"{theirs.decode(mine, skip_special_tokens=False)!r}"
        )
    return mine, decoded


def stream(name, ours, ids, decoded):
    push = kdistill.Detokenizer(ours)
    pieces = [push.push(i) for i in ids]
    if "".join(pieces) + push.finish() != decoded:
        sys.exit(f"{name}: token by token {pieces!r}, at once {decoded!r}")


def random_ids(rng, ours, theirs, name):
    ids = [rng.randrange(len(ours)) for _ in range(rng.randint(1, 12))]
    if ours.decode(ids) != theirs.decode(ids, skip_special_tokens=False):
        sys.exit(
            f"{name}: ids {ids}: {ours.decode(ids)!r} and "
            f"{theirs.decode(ids, skip_special_tokens=False)!r}"
        )
    stream(name, ours, ids, ours.decode(ids))


def data_texts():
    for path in sorted(
        glob.glob(os.path.join(DATA, "text", "*"))
        + glob.glob(os.path.join(DATA, "text", "*", "*"))
        + glob.glob(os.path.join(DATA, "gsm8k", "*"))
    ):
        if os.path.isfile(path):
            yield (
                path,
                (gzip.open(path) if path.endswith(".gz") else open(path, "rb"))
                .read()
                .decode(errors="replace"),
            )


def vectors(ours):
    folder = os.path.join(DATA, "tokenizer", "qwen3")
    texts = (
        open(os.path.join(folder, "vectors.inp"), newline="")
        .read()
        .split("\n__ggml_vocab_test__\n")[:-1]
    )
    lines = open(os.path.join(folder, "vectors.out")).read().split("\n")
    for text, line in zip(texts, lines):
        assert ours.encode(text).tolist() == [int(i) for i in line.split()], text
    return len(texts)


def chats(folder, ours):
    """ChatML as Qwen3's own template writes it: texts and ids."""
    from transformers import AutoTokenizer

    theirs, question = AutoTokenizer.from_pretrained(folder), {"role": "user", "content": "a"}
    talks = [
        [question],
        [
            {"role": "system", "content": "Be brief."},
            question,
            {"role": "assistant", "content": "2"},
            question,
        ],
        [
            question,
            {"role": "assistant", "content": "<think>\nhm\n</think>\n\nb"},
            question,
            {"role": "assistant", "content": "<think>\nso\n</think>\n\nd"},
        ],
        [question, {"role": "assistant", "content": "\n\nx"}],
    ]
    for talk in talks:
        for ask in (0, 1):
            expected = theirs.apply_chat_template(
                talk, tokenize=False, add_generation_prompt=bool(ask)
            )
            how = {"generation_prompt": ask, "keep_reasoning": -1}
            text = kdistill.chat_render(ours, talk, **how)
            ids = kdistill.chat_encode(ours, talk, **how)[0].tolist()
            wanted = theirs(expected, add_special_tokens=False)["input_ids"]
            if text != expected or ids != wanted:
                sys.exit(f"chat {talk}: {text!r}, expected {expected!r}")
    return 2 * len(talks)


def main():
    if not os.path.isdir(os.path.join(DATA, "tokenizer")):
        return print("SKIPPED (tokenizers_equal: KD_DATA is not set)")
    strings = int(sys.argv[1]) if len(sys.argv) > 1 else 100000
    context, rng, count = kdistill.Context(threads=1), random.Random(7), 0
    with tempfile.TemporaryDirectory() as work:
        all_of_them = []
        for name, theirs in families():
            path = os.path.join(work, "tokenizer.json")
            theirs.save(path)
            all_of_them.append((name, kdistill.Tokenizer(context, path), theirs))
        qwen = os.path.join(work, "tokenizer.json")
        open(qwen, "wb").write(
            gzip.open(os.path.join(DATA, "tokenizer", "qwen3", "tokenizer.json.gz")).read()
        )
        shutil.copy(os.path.join(DATA, "tokenizer", "qwen3", "tokenizer_config.json"), work)
        all_of_them.append(("qwen3", kdistill.Tokenizer(context, work), Tokenizer.from_file(qwen)))
        tiny = os.path.join(DATA, "tinystories-656k")
        all_of_them.append(
            (
                "tinystories",
                kdistill.Tokenizer(context, tiny),
                Tokenizer.from_file(os.path.join(tiny, "tokenizer.json")),
            )
        )
        found, talks = vectors(all_of_them[-2][1]), chats(work, all_of_them[-2][1])
        for number in range(strings):
            name, ours, theirs = all_of_them[number % len(all_of_them)]
            ids, decoded = compare(name, ours, theirs, random_string(rng))
            if number % 4 == 0:
                stream(name, ours, ids, decoded)
                random_ids(rng, ours, theirs, name)
            count += 1
        texts = 0
        for path, text in data_texts():
            for name, ours, theirs in all_of_them[-2:]:
                compare(f"{name}, {os.path.basename(path)}", ours, theirs, text, (False,))
            texts += len(text)
    print(
        f"tokenizers {tokenizers.__version__}: {count} random strings with "
        f"{len(all_of_them)} tokenizers, {texts} characters of the data's texts, {found} "
        f"published vectors and {talks} chats agreed"
    )


if __name__ == "__main__":
    main()
