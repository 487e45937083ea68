"""The loop of loop.c from Python: a student learns from a teacher's logits and from labels, given
as numpy arrays."""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd

rng = np.random.default_rng(1)
x = rng.uniform(-1, 1, (4000, 8)).astype(np.float32)
teacher_logits = (x @ rng.uniform(-4, 4, (8, 4))).astype(np.float32)
labels = np.where(rng.random(4000) < 0.1, rng.integers(0, 4, 4000), teacher_logits.argmax(1))

ctx = kd.Context()
data = kd.Dataset(ctx, inputs=x, label=labels)
teacher = kd.Teacher(ctx).borrow("logits", teacher_logits)
student = kd.Model(
    ctx, {"model_type": "mlp", "input_size": 8, "hidden_sizes": [32], "num_labels": 4}
)
loss = kd.Loss(ctx)
soft = loss.add(kd.LossKind.FORWARD_KL, 0.9)
hard = loss.add(kd.LossKind.CROSS_ENTROPY, 0.1)
optimizer = kd.Optimizer(ctx, kd.OptimizerKind.ADAMW, student)
loader, batch, targets = kd.Loader(data, batch_size=100, epochs=8), kd.Batch(ctx), kd.Targets(ctx)
learning_rate, temperature = (
    kd.Schedule.cosine(ctx, 1e-2, 1e-3, 320),
    kd.Schedule.linear(ctx, 4, 1, 320),
)

for step, batch in enumerate(loader.into(batch)):
    loss.set(soft, temperature=temperature(step))
    teacher.read(batch, targets)
    student.forward(batch)
    result = loss.backward(student, batch, targets)
    optimizer.step(learning_rate(step))
    if step % 80 == 79:
        print(f"step {step + 1:3d}  T {temperature(step + 1):.2f}  loss {result.value:.4f}")

metrics = kd.Metrics(ctx, 4)
metrics.add(student.predict(data), labels, teacher_logits)
agreement = metrics.get(kd.MetricKind.AGREEMENT)
print(
    f"agreement with the teacher {agreement.value:.3f} (standard error "
    f"{agreement.standard_error:.3f})"
)
sys.exit(agreement.value < 0.95)
