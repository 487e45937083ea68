"""Makes tests/goldens/goldens.h from PyTorch 2.15 (make peers installs it): python3
tests/goldens/make.py > tests/goldens/goldens.h

Inputs are formulas that the tests compute as well, so only outputs are stored.
"""

import math
import torch

torch.set_num_threads(1)
print(
    "/* Made by tests/goldens/make.py with PyTorch %s. Do not edit. */"
    % torch.__version__.split("+")[0]
)


def emit(name, values):
    flat = torch.as_tensor(values, dtype=torch.float64).flatten().tolist()
    print(f"static const double {name}[] = {{ " + ", ".join(f"{x:.9g}" for x in flat) + " };")


# ---- optimizers: 7 numbers, 60 steps of g = sin(1.3 t + 0.7 i) (1 + i), from p = 0.1 (i + 1);
# every 10th state ----
def trajectory(make, clip_norm=None, clip_value=None, max_norm=None):
    p = torch.nn.Parameter(torch.tensor([0.1 * (i + 1) for i in range(7)]))
    optimizer, states = make([p]), []
    for t in range(60):
        p.grad = torch.tensor(
            [math.sin(1.3 * t + 0.7 * i) * (1 + i) for i in range(7)], dtype=torch.float32
        )
        if clip_value:
            torch.nn.utils.clip_grad_value_([p], clip_value)
        if clip_norm:
            torch.nn.utils.clip_grad_norm_([p], clip_norm)
        optimizer.step()
        if t % 10 == 9:
            states.append(p.detach().clone())
    return torch.stack(states)


emit("golden_sgd", trajectory(lambda p: torch.optim.SGD(p, 0.05, weight_decay=0.1)))
emit(
    "golden_momentum",
    trajectory(lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.01)),
)
emit("golden_nesterov", trajectory(lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True)))
emit(
    "golden_adamw",
    trajectory(lambda p: torch.optim.AdamW(p, 0.05, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.1)),
)
emit("golden_adam", trajectory(lambda p: torch.optim.Adam(p, 0.05, weight_decay=0.1)))
emit("golden_clip_norm", trajectory(lambda p: torch.optim.SGD(p, 0.05), clip_norm=1.5))
emit("golden_clip_value", trajectory(lambda p: torch.optim.AdamW(p, 0.05), clip_value=0.7))


# ---- schedules: 60 steps ----
def rates(make, count=60):
    p = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([p], 2.0)
    scheduler, values = make(optimizer), []
    for _ in range(count):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


lr = torch.optim.lr_scheduler
emit(
    "golden_cosine",
    rates(
        lambda o: lr.LambdaLR(
            o, lambda t: (0.2 + 1.8 * (1 + math.cos(math.pi * min(t, 50) / 50)) / 2) / 2
        )
    ),
)
emit("golden_exponential", rates(lambda o: lr.ExponentialLR(o, 0.1 ** (1 / 50)), 51))
emit("golden_step", rates(lambda o: lr.StepLR(o, 7, 0.5)))
emit("golden_polynomial", rates(lambda o: lr.PolynomialLR(o, 50, 2.0)))
emit("golden_linear", rates(lambda o: lr.LinearLR(o, 1.0, 0.1, 50)))


def plateau(mode, cooldown):
    p = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([p], 2.0)
    scheduler = lr.ReduceLROnPlateau(
        optimizer,
        mode,
        factor=0.5,
        patience=2,
        threshold=1e-3,
        cooldown=cooldown,
        min_lr=0.1,
        eps=0,
    )
    values = []
    for t in range(60):
        scheduler.step(5 + math.sin(0.9 * t) - (0.02 * t if t < 20 else 0.4))
        values.append(optimizer.param_groups[0]["lr"])
    return values


emit("golden_plateau_min", plateau("min", 0))
emit("golden_plateau_max", plateau("max", 3))


