"""Sounds and mel spectrograms beside the field's packages, on random sounds, rates and options:
WAV files against soundfile, resampling against torchaudio, spectrograms against librosa,
torchaudio's kaldi.fbank, transformers' Whisper and AST. What is not installed is left out, and
said so:
    python tests/property/audio.py [cases]

Errors are of max(1, |value|): 1e-5 where both compute in double, 1e-4 where the package's bands are
float32, 2e-4 where all of it is.
"""

import importlib
import io
import os
import sys

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

contexts = [kd.Context(threads=threads) for threads in (1, 2)]
LARGEST = {}


def package(name):
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError, OSError) as error:
        print(f"left out: {name}: {error}")
        return None


def expect(name, made, wanted, tolerance):
    """Equal shapes, and equal numbers within tolerance of max(1, |wanted|)."""
    if made.shape != wanted.shape:
        sys.exit(f"{name}: {made.shape}, expected {wanted.shape}")
    error = float((numpy.abs(made - wanted) / numpy.maximum(1, numpy.abs(wanted))).max(initial=0))
    LARGEST[name] = max(LARGEST.get(name, 0), error)
    if not error <= tolerance:
        sys.exit(f"{name}: {error:.2e} apart, at most {tolerance:.0e}")


def sound(rng, samples):
    """Noise, tones and silence in turn."""
    t = numpy.arange(samples)
    x = 0.3 * numpy.sin(t * rng.uniform(0.01, 2)) + rng.uniform(0, 0.3) * rng.standard_normal(
        samples
    )
    x[samples // 3 : samples // 2] *= rng.choice([0, 1e-3, 1])
    return numpy.clip(x, -1, 1).astype(numpy.float32)


def wave_case(rng, soundfile):
    subtype = str(rng.choice(["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]))
    kind = str(rng.choice(["WAV", "WAVEX", "RF64"]))
    shape = (int(rng.integers(0, 500)), 2)
    x = rng.uniform(-1, 1, shape if rng.random() < 0.5 else shape[:1])
    file = io.BytesIO()
    soundfile.write(file, x, int(rng.integers(1, 192000)), subtype=subtype, format=kind)
    wanted, rate = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")
    made = kd.Audio.from_bytes(contexts[0], file.getvalue())
    assert made.info.sample_rate == rate
    expect(f"soundfile {kind}", made.samples, wanted, 0)


def resample_case(rng, torchaudio, torch):
    rates = [int(v) for v in rng.choice([8000, 11025, 16000, 22050, 24000, 44100, 48000], 2)]
    if rates[0] == rates[1]:
        return
    x, hann = sound(rng, int(rng.integers(1, 4000))), bool(rng.random() < 0.5)
    o = {
        "zero_crossings": int(rng.integers(2, 65)),
        "rolloff": float(rng.uniform(0.5, 1)),
        "beta": float(rng.uniform(2, 20)),
    }
    wanted = torchaudio.functional.resample(
        torch.from_numpy(x.astype(float)),
        *rates,
        lowpass_filter_width=o["zero_crossings"],
        rolloff=o["rolloff"],
        resampling_method="sinc_interp_hann" if hann else "sinc_interp_kaiser",
        beta=None if hann else o["beta"],
    )
    for ctx in contexts:
        made = kd.Audio.from_array(ctx, x, rates[0])
        made.resample(rates[1], window=kd.SincWindow.HANN if hann else kd.SincWindow.KAISER, **o)
        expect("torchaudio resample", made.samples, wanted.numpy(), 1e-5)


def librosa_case(rng, librosa):
    fft = int(rng.choice([256, 400, 512, 630, 1024, 2048]))
    o = {
        "fft_size": fft,
        "window_length": int(rng.integers(fft // 3, fft + 1)),
        "hop": int(rng.integers(20, fft)),
        "mels": int(rng.integers(1, 60)),
        "sample_rate": int(rng.choice([8000, 16000, 22050])),
        "power": int(rng.integers(1, 3)),
        "framing": kd.Framing(
            int(rng.choice([kd.Framing.WHOLE, kd.Framing.ZEROS, kd.Framing.REFLECT]))
        ),
        "scale": kd.MelScale(int(rng.integers(0, 2))),
        "equal_area": int(rng.integers(0, 2)),
        "low": float(rng.uniform(0, 300)),
        "high": float(rng.uniform(2000, 4000)),
        "log": kd.MelLog.NONE,
    }
    x = sound(rng, int(rng.integers(fft + 1, 9000)))
    centered = o["framing"] != kd.Framing.WHOLE
    window = str(rng.choice(["hann", "hamming"]))
    wanted = librosa.feature.melspectrogram(
        y=x.astype(float),
        sr=o["sample_rate"],
        n_fft=fft,
        hop_length=o["hop"],
        win_length=o["window_length"],
        window=window,
        center=centered,
        pad_mode="reflect" if o["framing"] == kd.Framing.REFLECT else "constant",
        power=o["power"],
        n_mels=o["mels"],
        fmin=o["low"],
        fmax=o["high"],
        htk=o["scale"] == kd.MelScale.HTK,
        norm="slaney" if o["equal_area"] else None,
    ).T
    for ctx in contexts:
        made = kd.Mel(ctx, window=kd.Window[window.upper()], **o).run(x)
        expect("librosa", made, wanted, 1e-5)
        o["log"], o["range"] = kd.MelLog.DECIBEL, 80.0
        made = kd.Mel(ctx, window=kd.Window[window.upper()], **o).run(x)
        squares = wanted if o["power"] == 2 else wanted**2
        decibel = librosa.power_to_db(squares, amin=1e-10 ** (3 - o["power"]), top_db=80)
        expect("librosa decibel", made, decibel, 1e-4)
        o["log"], o["range"] = kd.MelLog.NONE, 0.0


def kaldi_case(rng, torchaudio, torch):
    windows = {
        "hanning": kd.Window.HANN,
        "povey": kd.Window.POVEY,
        "hamming": kd.Window.HAMMING,
        "rectangular": kd.Window.RECTANGULAR,
    }
    window, snip = str(rng.choice(list(windows))), bool(rng.random() < 0.5)
    o = {
        "preemphasis": float(rng.uniform(0, 1)),
        "low": float(rng.uniform(0, 200)),
        "mels": int(rng.integers(4, 90)),
        "remove_mean": int(rng.integers(0, 2)),
        "power": int(rng.integers(1, 3)),
        "hop": 16 * int(rng.integers(4, 20)),
    }
    x = sound(rng, int(rng.integers(600, 9000)))
    wanted = torchaudio.compliance.kaldi.fbank(
        torch.from_numpy(x.astype(float))[None],
        dither=0,
        window_type=window,
        snip_edges=snip,
        num_mel_bins=o["mels"],
        preemphasis_coefficient=o["preemphasis"],
        low_freq=o["low"],
        remove_dc_offset=bool(o["remove_mean"]),
        use_power=o["power"] == 2,
        frame_shift=o["hop"] / 16,
    ).numpy()
    framing = kd.Framing.WINDOWS if snip else kd.Framing.MIRROR
    o = {**kd.Mel.preset("kaldi"), **o, "window": windows[window], "framing": framing}
    for ctx in contexts:
        expect("kaldi.fbank", kd.Mel(ctx, **o).run(x), wanted, 1e-4)  # its bands are float32


def transformers_case(rng, transformers):
    x = sound(rng, int(rng.integers(2000, 30000)))
    for mels, name in ((80, "whisper"), (128, "whisper-v3")):
        made = transformers.WhisperFeatureExtractor(feature_size=mels)(x, sampling_rate=16000)
        ours = kd.Mel(contexts[1], **kd.Mel.preset(name)).run(x)
        expect(name, ours, made["input_features"][0].T, 2e-4)
    made = transformers.ASTFeatureExtractor()(x, sampling_rate=16000)["input_values"][0]
    expect("ast", kd.Mel(contexts[1], **kd.Mel.preset("ast")).run(x), made, 2e-4)


def main():
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    soundfile, librosa, torch = package("soundfile"), package("librosa"), package("torch")
    torchaudio = package("torchaudio") if torch else None
    transformers = package("transformers") if torch else None
    for case in range(cases):
        rng = numpy.random.default_rng(case)
        if soundfile:
            wave_case(rng, soundfile)
        if librosa:
            librosa_case(rng, librosa)
        if torchaudio:
            resample_case(rng, torchaudio, torch)
            kaldi_case(rng, torchaudio, torch)
        if transformers and case % 10 == 0:
            transformers_case(rng, transformers)
    for name, error in sorted(LARGEST.items()):
        print(f"{name}: at most {error:.1e} apart")


main()
