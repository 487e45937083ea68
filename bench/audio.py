"""Mel spectrograms and resampling beside librosa, torchaudio and transformers in the same run:
    python bench/audio.py [ROUNDS]

30 seconds of noise at 16 kHz, threads of all: THREADS (1). Each round times all in turn; medians
of the rounds, and of the ratios of each round. What is not installed has a row that says so (`sh
bench/peers.sh FOLDER rivals` tries librosa). Goal: three times librosa's speed. The table is also
build/bench-audio.json. Run it on a quiet machine.
"""

import importlib
import os
import statistics
import sys
import time

THREADS = int(os.environ.get("THREADS", "1"))
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, str(THREADS))

import numpy  # noqa: E402
from rivals import write_tables  # noqa: E402

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd  # noqa: E402

ctx = kd.Context(threads=THREADS)
x = numpy.random.default_rng(1).uniform(-1, 1, 480000).astype(numpy.float32)


#: The tasks of each package; the goal is librosa's.
TASKS = {
    "librosa": ("librosa", "whisper", "resample"),
    "torchaudio": ("kaldi", "resample"),
    "transformers": ("whisper",),
}
GOALS = {"librosa": 3}


def package(name):
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError, OSError) as error:
        print(f"not installed: {name}: {error}")
        return None


def resampled():
    sound = kd.Audio.from_array(ctx, x, 16000)
    sound.resample(22050)


def ours():
    whisper = kd.Mel(ctx, **kd.Mel.preset("whisper"))
    standard = kd.Mel(ctx, **kd.Mel.preset("librosa"))
    kaldi = kd.Mel(ctx, **kd.Mel.preset("kaldi"))
    return {
        "whisper": lambda: whisper.run(x),
        "librosa": lambda: standard.run(x),
        "kaldi": lambda: kaldi.run(x),
        "resample": resampled,
    }


def rivals():
    """{(task, package): call}"""
    found = {}
    librosa, torch = package("librosa"), package("torch")
    torchaudio = package("torchaudio") if torch else None
    transformers = package("transformers") if torch else None
    if librosa:
        feature, decibel = librosa.feature.melspectrogram, librosa.power_to_db
        found["librosa", "librosa"] = lambda: decibel(feature(y=x, sr=22050))
        found["whisper", "librosa"] = lambda: numpy.log10(
            numpy.maximum(feature(y=x, sr=16000, n_fft=400, hop_length=160, n_mels=80), 1e-10)
        )
        found["resample", "librosa"] = lambda: librosa.resample(x, orig_sr=16000, target_sr=22050)
    if torch:
        torch.set_num_threads(THREADS)
        tensor = torch.from_numpy(x)[None]
    if torchaudio:
        fbank, resample = torchaudio.compliance.kaldi.fbank, torchaudio.functional.resample
        found["kaldi", "torchaudio"] = lambda: fbank(tensor, num_mel_bins=128)
        found["resample", "torchaudio"] = lambda: resample(
            tensor,
            16000,
            22050,
            lowpass_filter_width=64,
            rolloff=0.9475937167399596,
            resampling_method="sinc_interp_kaiser",
            beta=14.769656459379492,
        )
    if transformers:
        extractor = transformers.WhisperFeatureExtractor()
        found["whisper", "transformers"] = lambda: extractor(x, sampling_rate=16000)
    return found


def seconds(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def row(task, name, own, other, rounds):
    """Ours beside a package's, whose numbers are None where it is not installed."""
    pairs = [(seconds(own), seconds(other) if other else None) for _ in range(rounds)]
    made = {"name": task, "unit": "ms", "ours": 1e3 * statistics.median(a for a, _ in pairs)}
    made |= {"peer": name, "theirs": None, "ratio": None, "goal": GOALS.get(name), "met": None}
    if other:
        made["theirs"] = 1e3 * statistics.median(b for _, b in pairs)
        made["ratio"] = statistics.median(b / a for a, b in pairs)
    if other and made["goal"]:
        made["met"] = made["ratio"] >= made["goal"]
    theirs = f"{made['theirs']:14.1f} {made['ratio']:6.2f}" if other else " not installed       "
    goal = f"at least {made['goal']}" if made["goal"] else "-"
    verdict = {None: "", True: "met", False: "NOT met"}[made["met"]]
    print(f"{task:10} {name:14} {made['ours']:9.1f} {theirs}  {goal} {verdict}", flush=True)
    return made


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    own, others = ours(), rivals()
    for call in [*own.values(), *others.values()]:
        call()
    print(f"{'task':10} {'package':14} {'ours, ms':>9} {'ms':>14} {'ratio':>6}  goal")
    results = []
    for name, tasks in TASKS.items():
        for task in tasks:
            results.append(row(task, name, own[task], others.get((task, name)), rounds))
    write_tables("build/bench-audio", results)


main()
