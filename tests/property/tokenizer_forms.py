"""Random tokenizer.json files beside the tokenizers package: encoded and decoded the same, or
refused by name:
    python tests/property/tokenizer_forms.py [pairs of file and text] [seed]
"""

import json
import os
import random
import re
import sys
import tempfile
from functools import partial

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
from tokenizers import Tokenizer  # noqa: E402

import kdistill  # noqa: E402

TEXTS = 20  # a file
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
PATTERNS = [
    r"\s+",
    r"\d",
    r"\p{L}+|\s",
    r"a*",
    r"\b",
    r"(?=o)",
    r"\w+|[^\w\s]+",
    r"l|ll",
    r"$",
    r"[\r\n]",
    r"(?<!l)o",
    r"\s+(?!\S)|\s+",
]
BYTES = [b for b in range(33, 127)] + [b for b in range(161, 173)] + [b for b in range(174, 256)]
ALPHABET = [chr(b) for b in BYTES] + [chr(256 + n) for n in range(256 - len(BYTES))]
WORDS = [
    "hello",
    "lol",
    "o",
    "ab",
    "aab",
    " ",
    "  ",
    "\n",
    "42",
    "7",
    "\u00e9",
    "e\u0301",
    "\ufb01",
    "\u2581",
    ".",
    "!?",
    "<s>",
    "<x>",
    "mark",
    "MARK",
    "\U0001f600",
    "\u4eca",
    "A",
    "Hello",
    "_",
    "\u0130",
    "\t",
    " <x>",
    "<s> ",
    "\n\n",
    "\u200d",
    "\u2167",
    "\u24d0",
    "\u0345",
    "\u0301",
    "q\u0307\u0323",
    "\u1100\u1161\u11a8",
    "\u00a0",
    "\u0085",
    "\0",
    "\u01c5",
    "\u1e9b\u0323",
    "\uac00",
    "\u0f73",
    "\r\n",
    "<0x41>",
    "\u03a3",
    "ab's",
    "##ab",
    "\u0e01\u0e34",
    "\ufffd",
    "\u4e00\u0301",
    "\uf900",
    "\x01\u0323",
    "\u0488",
    "\u0903",
    "n't",
    "\u00bf?",
    "$+",
    "\u1df7\u0301",
]
ADDED = [
    "<s>",
    "<x>",
    "mark",
    "MARK",
    "ab",
    "<s><x>",
    "\u00e9",
    " ",
    "  ",
    "\n",
    "\t",
    "lo",
    "<0x41>",
    "e\u0301",
    "o ",
    " <x>",
    "\u2581",
    "\u2167",
    "<unk>",
    "\0",
]


def chance(rng, probability):
    return rng.random() < probability


def typed(kind, **members):
    return {"type": kind, **members}


def wrapped(rng, kind, name, chosen):
    """One step, or a Sequence, which may stand in another one."""
    if not chosen:
        return None
    if len(chosen) == 1 and chance(rng, 0.5):
        return chosen[0]
    made = typed(kind, **{name: chosen})
    return typed(kind, **{name: [made]}) if chance(rng, 0.1) else made


def bert_normalizer(rng):
    names = "clean_text", "handle_chinese_chars", "lowercase"
    return typed(
        "BertNormalizer",
        strip_accents=rng.choice([None, None, True, False]),
        **{name: chance(rng, 0.6) for name in names},
    )


