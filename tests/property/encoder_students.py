"""Students cut out of random encoders of every family: transformers loads what they save and gives
the same numbers; a student of some layers is the teacher with those layers alone; students of a
folder of sentence-transformers are folders of sentence-transformers:
    python tests/property/encoder_students.py [shapes]
"""

import os
import sys
import tempfile

import numpy
import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import encoders  # noqa: E402
import sentence_folders  # noqa: E402
from encoders import kd  # noqa: E402


def layers_of(reference):
    """Where a model of transformers has its list of layers, and that list."""
    base = reference.base_model
    owner = base.transformer if hasattr(base, "transformer") else base.encoder
    return owner, owner.layer


def values_of(model, ids, types):
    model.forward(encoders.batch_of(ids, types), kd.Mode.EVALUATE)
    logits = model.output("logits").copy() if "Classification" in str(model.config) else None
    return model.output("hidden").copy(), logits


def difference(mine, states, logits):
    """The largest one, of hidden states and logits, relative to what was expected."""
    found = []
    for ours, theirs in ((mine[0], states[-1]), (mine[1], logits)):
        if ours is not None:
            theirs = theirs.detach().numpy()
            found.append(numpy.abs(ours - theirs).max() / max(1.0, numpy.abs(theirs).max()))
    return float(max(found))


def cut(model, name, sizes, rng, batch):
    """A student of random layers and widths; its layers where nothing else was cut and transformers
    can run them alone."""
    inner = sizes.get("intermediate_size", sizes.get("hidden_dim"))
    heads = sizes.get("num_attention_heads", sizes.get("n_heads"))
    hidden = sizes.get("hidden_size", sizes.get("dim"))
    count = sizes.get("num_hidden_layers", sizes.get("n_layers"))
    kept = [int(i) for i in rng.integers(0, count, int(rng.integers(1, 6)))]
    if name == "modernbert":  # whose layer 0 is another than the rest
        kept = [0] + [i for i in kept if i]
    if rng.integers(0, 2):
        return model.student(layer_map=kept), None if name == "modernbert" else kept
    widths = {
        "hidden_size": hidden // heads * int(rng.integers(1, heads + 1)),
        "intermediate_size": int(rng.integers(1, inner + 1)),
    }
    calibration = batch if rng.integers(0, 2) else None
    return model.student(layer_map=kept, calibration=calibration, **widths), None


def compare(name, rng, worst):
    head = "ForSequenceClassification" if rng.integers(0, 2) else "Model"
    sizes = encoders.config_of(name, rng)
    reference = encoders.reference_of(name, sizes, head, rng)
    ids, types = encoders.texts_of(name, sizes, rng)
    with tempfile.TemporaryDirectory() as folder:
        reference.save_pretrained(folder)
        model = kd.Model.load(encoders.context, folder)
        student, kept = cut(model, name, sizes, rng, encoders.batch_of(ids, types))
        mine = values_of(student, ids, types)
        student.save(folder + "/student")
        again = type(reference).from_pretrained(folder + "/student").float().eval()
        worst[0] = max(worst[0], difference(mine, *encoders.theirs(again, name, ids, types)))
        if kept is not None:
            owner, layers = layers_of(reference)
            owner.layer = torch.nn.ModuleList([layers[i] for i in kept])
            reference.config.num_hidden_layers = len(kept)
            states = encoders.theirs(reference, name, ids, types)
            worst[1] = max(worst[1], difference(mine, *states))
    if max(worst) > 1e-4:
        raise SystemExit(f"{name}: {sizes}, layers {kept}: differences {worst}")


def compare_sentences(pooling, widths):
    """The largest difference after sentence-transformers has loaded a student."""
    modules = sentence_folders.modules
    with tempfile.TemporaryDirectory() as root:
        plain, theirs, ours = (os.path.join(root, name) for name in ("plain", "theirs", "ours"))
        os.mkdir(plain)
        sentence_folders.plain_folder(plain, 3)
        parts = [modules.Transformer(plain, max_seq_length=11), modules.Pooling(24, pooling)]
        parts += [modules.Dense(24, 9), modules.Normalize()]
        sentence_folders.SentenceTransformer(modules=parts, device="cpu").save(theirs)
        teacher = kd.Model.load(sentence_folders.context, theirs)
        student = teacher.student(layer_map=[1], **widths)
        student.save(ours)
        tokenizer = sentence_folders.tokenizer_of(ours, 11)
        found = sentence_folders.embed(student, tokenizer, sentence_folders.TEXTS)
        back = sentence_folders.SentenceTransformer(ours, device="cpu")
        if back.max_seq_length != 11:
            raise SystemExit(f"{pooling}: the saved folder cuts at {back.max_seq_length}")
        return float(numpy.abs(back.encode(sentence_folders.TEXTS) - found).max())


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    worst, rng = [0.0, 0.0], numpy.random.default_rng(1)
    for case in range(count):
        torch.manual_seed(case)
        for name in encoders.FAMILIES:
            compare(name, rng, worst)
    print(
        f"{count} shapes of {', '.join(encoders.FAMILIES)}: largest differences of students that "
        f"transformers loads {worst[0]:.1e}, of a teacher's layers {worst[1]:.1e}"
    )
    if sentence_folders.SentenceTransformer is None:
        print("SKIPPED sentence-transformers: it is not installed")
        return
    cases = [(p, w) for p in ("mean", "cls", "max") for w in ({}, {"hidden_size": 16})]
    largest = max(compare_sentences(*case) for case in cases)
    print(f"{len(cases)} students of sentence folders: largest difference {largest:.1e}")
    if largest > 1e-5:
        raise SystemExit("expected 1e-5 at most")


if __name__ == "__main__":
    main()
