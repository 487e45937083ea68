"""Goldens of images before they enter a model, from Pillow (before 13) and transformers.

python tests/goldens/make_pixels.py > tests/goldens/pixel_goldens.h
"""

import numpy
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

#: (height, width), (new height, new width), filter of PIL, box
CASES = [
    ((9, 13), (4, 5), 1, None),
    ((9, 13), (4, 5), 2, None),
    ((9, 13), (4, 5), 3, None),
    ((9, 13), (4, 5), 4, None),
    ((5, 4), (7, 6), 1, None),
    ((5, 4), (7, 6), 3, None),
    ((9, 13), (3, 6), 2, (1.5, 0.25, 11.75, 8.0)),
]


def image(height, width):
    """What the test makes as well: numbers that end at 0 and 255."""
    i = numpy.arange(height * width * 3, dtype=numpy.int64)
    return ((i * i * 37 + 11 * i) % 256).astype(numpy.uint8).reshape(height, width, 3)


def write(kind, name, values, form):
    print(f"static const {kind} {name}[] = {{")
    texts = [form(v) for v in numpy.asarray(values).ravel()]
    a_line = 10 if kind == "uint8_t" else 6
    for i in range(0, len(texts), a_line):
        print("    " + ", ".join(texts[i : i + a_line]) + ",")
    print("};\n")


def main():
    print("/* Made by tests/goldens/make_pixels.py from Pillow and transformers. */")
    print("#ifndef PIXEL_GOLDENS_H\n#define PIXEL_GOLDENS_H\n")
    print("#include <stdint.h>\n")
    for n, (old, (height, width), kind, box) in enumerate(CASES):
        made = Image.fromarray(image(*old)).resize((width, height), kind, box)
        write("uint8_t", f"resized_{n}", made, str)
        plane = Image.fromarray(image(*old)[..., 0].astype(numpy.float32))
        made = plane.resize((width, height), kind, box)
        write(
            "float", f"resized_floats_{n}", made, lambda v: f"{v:.9g}" + "f" * ("." in f"{v:.9g}")
        )
    small = {"size": {"height": 6, "width": 5}}
    kinds = [
        ("vit", ViTImageProcessorPil(**small)),
        ("deit", DeiTImageProcessorPil(crop_size={"height": 4, "width": 7}, **small)),
        ("clip", CLIPImageProcessorPil(size={"shortest_edge": 5}, crop_size=4)),
    ]
    for name, processor in kinds:
        made = processor(image(9, 13), input_data_format="channels_last")["pixel_values"][0]
        write("float", f"{name}_pixels", made, lambda v: f"{v:.9g}" + "f" * ("." in f"{v:.9g}"))
    print("#endif")


if __name__ == "__main__":
    main()