def normalizer(rng):
    simple = [typed(n) for n in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase")]
    simple += [
        typed("Strip", strip_left=chance(rng, 0.5), strip_right=chance(rng, 0.5)),
        typed("Prepend", prepend=rng.choice(["\u2581", "ab", "e"])),
        typed("Replace", pattern={"String": " "}, content="\u2581"),
        typed(
            "Replace",
            pattern={"Regex": rng.choice([r"l+", r"\d", r"\s{2,}", r"^\s*", r"o$"])},
            content=rng.choice(["", "o", "ab", " "]),
        ),
        typed(
            "Replace",
            pattern={"String": rng.choice(["lo", "<s>", ".", "\u00e9"])},
            content=rng.choice(["", "l", "\u0301"]),
        ),
    ]
    simple += [typed("StripAccents"), bert_normalizer(rng), bert_normalizer(rng)]
    if chance(rng, 0.02):
        simple = [typed("Nmt"), typed("ByteLevel"), typed("Lowercase")]
    return wrapped(rng, "Sequence", "normalizers", rng.sample(simple, rng.randint(0, 3)))


def cut(rng):
    kind = rng.randint(0, 6)
    if kind == 6:
        return typed("BertPreTokenizer")
    if kind == 0:
        pattern = (
            {"Regex": rng.choice(PATTERNS)}
            if chance(rng, 0.7)
            else {"String": rng.choice(["l", "lo", " ", "4", ""])}
        )
        return typed(
            "Split", pattern=pattern, behavior=rng.choice(BEHAVIORS), invert=chance(rng, 0.4)
        )
    if kind == 1:
        return typed("Digits", individual_digits=chance(rng, 0.5))
    if kind == 2:
        return typed("Punctuation", behavior=rng.choice(BEHAVIORS))
    if kind == 3:
        return typed(
            "Metaspace",
            replacement=rng.choice(["\u2581", "\u2581", "_"]),
            prepend_scheme=rng.choice(["always", "first", "never"]),
            split=chance(rng, 0.5),
        )
    if chance(rng, 0.05):
        return rng.choice(
            [
                typed("UnicodeScripts"),
                typed("CharDelimiterSplit", delimiter="l"),
                typed("FixedLength", length=3),
            ]
        )
    return typed(rng.choice(["Whitespace", "WhitespaceSplit"]))


def cuts(rng, bytes_):
    chosen = [cut(rng) for _ in range(rng.randint(0, 3))]
    if bytes_:
        chosen.append(
            typed(
                "ByteLevel",
                add_prefix_space=chance(rng, 0.4),
                trim_offsets=True,
                use_regex=chance(rng, 0.5),
            )
        )
        if chance(rng, 0.03):
            chosen.append(cut(rng))
    return wrapped(rng, "Sequence", "pretokenizers", chosen)


def decoder(rng, bytes_):
    if chance(rng, 0.03):
        return rng.choice(
            [
                typed("BPEDecoder", suffix="</w>"),
                typed("CTC", pad_token="<pad>", word_delimiter_token="|", cleanup=True),
            ]
        )
    if bytes_:
        level = typed("ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True)
        return rng.choice(
            [level, level, typed("Sequence", decoders=[typed("ByteFallback"), level])]
        )
    replace, fallback, fuse = (
        typed("Replace", pattern={"String": "\u2581"}, content=" "),
        typed("ByteFallback"),
        typed("Fuse"),
    )
    strip = typed(
        "Strip", content=" ", start=rng.randint(0, 2), stop=0
    )  # the package ends the process on a stop and an empty token
    space = typed(
        "Metaspace",
        replacement="\u2581",
        prepend_scheme=rng.choice(["always", "first", "never"]),
        split=True,
    )
    digit = typed("Replace", pattern={"Regex": r"\d"}, content="#")
    word = typed("WordPiece", prefix=rng.choice(["##", "##", "", "l"]), cleanup=chance(rng, 0.5))
    return rng.choice(
        [
            None,
            word,
            word,
            typed("Sequence", decoders=[replace, word]),
            space,
            typed("Sequence", decoders=[replace, fallback, fuse, strip]),
            fallback,
            typed("Sequence", decoders=[fallback, space]),
            typed("Sequence", decoders=[digit, fuse]),
        ]
    )


def numbered(rng, tokens):
    """A vocabulary with ids in their order, in another one, or with gaps."""
    ids = list(range(len(tokens)))
    if chance(rng, 0.1):
        rng.shuffle(ids)
    if chance(rng, 0.1):
        ids = [i + i // 7 for i in ids]
    return dict(zip(tokens, ids))


def word_model(rng):
    """A WordPiece model; some of its words end where nothing continues them."""
    prefix = rng.choice(["##", "##", "##", "", "\u2581", "a"])
    tokens = ["<unk>"] * chance(rng, 0.95)
    tokens += rng.sample(
        [*"abehlo4A.!?,'", "ab", "aab", "hello", "he", "lol", "e\u0301", "\u00e9", "n", "do", "not"]
        + ["\u4eca", "\U0001f600", "\u2581", " ", "n't", "'", "s", "", "hell", "x" * 60],
        20,
    )
    tokens += [prefix + part for part in [*"abehlo42.\u0301", "lo", "ab", "lol", "\u03c3", ""]]
    return typed(
        "WordPiece",
        unk_token="<unk>",
        continuing_subword_prefix=prefix,
        max_input_chars_per_word=rng.choice([100, 100, 5, 0, 1000]),
        vocab=numbered(rng, list(dict.fromkeys(tokens))),
    )


def model(rng, bytes_):
    base = list(ALPHABET) if bytes_ else list("abehlo4A.\u2581") + [" "] * chance(rng, 0.5)
    byte_fallback, space = chance(rng, 0.5), "\u0120" if bytes_ else "\u2581"
    if bytes_ and chance(rng, 0.3):
        base = [c for c in base if chance(rng, 0.8)]
    tokens = ["<unk>"] + base
    if byte_fallback:
        tokens += [f"<0x{b:02X}>" for b in range(256) if b != 0xC3 or chance(rng, 0.8)]
    merges = []
    for left, right in [
        ("l", "l"),
        ("h", "e"),
        ("ll", "o"),
        ("he", "llo"),
        ("a", "a"),
        ("a", "b"),
        (space, "he"),
        (space, "a"),
        (space, space),
    ]:
        if chance(rng, 0.7) and left in tokens and right in tokens:
            tokens += [left + right] * (left + right not in tokens)
            merges.append([left, right])
    if chance(rng, 0.1):
        merges += merges[:2]
    if chance(rng, 0.2):
        merges = [" ".join(m) for m in merges]
    tokens += [
        word for word in ("hello", "lol", "4" + "2") if word not in tokens and chance(rng, 0.2)
    ]
    return typed(
        "BPE",
        dropout=None,
        unk_token=rng.choice([None, "<unk>", "<unk>", "<nope>" if chance(rng, 0.2) else None]),
        continuing_subword_prefix=None,
        end_of_word_suffix=None,
        fuse_unk=chance(rng, 0.5),
        byte_fallback=byte_fallback,
        ignore_merges=chance(rng, 0.3),
        vocab=numbered(rng, tokens),
        merges=merges,
    )


def added(rng, vocabulary):
    made, chosen = [], rng.sample(ADDED, rng.randint(0, 5))
    free = len(vocabulary)
    for content in chosen:
        known = vocabulary.get(content)
        made.append(
            {
                "id": free if known is None else known,
                "content": content,
                **{
                    name: chance(rng, 0.3)
                    for name in ("single_word", "lstrip", "rstrip", "normalized", "special")
                },
            }
        )
        free += known is None
    if made and chance(rng, 0.04):
        made.append({**rng.choice(made), "id": free, "content": ""})
    if made and chance(rng, 0.04):
        made.append(dict(rng.choice(made)))
    if made and chance(rng, 0.02):
        made.append(
            {
                **rng.choice(made),
                **{name: chance(rng, 0.5) for name in ("rstrip", "normalized", "special")},
            }
        )
    if made and chance(rng, 0.02):
        made[-1]["id"] += rng.randint(1, 3)
    if chance(rng, 0.02):
        rng.shuffle(made)
    return made


def around(rng, tokens):
    """A post-processor with these tokens, (text, id)."""
    one, two = rng.choice(tokens), rng.choice(tokens)
    special = {text: {"id": text, "ids": [number], "tokens": [text]} for text, number in (one, two)}
    piece, text = (
        [{"SpecialToken": {"id": token, "type_id": 0}} for token, _ in (one, two)],
        {"Sequence": {"id": "A", "type_id": 0}},
    )
    other = {"Sequence": {"id": "B", "type_id": rng.randint(0, 3)}}
    last = {"SpecialToken": {"id": two[0], "type_id": rng.randint(0, 3)}}
    special[two[0]]["ids"] *= rng.choice([1, 1, 1, 2])
    special[two[0]]["tokens"] *= len(special[two[0]]["ids"])
    template = typed(
        "TemplateProcessing",
        single=rng.choice(
            [
                [piece[0], text],
                [text, piece[1]],
                [piece[0], text, piece[1]],
                [piece[0], piece[1], text],
            ]
        ),
        pair=rng.choice(
            [
                [text, other],
                [other, piece[1], text],
                [piece[0], text, piece[1], other, last],
                [piece[0], text, last, last, other],
            ]
        ),
        special_tokens=special,
    )
    level = typed("ByteLevel", add_prefix_space=True, trim_offsets=False, use_regex=True)
    return rng.choice(
        [
            None,
            level,
            template,
            typed("Sequence", processors=[level, template]),
            typed("BertProcessing", sep=list(two), cls=list(one)),
            typed(
                "RobertaProcessing",
                sep=list(two),
                cls=list(one),
                trim_offsets=True,
                add_prefix_space=True,
            ),
        ]
    )


TRUNCATION = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    "strategy": {"Fixed": 30},
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "<unk>",
}


def told(rng, part):
    """Cutting and padding are not applied."""
    return part if chance(rng, 0.1) else None


def make_file(rng):
    bytes_ = chance(rng, 0.4)
    made = word_model(rng) if not bytes_ and chance(rng, 0.6) else model(rng, bytes_)
    tokens = added(rng, made["vocab"])
    return {
        "version": "1.0",
        "truncation": told(rng, TRUNCATION),
        "padding": told(rng, PADDING),
        "added_tokens": tokens,
        "normalizer": normalizer(rng),
        "pre_tokenizer": cuts(rng, bytes_),
        "post_processor": around(rng, list(made["vocab"].items())),
        "decoder": decoder(rng, bytes_),
        "model": made,
    }


def shown(made):
    return json.dumps(
        {**made, "model": {**made["model"], "vocab": len(made["model"]["vocab"])}},
        ensure_ascii=False,
    )


def attempt(call):
    """What a call gives, or None where it fails: panics of the package are no Exceptions."""
    try:
        return call()
    except KeyboardInterrupt:
        raise
    except BaseException:
        return None


def differ(made, given, ours, theirs):
    print(f"{shown(made)}\n{given!r}\n  ours   {ours!r}\n  theirs {theirs!r}")
    sys.exit(1)


def unless_refused(call):
    """None: refused by name."""
    try:
        return call()
    except kdistill.Error as error:
        return None if "KD_ERR_UNSUPPORTED" in str(error) else str(error)


def encode(ours, text, special):
    return unless_refused(lambda: ours.encode(text, special).tolist())


def encode_pair(ours, first, second, special):
    def both():
        ids, types = ours.encode_pair(first, second, special)
        return ids.tolist(), types.tolist()

    return unless_refused(both)


def compare(made, ours, theirs, text):
    """1: the package reads the text, and so do we."""
    for special in (True, False):
        ids, right = (
            encode(ours, text, special),
            attempt(lambda: theirs.encode(text, add_special_tokens=special).ids),
        )
        if right is None or ids is None:
            return 0
        if ids != right:
            differ(made, text, ids, right)
    check_ends(made, ours, theirs, text, ids)
    check_pairs(made, ours, theirs, text)
    check_decoding(made, ours, theirs, ids)
    check_decoding(made, ours, theirs, random.Random(text).choices(range(len(ours)), k=6))
    return 1


def check_pairs(made, ours, theirs, text):
    """The text's two halves, and the text with itself and with nothing."""
    middle = len(text) // 2
    for first, second in [(text[:middle], text[middle:]), (text, text), (text, ""), (text, None)]:
        for special in (True, False):
            right = attempt(partial(theirs.encode, first, second, add_special_tokens=special))
            found = encode_pair(ours, first, second, special) if right else None
            if found and found != (right.ids, right.type_ids):
                differ(made, (first, second, special), found, (right.ids, right.type_ids))


def check_decoding(made, ours, theirs, ids):
    check_stream(made, ours, ids)
    for skip in (False, True):
        right = attempt(lambda: theirs.decode(ids, skip_special_tokens=skip))
        if right is not None and ours.decode(ids, skip) != right:
            differ(made, ids, ours.decode(ids, skip), right)


def check_ends(made, ours, theirs, text, ids):
    """Ends never fall and stay in the text; those of a file without a normalizer are the package's,
    but for what tokenizer.h says: parts of a character end at their own byte, and what is put in
    where the text before it does. The package's are too small after characters that the vocabulary
    lacks, and RoBERTa's leave white space out."""
    data = text.encode()
    traced, ends = ours.encode_ends(text)
    right = [
        len(text[:end].encode()) for _, end in theirs.encode(text, add_special_tokens=False).offsets
    ]
    if traced.tolist() != ids or any(a > b for a, b in zip([0, *ends], [*ends, len(data)])):
        differ(made, text, (traced.tolist(), ends.tolist()), (ids, len(data)))
    unknown = made["model"]["vocab"].get(made["model"]["unk_token"])
    trims = (made["post_processor"] or {}).get("type") == "RobertaProcessing"
    plain = made["normalizer"] is None and not trims and unknown is not None and unknown not in ids
    for i, (end, other) in enumerate(zip(ends.tolist(), right)):
        inside = (
            end < other
            and len(data[:other].decode()) - len(data[:end].decode(errors="ignore")) == 1
        )
        put_in = end == (ends[i - 1] if i else 0)
        if plain and end != other and not inside and not put_in:
            differ(made, text, (traced.tolist(), ends.tolist()), right)


def check_stream(made, ours, ids):
    """Token by token comes the text of all."""
    push = kdistill.Detokenizer(ours)
    pieces = attempt(lambda: "".join(push.push(number) for number in ids) + push.finish())
    if pieces != ours.decode(ids):
        differ(made, ids, pieces, ours.decode(ids))


def kind(message):
    """A message without the names and numbers in it."""
    message = re.sub(r"^(KD_\w+: )?(\S*tokenizer\S*: )*", "", message)
    message = re.sub(
        "(added token|that of token|once normalized:) .*?(?= has the id| is there|$)",
        r"\1 ..",
        message,
        flags=re.DOTALL,
    )
    return re.sub(r"\d+", "..", message)


def check(ctx, rng, path):
    """How many pairs were alike, and what was refused."""
    made = make_file(rng)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(made, file)
    theirs = attempt(lambda: Tokenizer.from_str(json.dumps(made)))
    if theirs:
        theirs.no_truncation()
        theirs.no_padding()
    try:
        ours = kdistill.Tokenizer(ctx, path)
    except kdistill.Error as error:
        return 0, kind(str(error)) if theirs else None
    if theirs is None:
        return 0, None
    return sum(
        compare(made, ours, theirs, "".join(rng.choice(WORDS) for _ in range(rng.randint(0, 8))))
        for _ in range(TEXTS)
    ), None


def main():
    sys.stderr = os.fdopen(os.dup(2), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where the package's panics write
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    rng, done, refused = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1), 0, {}
    with kdistill.Context() as ctx, tempfile.TemporaryDirectory() as folder:
        while done < pairs:
            alike, message = check(ctx, rng, os.path.join(folder, "tokenizer.json"))
            done += alike
            if message:
                refused[message] = refused.get(message, 0) + 1
    print(f"tokenizer forms: {done} pairs of file and text alike; files refused:")
    for message, count in sorted(refused.items(), key=lambda item: -item[1]):
        print(f"{count:6} {message}")


main()
