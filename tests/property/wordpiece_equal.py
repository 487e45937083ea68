"""WordPiece tokenizers beside Hugging Face's tokenizers package: ids, types of pairs, decoded texts
and streams equal.

    python tests/property/wordpiece_equal.py [strings]        100,000 by default

KD_MINILM names a folder made by bench/minilm.py, KD_DATA the data, KD_WORDNET WordNet's dict
folder; what is not there is left out. Tokenizers with other settings are trained on the data's
texts. All words of each vocabulary, random strings, the data's texts line by line, WordNet's
glosses; of words and lines only every n-th for fewer than 100,000 strings."""

import csv
import glob
import gzip
import io
import os
import random
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tokenizers_equal import DATA, compare, random_ids, random_string, stream  # noqa: E402

import tokenizers  # noqa: E402
from tokenizers import (  # noqa: E402
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

import kdistill  # noqa: E402

WORDS = [
    "don't",
    "do not",
    "[MASK]",
    "[CLS]",
    " [SEP] ",
    "word",
    "##ing",
    "x" * 101,
    "\u00e9" * 100,
    "\u4f60\u597d",
    "\u200b",
    "\ufffd",
    "\u0130stanbul",
    "\u00df",
    "a\u0308\u0323",
    "\x00",
    "\x85",
    "\u3000",
    "$1,000.00",
]


def trained(texts, normalizer, post, **how):
    made = Tokenizer(models.WordPiece(unk_token="[UNK]", **how))
    made.normalizer, made.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
    prefix = how.get("continuing_subword_prefix", "##")
    made.decoder = decoders.WordPiece(prefix, cleanup=len(prefix) == 2)
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=4000,
        special_tokens=specials,
        show_progress=False,
        continuing_subword_prefix=prefix,
    )
    made.train_from_iterator(texts, trainer)
    made.add_tokens([AddedToken("word", single_word=True), AddedToken("<L>", lstrip=True)])
    made.post_processor = post
    return made


def families(texts):
    bert = normalizers.BertNormalizer
    cls, sep = ("[CLS]", 2), ("[SEP]", 3)
    template = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[cls, sep],
    )
    plain = normalizers.Sequence(
        [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]
    )
    yield "uncased", trained(texts, bert(), template)
    yield "cased", trained(texts, bert(lowercase=False), processors.BertProcessing(sep, cls))
    yield "accents stay", trained(texts, bert(strip_accents=False), template)
    yield "as it is", trained(texts, bert(False, False, True, False), None)
    yield (
        "RoBERTa's pairs",
        trained(
            texts,
            normalizers.Sequence([normalizers.NFKC(), bert(handle_chinese_chars=False)]),
            processors.RobertaProcessing(sep, cls, trim_offsets=False),
        ),
    )
    yield (
        "short words",
        trained(texts, plain, template, continuing_subword_prefix="_", max_input_chars_per_word=6),
    )


def pairs(name, ours, theirs, first, second):
    for special in (True, False):
        right = theirs.encode(first, second, add_special_tokens=special)
        ids, types = ours.encode_pair(first, second, special)
        if (ids.tolist(), types.tolist()) != (right.ids, right.type_ids):
            sys.exit(f"{name}: pair {first!r}, {second!r}, special {special}: {ids} {types}")


def random_text(rng):
    """Half of the strings hold what these tokenizers treat in their own way."""
    text = random_string(rng)
    for _ in range(rng.randint(0, 3)):
        at = rng.randint(0, len(text))
        text = text[:at] + rng.choice(["", " "]) + rng.choice(WORDS) + text[at:]
    return text


def words(name, ours, theirs, step):
    """Every token, by steps: as a text, as an id, and its bytes as it is decoded within a text."""
    begin = ours.encode(".").tolist()
    for number in range(0, len(ours), step):
        text, flags = ours.token(number)
        compare(name, ours, theirs, text)
        compare(name, ours, theirs, "un" + text.removeprefix("##"))
        if flags & kdistill.TokenFlag.ADDED:
            continue
        if text != theirs.id_to_token(number):
            sys.exit(f"{name}: token {number} is {text!r}")
        both = theirs.decode([*begin, number], skip_special_tokens=False)
        if "." + ours.token_bytes(number)[0].decode() != both:
            sys.exit(f"{name}: token {number} stands for {ours.token_bytes(number)}, {both!r}")
    return len(range(0, len(ours), step))


