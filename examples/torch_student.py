"""A PyTorch module as student: the forward pass and the optimizer are PyTorch's, the loss and its
gradient are the library's."""

import os
import sys

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
from kdistill.torch import DistillLoss


torch.manual_seed(0)
x = torch.randn(512, 16)
teacher = torch.nn.Linear(16, 5)
student = torch.nn.Sequential(torch.nn.Linear(16, 24), torch.nn.Tanh(), torch.nn.Linear(24, 5))
with torch.no_grad():
    v = 3 * teacher(x)
labels = v.argmax(1)

criterion = DistillLoss().add("forward_kl", 0.9, temperature=4).add("cross_entropy", 0.1)

# The same objective in PyTorch, to compare once.
F = torch.nn.functional
z = student(x)
ours = criterion(z, labels, teacher=v)
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
    value = criterion(student(x), labels, teacher=v)
    value.backward()
    optimizer.step()
agreement = (student(x).argmax(1) == labels).float().mean().item()
print(
    f"loss {ours.item():.4f} at first, {value.item():.4f} after 200 steps; agreement "
    f"{agreement:.3f}"
)
sys.exit(agreement < 0.95)
