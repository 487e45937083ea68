"""Makes src/language/template/character_tables.h: what Python's str knows of characters (case and
classes).

    python tests/goldens/characters.py > src/language/template/character_tables.h
"""

import unicodedata

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TESTS = [
    str.isalpha,
    str.isdecimal,
    str.isdigit,
    str.isnumeric,
    str.isupper,
    str.islower,
    str.istitle,
    str.isprintable,
]


def class_of(c):
    text = chr(c)
    value = sum(1 << i for i, test in enumerate(TESTS) if test(text))
    if value & 0x70 == 0x50 and unicodedata.category(text) != "Lt":
        value &= (
            ~0x40
        )  # an upper-case letter alone is a title too: the bit is for those of the category Lt
    return value


def runs():
    found, last = [], None
    for c in range(0x110000):
        value = 0 if 0xD800 <= c < 0xE000 else class_of(c)
        if value != last:
            found.append(c << 8 | value)
            last = value
    return found


def case_runs(change):
    """(first, last, step, difference) of runs of single characters, and (character, text) of the
    others."""
    single, several = [], []
    for c in POINTS:
        to = change(chr(c))
        if len(to) > 1:
            several.append((c, to))
        elif ord(to) != c:
            single.append((c, ord(to) - c))
    made = []
    for c, difference in single:
        if made and made[-1][3] == difference:
            first, last, step, _ = made[-1]
            gap = c - last
            if gap <= 2 and (step == gap or first == last):
                made[-1] = [first, c, gap, difference]
                continue
        made.append([c, c, 1, difference])
    return made, several


def rows(values, width):
    return (
        "".join(
            "    " + ", ".join(values[i : i + width]) + ",\n" for i in range(0, len(values), width)
        ).rstrip(",\n")
        + "\n"
    )


def case_tables(name, change):
    single, several = case_runs(change)
    print(f"static const kd__case_run kd__{name}_runs[] = {{")
    print(rows(["{ 0x%x, 0x%x, %d, %d }" % tuple(run) for run in single], 5) + "};")
    print(f"static const kd__case_text kd__{name}_texts[] = {{")
    escape = lambda text: "".join("\\x%02x" % b for b in text.encode())
    print(rows(['{ 0x%x, "%s" }' % (c, escape(text)) for c, text in several], 4) + "};")


print(f"""/* clang-format off */
/* Made by tests/goldens/characters.py with Unicode {unicodedata.unidata_version}:
 * classes and cases of characters as Python has them. */
typedef struct kd__case_run {{
    uint32_t first, last;
    int32_t step, difference;
}} kd__case_run;
typedef struct kd__case_text {{
    uint32_t character;
    const char *text;
}} kd__case_text;
/* A run's first character << 8 | its classes. */
static const uint32_t kd__class_runs[] = {{""")
print(rows(["0x%x" % run for run in runs()], 14) + "};")
for name, change in (("upper", str.upper), ("lower", str.lower), ("title", str.title)):
    case_tables(name, change)
