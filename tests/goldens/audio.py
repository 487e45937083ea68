"""Writes audio_goldens.h: mel spectrograms by the packages that presets are named after.

python tests/goldens/audio.py WHEEL > tests/goldens/audio_goldens.h

Needs librosa, torchaudio, transformers, and in the folder WHEEL what is in the wheel of
pyopen-wakeword 1.1.0. The sound is the same formula as in tests/unit/audio/test_mel.c.
"""

import ctypes
import os
import sys

import librosa
import numpy
import torch
import torchaudio
import transformers

FRAMES, STEP = (0, 7, 40), 5


def sound(samples):
    i = numpy.arange(samples, dtype=numpy.float64)
    x = 0.4 * numpy.sin(0.03 * i) + 0.3 * numpy.sin(1e-5 * i * i) + 0.05 * numpy.sin(1.7 * i)
    return x.astype(numpy.float32)


def whisper(x, mels):
    made = transformers.WhisperFeatureExtractor(feature_size=mels)(x, sampling_rate=16000)
    return made["input_features"][0].T


def ast(x):
    return transformers.ASTFeatureExtractor()(x, sampling_rate=16000)["input_values"][0]


def kaldi(x):
    # in double: of quiet bands float32 leaves three digits
    made = torchaudio.compliance.kaldi.fbank(
        torch.from_numpy(x.astype(float))[None], num_mel_bins=128, dither=0.0
    )
    return made.numpy()


def google_speech_embedding(x):
    """The model in the wheel, run by the library beside it, and what its embedding reads."""
    folder = os.path.join(sys.argv[1], "pyopen_wakeword")
    tflite = ctypes.CDLL(os.path.join(folder, "lib", "libtensorflowlite_c.so"))
    for name in ("ModelCreateFromFile", "InterpreterCreate", "InterpreterGetInputTensor"):
        getattr(tflite, "TfLite" + name).restype = ctypes.c_void_p
    tflite.TfLiteInterpreterGetOutputTensor.restype = ctypes.c_void_p
    path = os.path.join(folder, "models", "melspectrogram.tflite").encode()
    model = ctypes.c_void_p(tflite.TfLiteModelCreateFromFile(path))
    run = ctypes.c_void_p(tflite.TfLiteInterpreterCreate(model, None))
    tflite.TfLiteInterpreterResizeInputTensor(run, 0, (ctypes.c_int * 2)(1, len(x)), 2)
    tflite.TfLiteInterpreterAllocateTensors(run)
    tensor = ctypes.c_void_p(tflite.TfLiteInterpreterGetInputTensor(run, 0))
    scaled = numpy.ascontiguousarray(x * 32768, dtype=numpy.float32)
    size = ctypes.c_size_t(scaled.nbytes)
    tflite.TfLiteTensorCopyFromBuffer(tensor, scaled.ctypes.data_as(ctypes.c_void_p), size)
    tflite.TfLiteInterpreterInvoke(run)
    tensor = ctypes.c_void_p(tflite.TfLiteInterpreterGetOutputTensor(run, 0))
    dims = [tflite.TfLiteTensorDim(tensor, i) for i in range(4)]
    made = numpy.empty(dims, numpy.float32)
    size = ctypes.c_size_t(made.nbytes)
    tflite.TfLiteTensorCopyToBuffer(tensor, made.ctypes.data_as(ctypes.c_void_p), size)
    return made.reshape(-1, 32) / 10 + 2


def librosa_default(x):
    made = librosa.feature.melspectrogram(y=x.astype(numpy.float64), sr=22050)
    return librosa.power_to_db(made).T


def main():
    x = sound(24000)
    presets = [
        ("whisper", whisper(x, 80)),
        ("whisper-v3", whisper(x, 128)),
        ("ast", ast(x)),
        ("kaldi", kaldi(x)),
        ("google-speech-embedding", google_speech_embedding(x)),
        ("librosa", librosa_default(x)),
    ]
    print(
        "/* Written by tests/goldens/audio.py: frames",
        ", ".join(map(str, FRAMES)),
        f"and the last, every {STEP}th band. */",
    )
    print("static const struct {\n    const char *preset;\n    int64_t frames, mels;")
    print("    float values[4 * 26];\n} goldens[] = {")
    for name, values in presets:
        picked = values[list(FRAMES) + [-1], ::STEP].reshape(-1)
        print(f'    {{ "{name}", {values.shape[0]}, {values.shape[1]},\n      {{')
        for i in range(0, len(picked), 6):
            print("        " + ", ".join(f"{v:.7e}f" for v in picked[i : i + 6]) + ",")
        print("      } },")
    print("};")


main()
