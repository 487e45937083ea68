"""The rules of the package: names of C, real defaults, no circles, documented and typed."""

import ast
import enum
import glob
import inspect
import os
import re
import sys
import unittest

import kdistill as kd
from kdistill import _api

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PACKAGE = os.path.join(ROOT, "python", "kdistill")
sys.path.insert(0, os.path.join(ROOT, "python"))
import reference  # noqa: E402

#: What has another name than the C function that it calls, and why.
OTHER_NAMES = {
    # one call of C tells two things
    "Batch.present": "kd_batch_field",
    "Dataset.present": "kd_dataset_field",
    "Targets.present": "kd_targets_field",
    "Store.score": "kd_store_number",
    "Store.seed": "kd_store_number",
    # a list of what C counts and gives one by one
    "Curation.funnel": "kd_curation_step_count",
    "Dataset.fields": "kd_dataset_field_count",
    "Loss.tensors": "kd_loss_tensor_count",
    "Model.tensors": "kd_model_tensor_count",
    # C has a function for each kind of part
    "Checkpoint.add": "kd_checkpoint_borrow_bytes",
    # an interval is a series of three numbers without y
    "Report.add_interval": "kd_report_add_series",
    # a student is a model, made out of another
    "Model.student": "kd_student_create",
    "Model.append_projection": "kd_student_append_projection",
    "Model.map_layers": "kd_student_map_layers",
    "Model.measure_influence": "kd_student_measure_influence",
    "Model.static_student": "kd_student_create_static",
    # towers are a model, made out of others
    "Model.towers": "kd_towers_create",
    "Model.save_tower": "kd_towers_save",
}
#: What calls no function of C itself.
PYTHONS_OWN = {
    "Bfloat16.to_float32",
    "distill",
    "Loader.into",
    "Mel.frame_offsets",
    "Tokenizer.encode",
    "Tokenizer.encode_ends",
    "Tokenizer.has_chat_template",
    "library_path",
}


def wrappers():
    """(name, its name in C, the C functions that it calls) of all functions and methods."""
    for name in kd.__all__:
        value = getattr(kd, name)
        if inspect.isfunction(value):
            yield name, {"kd_" + name}, reference.c_names(value)
        elif inspect.isclass(value) and not issubclass(value, (enum.Enum, tuple, dict)):
            noun = "kd_" + re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower() + "_"
            for member, wrapper in reference.public(value):
                plain = member.rstrip("_")  # a keyword of Python
                expected = {noun + verb + plain for verb in ("", "get_", "create_")}
                if member != "close":
                    yield f"{name}.{member}", expected, reference.c_names(wrapper, value)


def imports(path):
    """The modules of the package that a file needs when it is imported."""
    with open(path, encoding="utf-8") as file:
        body = ast.parse(file.read()).body
    found = set()
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module} if node.module else {alias.name for alias in node.names}
    return found


class InterfaceTest(unittest.TestCase):
    def test_names_are_those_of_c(self):
        strange = {
            name: called[0]
            for name, expected, called in wrappers()
            if called and not expected & set(called)
        }
        self.assertEqual(strange, OTHER_NAMES)
        self.assertEqual({name for name, _, called in wrappers() if not called}, PYTHONS_OWN)

    def test_every_function_of_c_has_a_wrapper(self):
        source = ""
        for path in glob.glob(PACKAGE + "/*.py"):
            if not path.endswith("_api.py"):
                with open(path, encoding="utf-8") as file:
                    source += file.read()
        missing = [
            name
            for name in _api.FUNCTIONS
            if not re.search(rf"\b{name}\b", source) and not name.endswith("_init")
        ]
        no_object_has_it = {"kd_array_count", "kd_dtype_bytes", "kd_tokenizer_encode"}
        self.assertEqual(set(missing), no_object_has_it)

    def test_options_are_keywords_with_the_librarys_defaults(self):
        parameters = inspect.signature(kd.Loss.add).parameters
        self.assertEqual(parameters["temperature"].default, 1.0)
        self.assertIs(parameters["align"].default, kd.Align.SAME)
        self.assertIs(parameters["temperature"].kind, inspect.Parameter.KEYWORD_ONLY)
        self.assertEqual(
            inspect.signature(kd.Model).parameters["weights"].default, kd.DType.FLOAT32
        )
        for name in filter(lambda name: inspect.isfunction(getattr(kd, name)), kd.__all__):
            function = getattr(kd, name)
            kinds = {p.kind for p in inspect.signature(function).parameters.values()}
            own = {"record_to_json"}  # members of a record, which may be left out
            if name not in own:
                self.assertNotIn(inspect.Parameter.VAR_KEYWORD, kinds, name)
        self.assertIn("label_smoothing : float, optional", kd.Loss.add.__doc__)

    def test_no_module_needs_itself(self):
        graph = {os.path.basename(p)[:-3]: imports(p) for p in glob.glob(PACKAGE + "/*.py")}
        del graph["__init__"]
        while graph:
            free = {name for name, needs in graph.items() if not needs & set(graph)}
            self.assertTrue(free, f"a circle: {graph}")
            graph = {name: needs for name, needs in graph.items() if name not in free}

    def test_the_package_says_that_it_is_typed(self):
        self.assertTrue(os.path.exists(os.path.join(PACKAGE, "py.typed")))


class ReferenceTest(unittest.TestCase):
    def test_the_pages_are_up_to_date(self):
        import generate

        pages = {name + ".md": text for name, text in generate.pages().items()}
        pages["python.md"] = reference.page()
        folder = os.path.join(ROOT, "docs", "reference")
        for name, text in pages.items():
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                self.assertEqual(file.read(), text, f"{name}: run make docs")
        self.assertEqual(set(os.listdir(folder)), set(pages))

    def test_a_method_is_shown_with_names_and_defaults(self):
        text = reference.page()
        self.assertIn("### Loss.add\n", text)
        self.assertIn("    temperature: float = 1.0,\n", text)
        self.assertIn("| `FORWARD_KL` | `KD_LOSS_FORWARD_KL` |", text)


if __name__ == "__main__":
    unittest.main()
