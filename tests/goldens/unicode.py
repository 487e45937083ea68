"""Makes src/language/text/unicode_tables.h by asking Hugging Face's tokenizers package, whose
Unicode version decides what a tokenizer does.

    python tests/goldens/unicode.py > src/language/text/unicode_tables.h

Categories and classes come from its regular expressions, decompositions, compositions and combining
classes from its normalizers (a mark's class is found by the order that NFD gives it beside marks of
known classes)."""

import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

CATEGORIES = (
    "Cn Co Cc Cf Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp".split()
)
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TEXT = "".join(map(chr, POINTS))


def members(pattern):
    left = pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(TEXT)
    return set(POINTS) - {ord(c) for piece, _ in left for c in piece}


def values():
    value = [0] * 0x110000
    for number, name in enumerate(CATEGORIES):
        for c in members(r"\p{%s}+" % name):
            value[c] = number
    for c in members(r"\w+"):
        value[c] |= 0x20
    for c in members(r"\s+"):
        value[c] |= 0x40
    for piece, _ in pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str(TEXT):
        if len(piece) == 1:
            value[ord(piece)] |= 0x80
    return value


def digits_are_right(value):
    """A lone character between two digits comes out alone too: asked again one by one."""
    digits = pre_tokenizers.Digits(individual_digits=False)
    for c in POINTS:
        if value[c] & 0x80 and len(digits.pre_tokenize_str("a" + chr(c) + "a")) == 1:
            value[c] &= 0x7F


def bert_classes():
    """What BERT's normalizer and pre-tokenizer, and StripAccents, do with each code point: their
    categories are of another Unicode version than those above."""
    normalize = normalizers.BertNormalizer
    clean, chinese, strip = (
        normalize(*on, lowercase=False).normalize_str
        for on in ((True, False, False), (False, True, False), (False, False, True))
    )
    strip_marks = normalizers.StripAccents().normalize_str
    cut = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    value = [0] * 0x110000
    for c in POINTS:
        text, pieces = chr(c), len(cut("a" + chr(c) + "a"))
        value[c] = (
            (clean(text) == "")
            | (clean(text) == " ") << 1
            | (chinese(text) != text) << 2
            | (strip(text) == "") << 3
            | (pieces == 3) << 4
            | (pieces == 2) << 5
            | (strip_marks(text) == "") << 6
        )
    return value


def runs(value):
    found, last = [], None
    for c in range(0x110000):
        if value[c] != last:
            found.append((c, value[c]))
            last = value[c]
    return found


nfd, nfc, nfkd, lower = (
    normalizers.NFD().normalize_str,
    normalizers.NFC().normalize_str,
    normalizers.NFKD().normalize_str,
    normalizers.Lowercase().normalize_str,
)


def combining_classes():
    low, high = 0x334, 0x345  # classes 1 and 240
    known = lambda c: (
        nfd("a" + chr(c) + chr(low)) == "a" + chr(low) + chr(c) != "a" + chr(c) + chr(low)
        or nfd("a" + chr(high) + chr(c)) == "a" + chr(c) + chr(high)
    )
    reference = {1: low}
    for c in POINTS:
        k = unicodedata.combining(chr(c))
        if k and k not in reference and nfd(chr(c)) == chr(c) and known(c):
            reference[k] = c
    classes = sorted(reference)
    number = {c: k for k, c in reference.items()}
    result = [0] * 0x110000
    for c in POINTS:
        if nfd(chr(c)) != chr(c):
            continue
        if c in number:
            result[c] = number[c]
            continue
        behind_low = nfd("a" + chr(c) + chr(low)) == "a" + chr(low) + chr(c)
        before_high = nfd("a" + chr(high) + chr(c)) == "a" + chr(c) + chr(high)
        if not behind_low and not before_high:
            continue
        # the largest known class whose mark does not move behind c
        at_least = [
            k
            for k in classes
            if nfd("a" + chr(c) + chr(reference[k])) == "a" + chr(reference[k]) + chr(c)
        ]
        at_most = [
            k
            for k in classes
            if nfd("a" + chr(reference[k]) + chr(c)) == "a" + chr(c) + chr(reference[k])
        ]
        exact = [k for k in classes if k not in at_least and k not in at_most]
        assert len(exact) == 1, (hex(c), exact)
        result[c] = exact[0]
    return result


def main():
    value = values()
    digits_are_right(value)
    canonical = {
        c: nfd(chr(c)) for c in POINTS if nfd(chr(c)) != chr(c) and not 0xAC00 <= c < 0xD7A4
    }
    compatible = {c: nfkd(chr(c)) for c in POINTS if nfkd(chr(c)) != nfd(chr(c))}
    pairs = []
    for c, whole in canonical.items():
        if nfc(chr(c)) == chr(c) and len(whole) > 1:
            first = nfc(whole[:-1])
            assert len(first) == 1 and nfc(first + whole[-1]) == chr(c), hex(c)
            pairs.append((ord(first), ord(whole[-1]), c))
    lowered = {c: lower(chr(c)) for c in POINTS if lower(chr(c)) != chr(c)}
    print(
        f"/* Made by tests/goldens/unicode.py from tokenizers {tokenizers.__version__}. "
        "Do not edit. */"
    )
    print("/* clang-format off */")
    table(
        "kd__unicode_runs",
        "uint32_t",
        [f"0x{c << 8 | v:x}" for c, v in runs(value)],
        "first code point << 8 | category | word 0x20 | space 0x40 | number 0x80",
    )
    table(
        "kd__unicode_marks",
        "uint32_t",
        [f"0x{c << 8 | v:x}" for c, v in runs(combining_classes())],
        "first code point << 8 | combining class",
    )
    table(
        "kd__unicode_bert",
        "uint32_t",
        [f"0x{c << 8 | v:x}" for c, v in runs(bert_classes())],
        "first code point << 8 | KD__BERT_REMOVED ..",
    )
    mapping("canonical", canonical)
    mapping("compatible", compatible)
    mapping("lower", lowered)
    table(
        "kd__unicode_pairs",
        "uint32_t",
        [f"0x{a:x},0x{b:x},0x{c:x}" for a, b, c in sorted(pairs)],
        "a, b, what they compose to",
    )
    print("/* clang-format on */")


def table(name, kind, entries, comment):
    print(f"/* {comment} */\nstatic const {kind} {name}[] = {{")
    line = ""
    for entry in entries:
        if len(line) + len(entry) > 148:
            print(line)
            line = ""
        line += entry + ","
    print(line + "\n};")


def mapping(name, found):
    """Runs of at most 32 code points, the length of each one's text, and the texts in a row."""
    pool, lengths, starts, last = [], [], [], None
    for c in sorted(found):
        if last is None or c != last + 1 or len(lengths) - starts[-1][1] == 32:
            starts.append((c, len(lengths), len(pool)))
        pool += [f"0x{ord(x):x}" for x in found[c]]
        lengths.append(str(len(found[c])))
        last = c
    starts.append((0x110000, len(lengths), len(pool)))
    table(
        f"kd__unicode_{name}",
        "kd__unicode_run",
        [f"{{0x{c:x},{entry},{begin}}}" for c, entry, begin in starts],
        "first code point of a run, its first length, its part of the pool; last: the end",
    )
    table(f"kd__unicode_{name}_lengths", "uint8_t", lengths, "code points of each text")
    table(f"kd__unicode_{name}_pool", "uint32_t", pool, "code points")


main()
