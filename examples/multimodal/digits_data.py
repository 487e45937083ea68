"""Digits that are written (MNIST), spoken (Free Spoken Digit Dataset) and named."""

import gzip
import os
import tarfile

import kdistill as kd
import numpy as np

DIGITS, TEST_TAKES = 10, 5
RATE, FRAMES, BANDS = 8000, 64, 40
MEL = {  # 25 and 10 ms; each sound has mean 0 and deviation 1
    "sample_rate": RATE,
    "hop": 80,
    "window_length": 200,
    "fft_size": 256,
    "mels": BANDS,
    "frames": FRAMES,
    "floor": 1e-6,
    "normalize": kd.MelNormalize.SOUND,
}
WORDS = (
    ("zero one two three four five six seven eight nine"),
    ("null eins zwei drei vier fünf sechs sieben acht neun"),
    ("zéro un deux trois quatre cinq six sept huit neuf"),
    ("cero uno dos tres cuatro cinco seis siete ocho nueve"),
    ("zero uno due tre quattro cinque sei sette otto nove"),
    ("nul een twee drie vier vijf zes zeven acht negen"),
    ("noll ett två tre fyra fem sex sju åtta nio"),
    ("zero um dois três quatro cinco seis sete oito nove"),
)


def read_idx(folder, name):
    """Bytes of an IDX file, of its shape."""
    path = os.path.join(folder, f"{name}-ubyte.gz")
    with gzip.open(path) as file:
        whole = file.read()
    rank = whole[3]
    shape = np.frombuffer(whole, ">u4", rank, 4).astype(int)
    if whole[:3] != b"\0\0\x08" or len(whole) != 4 + 4 * rank + shape.prod():
        raise SystemExit(f"{path}: expected an IDX file of bytes")
    return np.frombuffer(whole, np.uint8, offset=4 + 4 * rank).reshape(shape)


class Written:
    """MNIST: images (n, 1, 28, 28) uint8 and digits of one part."""

    def __init__(self, folder, part):
        self.images = read_idx(folder, f"{part}-images-idx3")[:, None]
        self.digits = read_idx(folder, f"{part}-labels-idx1").astype(np.int64)


class Spoken:
    """Recordings by speakers: sounds at 8 kHz, the digit of each, numbers of both parts."""

    def __init__(self, ctx, path):
        self.ctx, self.sounds, said = ctx, [], []
        with tarfile.open(path) as tar:
            members = [each for each in tar if each.name.endswith(".wav")]
            for member in sorted(members, key=lambda each: each.name):
                sound = kd.Audio.from_bytes(ctx, tar.extractfile(member).read(), mono=1)
                self.sounds.append(sound.samples.copy())
                said.append(os.path.basename(member.name)[:-4].split("_"))
        self.digits = np.array([int(digit) for digit, _, _ in said])
        takes = np.array([int(take) for _, _, take in said])
        self.train = np.flatnonzero(takes >= TEST_TAKES)
        self.test = np.flatnonzero(takes < TEST_TAKES)

    def mels(self):
        """(sounds, frames, bands); longer sounds are cut, silence follows shorter ones."""
        offsets = np.cumsum([0, *(len(sound) for sound in self.sounds)])
        return kd.Mel(self.ctx, **MEL).run(np.concatenate(self.sounds), offsets)


def words():
    """Names of the digits: the words, and which of them each language uses (languages, digits)."""
    lines = [line.split() for line in WORDS]
    found = sorted({word for line in lines for word in line})
    return found, np.array([[found.index(word) for word in line] for line in lines])
