"""The generated files agree with C."""

import ctypes
import os
import subprocess
import sys
import tempfile
import unittest

import kdistill as kd
from kdistill import _api, enums

from support import PLAIN

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "python"))


def constants():
    """Every constant of C with its number here."""
    found = {key: getattr(enums, kind)[name] for key, (kind, name) in _api.CONSTANTS.items()}
    found.update({key: value for key, value in vars(_api).items() if key.startswith("KD_")})
    return found


def printed(lines):
    """What a C program of these lines prints."""
    head = "#include <kdistill.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void)\n{\n"
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/sizes.c", "w") as file:
            file.write(head + "\n".join(lines) + "\nreturn 0;\n}\n")
        program, compiler = folder + "/sizes", os.environ.get("CC", "cc")
        words = [compiler, "-I", ROOT + "/include", program + ".c", "-o", program]
        subprocess.run(words, check=True)
        made = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return dict(line.split(" ", 1) for line in made.splitlines())


class BindingTest(unittest.TestCase):
    def test_generated_files_are_up_to_date(self):
        import generate

        for name, text in generate.package_files().items():
            with open(os.path.join(os.path.dirname(kd.__file__), name), encoding="utf-8") as file:
                self.assertEqual(file.read(), text, f"{name}: run python3 python/generate.py")

    def test_constants_are_cs(self):
        found = printed([f'printf("{n} %lld\\n", (long long){n});' for n in constants()])
        self.assertEqual({n: int(v) for n, v in found.items()}, constants())

    def test_structs_have_cs_sizes_and_offsets(self):
        lines, expected = [], {}
        for struct in _api.STRUCTS:
            name, fields = struct.__name__, [field[0] for field in struct._fields_]
            places = ", ".join(f"offsetof({name}, {field})" for field in fields)
            form = " ".join(["%zu"] * (len(fields) + 1))
            lines.append(f'printf("{name} {form}\\n", sizeof({name}), {places});')
            numbers = [ctypes.sizeof(struct), *(getattr(struct, f).offset for f in fields)]
            expected[name] = " ".join(map(str, numbers))
        self.assertEqual(printed(lines), expected)

    def test_null_handles_are_refused(self):
        """Every function that returns a status, with nothing but NULL and 0."""
        may_succeed = {"kd_version", "kd_set_error", "kd_optimizer_bounds", "kd_loss_bounds"}
        names = ["int32", "int64", "uint32", "uint64", "size_t", "double", "float"]
        numbers = {getattr(_api, "c_" + name) for name in names}
        for name, (result, arguments) in _api.FUNCTIONS.items():
            status = PLAIN[name](*[0 if a in numbers else None for a in arguments])
            if result is _api.c_int32 and name not in may_succeed:
                self.assertLess(status, 0, name)


if __name__ == "__main__":
    unittest.main()
