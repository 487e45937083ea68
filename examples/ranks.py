"""ranks.c from Python: several processes train one student.

    mpirun -n 2 python examples/ranks.py                     over mpi4py
    torchrun --nproc_per_node 2 examples/ranks.py            over torch's gloo

The batch of all ranks together has 96 samples. With a folder as argument the run goes on where it
was killed, on as many ranks or others.
"""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd


def find_transport() -> kd.transport.Transport:
    """Torch's process group where torchrun started this, else MPI."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        from mpi4py import MPI

        return kd.transport.from_mpi4py(MPI.COMM_WORLD)
    import torch.distributed

    torch.distributed.init_process_group("gloo")
    return kd.transport.from_torch()


net = find_transport()
rng = np.random.default_rng(1)  # the same task on every rank; the loader takes a rank's samples
x = rng.uniform(-1, 1, (4000, 8)).astype(np.float32)
teacher_logits = (x @ rng.uniform(-4, 4, (8, 4))).astype(np.float32)
labels = np.where(rng.random(4000) < 0.1, rng.integers(0, 4, 4000), teacher_logits.argmax(1))

ctx = kd.Context(threads=1, seed=1)
data = kd.Dataset(ctx, inputs=x, label=labels)
teacher = kd.Teacher(ctx).borrow("logits", teacher_logits)
student = kd.Model(
    ctx, {"model_type": "mlp", "input_size": 8, "hidden_sizes": [32], "num_labels": 4}
)
loss = kd.Loss(ctx)
loss.add(kd.LossKind.FORWARD_KL, 0.9)
loss.add(kd.LossKind.CROSS_ENTROPY, 0.1)
optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, student, clip_norm=1)
loader = kd.Loader(
    data, batch_size=96 // net.ranks, epochs=8, rank=net.rank, ranks=net.ranks, uneven=1
)
exchange = kd.Exchange(ctx, net)
exchange.add_optimizer(optimizer)
exchange.compare_bytes("data", x.tobytes() + labels.tobytes())
step = np.zeros(1, np.int64)
checkpoint = kd.Checkpoint(ctx).add("student", student).add("optimizer", exchange)
checkpoint.add("loader", loader).add("step", step)
folder = sys.argv[1] if len(sys.argv) > 1 else None
if folder:
    checkpoint.load(folder)

targets = kd.Targets(ctx)
for batch in loader.into(kd.Batch(ctx)):
    teacher.read(batch, targets)
    counts = loss.count(batch, targets)
    exchange.set_learning_rate(1e-2)  # known before: parameters come back during the pass
    exchange.sum_counts(batch, counts)
    exchange.begin()
    student.forward(batch)
    result = loss.backward(student, batch, targets, counts)
    exchange.step(1e-2)
    (value,) = exchange.sum([result.value])
    step += 1
    if step[0] % 80 == 0:
        if net.rank == 0:
            print(f"step {step[0]:3d}  loss {value:.4f}")
        if folder:
            checkpoint.save(folder)

exchange.compare()  # parameters are the same bits on all ranks
if net.rank == 0:
    bits = 14695981039346656037  # FNV-1a
    for byte in student.parameters.tobytes():
        bits = (bits ^ byte) * 1099511628211 % 2**64
    print(f"{net.ranks} ranks, parameters {bits:016x}")
exchange.close()
if "TORCHELASTIC_RUN_ID" in os.environ:
    import torch.distributed

    torch.distributed.destroy_process_group()
