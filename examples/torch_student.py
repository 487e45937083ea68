"""A PyTorch module as student: the forward pass and the optimizer are PyTorch's, the loss and its
gradient are the library's."""

import os
import sys

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd


class Distillation(torch.autograd.Function):
    """Value and gradient with respect to the logits from kd_loss_evaluate, on PyTorch's memory."""

    @staticmethod
    def forward(context, logits, loss, batch, targets):
        gradient = torch.empty_like(logits)
        result = loss.evaluate(
            {"logits": logits.detach().numpy()},
            batch,
            targets,
            gradients={"logits": gradient.numpy()},
        )
        context.save_for_backward(gradient)
        return logits.new_tensor(result.value)

    @staticmethod
    def backward(context, upstream):
        (gradient,) = context.saved_tensors
        return upstream * gradient, None, None, None


torch.manual_seed(0)
x = torch.randn(512, 16)
teacher = torch.nn.Linear(16, 5)
student = torch.nn.Sequential(torch.nn.Linear(16, 24), torch.nn.Tanh(), torch.nn.Linear(24, 5))
with torch.no_grad():
    v = 3 * teacher(x)
labels = v.argmax(1)

ctx = kd.Context()
loss = kd.Loss(ctx)
loss.add(kd.LossKind.FORWARD_KL, 0.9, temperature=4)
loss.add(kd.LossKind.CROSS_ENTROPY, 0.1)
batch = kd.Batch(ctx).begin(512).set("label", labels.numpy())
targets = kd.Targets(ctx).begin(512).set("logits", v.numpy())

# The same objective in PyTorch, to compare once.
F = torch.nn.functional
z = student(x)
ours = Distillation.apply(z, loss, batch, targets)
theirs = 0.9 * 16 * F.kl_div(
    F.log_softmax(z / 4, 1), F.log_softmax(v / 4, 1), reduction="batchmean", log_target=True
) + 0.1 * F.cross_entropy(z, labels)
(mine,) = torch.autograd.grad(ours, z, retain_graph=True)
(other,) = torch.autograd.grad(theirs, z)
print(
    f"value {ours.item():.6f}, PyTorch {theirs.item():.6f}; largest difference of "
    f"gradients {(mine - other).abs().max().item():.1e}"
)
assert torch.allclose(mine, other, atol=1e-7) and torch.allclose(ours, theirs, atol=1e-5)

optimizer = torch.optim.AdamW(student.parameters(), 1e-2)
for step in range(200):
    optimizer.zero_grad()
    value = Distillation.apply(student(x), loss, batch, targets)
    value.backward()
    optimizer.step()
agreement = (student(x).argmax(1) == labels).float().mean().item()
print(
    f"loss {ours.item():.4f} at first, {value.item():.4f} after 200 steps; agreement "
    f"{agreement:.3f}"
)
sys.exit(agreement < 0.95)
