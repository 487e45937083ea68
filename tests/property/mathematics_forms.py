"""A reference answer in other forms that are right, and changed so that it is wrong: by kind, each
a function that gives the texts, none where the kind does not apply."""

import re


def is_whole(a):
    return re.fullmatch(r"-?\d+", a)


def is_positive(a):
    return re.fullmatch(r"[\d.]+", a) and float(a) > 0


def of_fraction(a, *forms):
    """{s}: the sign, {n} and {d}: above and below the bar."""
    found = re.fullmatch(r"(-?)\\d?frac\{(\d+)\}\{(\d+)\}", a)
    if not found:
        return []
    sign, top, bottom = found[1], int(found[2]), int(found[3])
    return [
        form.format(s=sign, n=top, d=bottom, n2=2 * top, d2=2 * bottom, x=top / bottom)
        for form in forms
    ]


def spaced(a):
    if "\\!" in a or "\\text" in a:
        return []
    return [re.sub(r"(?<!\d)([+=,])|([+=,])(?!\d)", r" \g<0> ", a)]


def over(a):
    if re.search(r"\d\s*\\d?frac", a):
        return []
    return [re.sub(r"\\d?frac\{(\w+)\}\{(\w+)\}", r"{\1 \\over \2}", a)]


def thousands(a, sign):
    return [f"{int(a):,}".replace(",", sign)] if is_whole(a) and abs(int(a)) >= 1000 else []


FULL_WIDTH = {ord("0") + digit: chr(0xFF10 + digit) for digit in range(10)}

RIGHT = {
    "in a box": lambda a: ["\\boxed{" + a + "}", "\\fbox{" + a + "}"],
    "between signs of a formula": lambda a: ["$" + a + "$"],
    "after a mark": lambda a: [
        f"The answer is {a}",
        f"The answer is ${a}$.",
        f"So the final answer is \\({a}\\)",
    ],
    "after a thought": lambda a: ["<think>\\boxed{0}</think>So it is \\boxed{" + a + "}."],
    "after another box": lambda a: ["At first \\boxed{0}. Checked again: \\boxed{" + a + "}"],
    "`\\dfrac`": lambda a: [a.replace("\\frac", "\\dfrac")],
    "`\\over`": over,
    "a fraction with a slash": lambda a: (
        [re.sub(r"(?<![\w ])\\frac\{(\w+)\}\{(\w+)\}", r"{\1}/{\2}", a)]
        + of_fraction(a, "{s}{n}/{d}")
    ),
    "an expanded fraction": lambda a: of_fraction(a, "{s}\\frac{{{n2}}}{{{d2}}}"),
    "a decimal fraction": lambda a: of_fraction(a, "{s}{x:.12f}"),
    "`\\left`, `\\right`": lambda a: [a.replace("(", "\\left(").replace(")", "\\right)")],
    "spaces around signs": spaced,
    "braces around pi": lambda a: [a.replace("\\pi", "{\\pi}")],
    "`x =` in front": lambda a: ["x = " + a] if is_whole(a) else [],
    "a decimal zero": lambda a: [a + ".0"] if is_whole(a) else [],
    "a unit": lambda a: [a + "\\text{ cm}"] if is_whole(a) else [],
    "a sum": lambda a: [f"{int(a) - 1} + 1"] if is_whole(a) else [],
    "the square of a root": lambda a: (
        ["\\sqrt{%d}" % int(a) ** 2] if re.fullmatch(r"\d{1,6}", a) else []
    ),
    "full-width digits": lambda a: [a.translate(FULL_WIDTH)] if is_whole(a) else [],
    "Unicode minus": lambda a: [a.replace("-", "\u2212")],
    "TeX's thousands": lambda a: thousands(a, "{,}"),
    "spaces of thousands": lambda a: thousands(a, "\\,") + thousands(a, "\u202f"),
}

# For KD_VERIFY_NUMBER.
SAID = {
    "a number in a sentence": lambda a: (
        [f"It comes to {a} in the end.", f"So 3 friends share them, and each has {a} apples."]
        if is_whole(a)
        else []
    ),
}


def other_digits(a):
    for digit in re.finditer(r"\d", re.sub(r"\\(mbox|text)\{.*", "", a)):
        yield a[: digit.start()] + str((int(digit.group()) + 1) % 10) + a[digit.end() :]


def of_positive(form):
    return lambda a: [form.replace("@", a)] if is_positive(a) else []


def other_brackets(a):
    return ["[" + a[1:], a[:-1] + "]"] if re.fullmatch(r"\(.*,.*\)", a) else []


WRONG = {
    "another digit": other_digits,
    "the other sign": of_positive("-@"),
    "plus-minus": of_positive("\\pm @"),
    "times a root": of_positive("@\\sqrt{2}"),
    "times a letter": of_positive("@x"),
    "times pi": of_positive("@\\pi"),
    "a pair": of_positive("(@, @)"),
    "its square": lambda a: [] if a in ("0", "1") else of_positive("@^2")(a),
    "one more in a long number": lambda a: [f"{a}0000000001"] if is_whole(a) else [],
    "a part in a million more": lambda a: [f"{a}.000001"] if is_whole(a) else [],
    "the other bracket": other_brackets,
    "a box left open": of_positive("\\boxed{@"),
    "a thought left open": of_positive("<think>@"),
}


def forms(kinds, a):
    for kind, change in kinds.items():
        for text in change(a):
            yield kind, text
