"""docs/room.md compiles: `c` blocks against the public headers alone, `c to come` blocks against
them and the declarations of the page.

python3 tests/gates/room.py [COMPILER]
"""

import re
import subprocess
import sys

PAGE = "docs/room.md"
#: What host code of the page works on.
HANDLES = """
void host_{number}(kd_context *ctx, kd_model *student, kd_teacher *teacher, kd_loss *loss,
                   kd_batch *batch, kd_targets *targets, kd_optimizer *optimizer,
                   kd_checkpoint *checkpoint, kd_generator *generator, kd_schedule *schedule,
                   kd_term_options options, kd_loss_counts counts, kd_loss_result result,
                   kd_array values, int64_t step, int32_t term);
"""


def is_declaration(block):
    return "KD_API" in block


def wrapped(number, block):
    """A block of host code as the body of a function."""
    head = HANDLES.format(number=number)
    return head + head.rstrip().rstrip(";") + "\n{\n" + block + "}\n"


def check(compiler, text):
    flags = "-std=c11 -Iinclude -fsyntax-only -Wall -Werror -Wno-unused -xc -".split()
    made = subprocess.run([compiler, *flags], input=text, text=True, capture_output=True)
    if made.returncode:
        sys.exit(f"{PAGE}: a block does not compile\n{made.stderr}")


def main():
    blocks = re.findall(r"^```(c(?: to come)?)\n(.*?)^```$", open(PAGE).read(), flags=re.M | re.S)
    today = coming = "#include <kdistill.h>\n#include <kdistill/language.h>\n"
    for number, (kind, block) in enumerate(blocks):
        if is_declaration(block):
            coming += block
            continue
        coming += wrapped(number, block)
        if kind == "c":
            today += wrapped(number, block)
    for text in (today, coming):
        check(sys.argv[1] if len(sys.argv) > 1 else "cc", text)
    print(f"room: {len(blocks)} blocks of {PAGE} compile")


main()
