"""Images before they enter a model, beside PIL, torch and transformers' image processors.

    python tests/property/image_front.py [cases]

Needs pillow; torch and transformers where they are installed. kd_image_resize of uint8 is PIL's to
the bit; of float32 it is PIL's mode F, and torch's interpolate with antialias (what torchvision's
resize calls) to 1e-5.
"""

import json
import os
import sys
import tempfile

import numpy

try:
    import PIL
    from PIL import Image
except ImportError:
    raise SystemExit("image_front.py needs Pillow: run make peers")

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

CASES = int(sys.argv[1]) if len(sys.argv) > 1 else 300
FILTERS = {
    kd.Resample.LANCZOS: Image.Resampling.LANCZOS,
    kd.Resample.BILINEAR: Image.Resampling.BILINEAR,
    kd.Resample.BICUBIC: Image.Resampling.BICUBIC,
    kd.Resample.BOX: Image.Resampling.BOX,
}
#: Pillow whose one call goes across first, of images up to 100 times as high as wide.
OLD = int(PIL.__version__.split(".")[0]) < 13
rng = numpy.random.default_rng(0)
contexts = [kd.Context(threads=n) for n in (1, 2, 3)]


def side():
    return int(rng.choice([1, 2, 3, 5, 17, 64, 131, 224, int(rng.integers(1, 400))]))


def part(height, width):
    """A box of PIL: left, top, right, bottom; None now and then."""
    if rng.random() < 0.4:
        return None
    x, y = numpy.sort(rng.uniform(0, width, 2)), numpy.sort(rng.uniform(0, height, 2))
    if rng.random() < 0.3:
        x, y = numpy.floor(x) + [0, 1], numpy.floor(y) + [0, 1]
    found = float(x[0]), float(y[0]), float(min(x[1], width)), float(min(y[1], height))
    narrow = numpy.float32(found[2]) <= numpy.float32(found[0])
    flat = numpy.float32(found[3]) <= numpy.float32(found[1])
    return None if narrow or flat else found


def by_pil(image, size, resample, box, down_first=False):
    """Across, then down: each by itself, so that the order is that of every version of Pillow."""
    (height, width), (rows, columns) = image.shape[:2], size
    left, top, right, bottom = box or (0, 0, width, height)
    image, resample = Image.fromarray(image), FILTERS[resample]
    if down_first:
        image = image.resize((width, rows), resample, (0, top, width, bottom))
        return numpy.asarray(image.resize((columns, rows), resample, (left, 0, right, rows)))
    image = image.resize((columns, height), resample, (left, 0, right, height))
    return numpy.asarray(image.resize((columns, rows), resample, (0, top, columns, bottom)))


def keywords(box):
    return dict(zip(("left", "top", "right", "bottom"), box)) if box else {}


def resized(image, size, resample, box):
    made = [
        kd.image_resize(ctx, image, size, resample=resample, **keywords(box)) for ctx in contexts
    ]
    for other in made[1:]:
        assert numpy.array_equal(made[0], other), "the bits depend on the threads"
    return made[0]


def beside_pil():
    worst = 0
    for case in range(CASES):
        height, width, size = side(), side(), (side(), side())
        resample, box = list(FILTERS)[case % 4], part(height, width)
        channels = [0, 3][case // 4 % 2]
        shape = (height, width, channels) if channels else (height, width)
        image = rng.integers(0, 256, shape, numpy.uint8)
        if rng.random() < 0.3:
            image = numpy.where(image > 127, 255, 0).astype(numpy.uint8)  # rounding to 0 and 255
        got = resized(image, size, resample, box)
        want = by_pil(image, size, resample, box)
        assert numpy.array_equal(got, want), (shape, size, resample, box)
        if OLD and height <= 100 * width:
            want = numpy.asarray(Image.fromarray(image).resize(size[::-1], FILTERS[resample], box))
            assert numpy.array_equal(got, want), (shape, size, resample, box)
        down = kd.image_resize(
            contexts[1], image, size, resample=resample, down_first=True, **keywords(box)
        )
        assert numpy.array_equal(down, by_pil(image, size, resample, box, True))

        values = rng.normal(size=(height, width)).astype(numpy.float32)
        want = by_pil(values, size, resample, box)
        got = resized(values, size, resample, box)
        worst = max(worst, float(abs(got - want).max()))
    assert worst <= 1e-5, worst
    print(f"resize beside PIL: {CASES} images of bytes equal, of floats to {worst:.1e}")


def beside_torch():
    import torch

    worst = 0
    for case in range(CASES // 3):
        # torch's result of one column is not the mean of anything; PIL's and ours are
        height, width, size = side(), side(), (side(), max(side(), 2))
        resample, mode = [(kd.Resample.BILINEAR, "bilinear"), (kd.Resample.BICUBIC, "bicubic")][
            case % 2
        ]
        planes = rng.random((2, 3, height, width), numpy.float32)
        want = torch.nn.functional.interpolate(
            torch.from_numpy(planes), size, mode=mode, antialias=True, align_corners=False
        ).numpy()
        view = planes.transpose(0, 2, 3, 1)  # not contiguous: as a host has it
        got = resized(view, size, resample, None).transpose(0, 3, 1, 2)
        worst = max(worst, float(abs(got - want).max()))
    assert worst <= 2e-5, worst
    print(f"resize beside torch with antialias: {CASES // 3} batches to {worst:.1e}")


def processors():
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    imagenet = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    for kind in (ViTImageProcessorPil, DeiTImageProcessorPil, CLIPImageProcessorPil):
        yield kind()
        yield kind(**imagenet)
        yield kind(size={"height": 40, "width": 56}, resample=3)
        yield kind(do_normalize=False, size={"shortest_edge": 37}, resample=2)
        yield kind(do_rescale=False, size={"shortest_edge": 37}, resample=1)
        yield kind(size=30, do_center_crop=True, crop_size={"height": 41, "width": 28})
        yield kind(do_resize=False, do_center_crop=True, crop_size=50, rescale_factor=1 / 127.5)


def beside_transformers():
    worst = count = 0
    for theirs in processors():
        with tempfile.TemporaryDirectory() as folder:
            theirs.save_pretrained(folder)
            saved = os.path.join(folder, "preprocessor_config.json")
            # as folders have it; "Pil" names the class that reads it here
            fields = json.load(open(saved))
            fields["image_processor_type"] = fields["image_processor_type"].removesuffix("Pil")
            json.dump(fields, open(saved, "w"))
            ours = kd.ImageProcessor.load(contexts[1], folder)
        for _ in range(max(CASES // 60, 2)):
            image = rng.integers(0, 256, (side(), side(), 3), numpy.uint8)
            image = image.repeat(8, 0) if image.shape[0] < 4 else image
            image = image.repeat(8, 1) if image.shape[1] < 4 else image
            want = theirs(image, input_data_format="channels_last", return_tensors="np")
            want, got = want["pixel_values"][0], ours.prepare(image)
            assert got.shape == want.shape, (got.shape, want.shape)
            assert got.shape[1:] == ours.find_size(*image.shape[:2])
            worst, count = max(worst, float(abs(got - want).max())), count + 1
            assert worst <= 1e-6 or not OLD, (theirs, image.shape, worst)
    if not OLD:
        print("image processors: Pillow 13 has another order of passes, bytes may be one apart")
    print(f"image processors beside transformers: {count} images, at most {worst:.1e} apart")


def main():
    beside_pil()
    beside_torch()
    beside_transformers()


if __name__ == "__main__":
    main()