# ---- models: weights 0.3 sin(0.37 n + 1) over all parameters in order, inputs cos(0.11 n), loss =
# sum of logits * sin(n) ----
def model(network, shape):
    network = network.double()
    n = 0
    for p in network.parameters():
        k = torch.arange(n, n + p.numel(), dtype=torch.float64)
        p.data = (0.3 * torch.sin(0.37 * k + 1)).reshape(p.shape)
        n += p.numel()
    x = torch.cos(0.11 * torch.arange(math.prod(shape), dtype=torch.float64)).reshape(shape)
    z = network(x)
    (z.flatten() * torch.sin(torch.arange(z.numel(), dtype=torch.float64))).sum().backward()
    gradient = torch.cat([p.grad.flatten() for p in network.parameters()])
    return z, gradient


nn = torch.nn
for name, activation in (
    ("relu", nn.ReLU),
    ("gelu", nn.GELU),
    ("tanh", nn.Tanh),
    ("sigmoid", nn.Sigmoid),
):
    z, g = model(
        nn.Sequential(
            nn.Linear(5, 7), activation(), nn.Linear(7, 4), activation(), nn.Linear(4, 3)
        ),
        (4, 5),
    )
    emit(f"golden_mlp_{name}_logits", z)
    emit(f"golden_mlp_{name}_gradient", g)
z, g = model(
    nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(16, 3),
    ),
    (3, 2, 8, 8),
)
emit("golden_cnn_logits", z)
emit("golden_cnn_gradient", g)

# ---- losses on 6 rows of 9: z = 3 sin(1.7 n), v = 4 cos(0.9 n), label = row % 9; sums without T^2,
# gradients of the sum ----
F = torch.nn.functional


def loss(function):
    n = torch.arange(54, dtype=torch.float64)
    z = (3 * torch.sin(1.7 * n)).reshape(6, 9).requires_grad_()
    v = (4 * torch.cos(0.9 * n)).reshape(6, 9)
    value = function(z, v, torch.arange(6))
    value.backward()
    return torch.cat([value.detach().reshape(1), z.grad.flatten()])


def dkd(z, v, y, alpha=1.0, beta=8.0, t=4.0):
    """The definition of Zhao et al. 2022, eq. 7, class by class."""
    p, q = F.softmax(v / t, 1), F.softmax(z / t, 1)
    total = 0
    for i in range(len(y)):
        others = [c for c in range(z.shape[1]) if c != y[i]]
        py, qy = p[i, y[i]], q[i, y[i]]
        total = total + alpha * (py * (py / qy).log() + (1 - py) * ((1 - py) / (1 - qy)).log())
        ph, qh = p[i, others] / (1 - py), q[i, others] / (1 - qy)
        total = total + beta * (ph * (ph / qh).log()).sum()
    return total


def jsd(z, v, b, t):
    p, q = F.softmax(v / t, 1), F.softmax(z / t, 1)
    m = b * p + (1 - b) * q
    return b * (p * (p / m).log()).sum() + (1 - b) * (q * (q / m).log()).sum()


emit("golden_cross_entropy", loss(lambda z, v, y: F.cross_entropy(z, y, reduction="sum")))
emit(
    "golden_smoothed",
    loss(lambda z, v, y: F.cross_entropy(z, y, reduction="sum", label_smoothing=0.1)),
)
emit(
    "golden_forward_kl",
    loss(
        lambda z, v, y: F.kl_div(
            F.log_softmax(z / 3, 1), F.log_softmax(v / 3, 1), reduction="sum", log_target=True
        )
    ),
)
emit(
    "golden_reverse_kl",
    loss(
        lambda z, v, y: F.kl_div(
            F.log_softmax(v / 3, 1), F.log_softmax(z / 3, 1), reduction="sum", log_target=True
        )
    ),
)
emit("golden_jsd", loss(lambda z, v, y: jsd(z, v, 0.3, 2)))
emit("golden_dkd", loss(lambda z, v, y: dkd(z, v, y)))
emit(
    "golden_binary",
    loss(lambda z, v, y: F.binary_cross_entropy_with_logits(z, torch.sigmoid(v), reduction="sum")),
)
emit("golden_mse", loss(lambda z, v, y: F.mse_loss(z, v, reduction="sum") / 9))
emit("golden_huber", loss(lambda z, v, y: F.huber_loss(z, v, reduction="sum", delta=1.5) / 9))