def file_text(path):
    data = gzip.open(path).read() if path.endswith(".gz") else open(path, "rb").read()
    return data.decode(errors="replace")


def data_lines():
    for path in sorted(glob.glob(os.path.join(DATA, "text", "**"), recursive=True)):
        if not os.path.isfile(path):
            continue
        if path.endswith(".csv"):
            yield from (cell for row in csv.reader(io.StringIO(file_text(path))) for cell in row)
        else:
            yield from file_text(path).split("\n")


def glosses():
    for path in sorted(glob.glob(os.path.join(os.environ.get("KD_WORDNET", "-"), "data.*"))):
        for line in file_text(path).split("\n"):
            yield line.partition(" | ")[2]


def lines_agree(name, ours, theirs, lines):
    """Ids and types of each line, alone and with the next."""
    right = theirs.encode_batch(list(zip(lines, lines[1:] + lines[:1])))
    alone = theirs.encode_batch(lines)
    for i, line in enumerate(lines):
        second = lines[(i + 1) % len(lines)]
        ids, types = ours.encode_pair(line, second)
        if (ids.tolist(), types.tolist()) != (right[i].ids, right[i].type_ids):
            sys.exit(f"{name}: pair {line!r}, {second!r}: {ids.tolist()} {types.tolist()}")
        if ours.encode(line, True).tolist() != alone[i].ids:
            sys.exit(f"{name}: {line!r}")
        if ours.decode(alone[i].ids) != theirs.decode(alone[i].ids, skip_special_tokens=False):
            sys.exit(f"{name}: {line!r} decoded")


def opened(context, work, lines):
    """(name, ours, theirs) of each."""
    made, path = [], os.path.join(work, "tokenizer.json")
    for name, theirs in families(lines):
        theirs.save(path)
        made.append((name, kdistill.Tokenizer(context, path), theirs))
    if os.environ.get("KD_MINILM"):
        path = os.path.join(os.environ["KD_MINILM"], "tokenizer.json")
        theirs = Tokenizer.from_file(path)
        theirs.no_truncation()
        theirs.no_padding()
        made.append(("MiniLM", kdistill.Tokenizer(context, os.environ["KD_MINILM"]), theirs))
    return made


def main():
    if not os.path.isdir(os.path.join(DATA, "text")):
        return print("SKIPPED (wordpiece_equal: KD_DATA is not set)")
    strings = int(sys.argv[1]) if len(sys.argv) > 1 else 100000
    rng, lines, told = random.Random(11), list(data_lines()), list(glosses())
    context, step = kdistill.Context(threads=1), max(1, 100000 // max(1, strings))
    with tempfile.TemporaryDirectory() as work:
        all_of_them = opened(context, work, lines[::7])
    vocabulary = sum(words(*each, step) for each in all_of_them)
    for number in range(strings):
        name, ours, theirs = all_of_them[number % len(all_of_them)]
        text = random_text(rng)
        ids, decoded = compare(name, ours, theirs, text)
        pairs(name, ours, theirs, text, random_text(rng))
        if number % 4 == 0:
            stream(name, ours, ids, decoded)
            random_ids(rng, ours, theirs, name)
    texts = [text[::step] for text in (lines, told)]
    for name, ours, theirs in all_of_them[-1:] + all_of_them[:1]:
        for chosen in texts:
            lines_agree(name, ours, theirs, chosen)
    print(
        f"WordPiece beside tokenizers {tokenizers.__version__}: {vocabulary} words and {strings} "
        f"random strings and pairs with {', '.join(name for name, *_ in all_of_them)}; "
        f"{len(texts[0])} lines of the data and {len(texts[1])} glosses agreed"
    )


main()
