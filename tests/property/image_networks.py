"""Networks of layers against torch: random small nets with batch norm, grouped and depthwise
convolutions, rectangular windows, pooling and residual sums. Outputs and gradients of training
passes, running statistics, evaluating passes (folded and not), folders, threads:
    python tests/property/image_networks.py [nets]
"""

import os
import sys
import tempfile

import numpy
import torch
from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd  # noqa: E402

torch.set_num_threads(1)  # the nets are small
contexts = [kd.Context(threads=threads) for threads in (1, 2)]
ACTIVATIONS = {
    "none": nn.Identity(),
    "relu": nn.ReLU(),
    "gelu": nn.GELU(),
    "tanh": nn.Tanh(),
    "sigmoid": nn.Sigmoid(),
    "relu6": nn.ReLU6(),
    "hardswish": nn.Hardswish(),
    "silu": nn.SiLU(),
}


def pair(rng, low, high):
    """A number for both sides, or one for each."""
    values = [int(v) for v in rng.integers(low, high + 1, 2)]
    return values[0] if rng.random() < 0.5 else values


def both(value):
    return (value, value) if isinstance(value, int) else tuple(value)


class Net:
    """A config and what torch makes of it, grown layer by layer."""

    def __init__(self, rng):
        self.rng, self.layers, self.modules, self.shapes = rng, [], [], []
        self.shape = tuple(int(v) for v in (rng.integers(1, 7), *rng.integers(5, 15, 2)))
        self.input_shape = list(self.shape)

    def add(self, spec, module, shape):
        self.layers.append(spec)
        self.modules.append(module)
        self.shape = tuple(shape)
        self.shapes.append(self.shape)

    def activation(self, spec):
        spec["activation"] = str(self.rng.choice(list(ACTIVATIONS)))
        return ACTIVATIONS[spec["activation"]]

    def window(self, kernels=3, strides=2):
        """kernel_size, stride and padding that fit the image, and what they leave."""
        kernel, stride = pair(self.rng, 1, kernels), pair(self.rng, 1, strides)
        most = min(both(kernel)) - 1
        padding = pair(self.rng, 0, most) if most else 0
        sides = zip(self.shape[1:], both(kernel), both(stride), both(padding), strict=True)
        left = [(n + 2 * p - k) // s + 1 for n, k, s, p in sides]
        fits = min(n + 2 * p - k for n, k, p in zip(self.shape[1:], both(kernel), both(padding)))
        return kernel, stride, padding, left, fits >= 0

    def conv(self, source=None, channels=None, stride=None):
        inputs = self.shape[0]
        divisors = [g for g in range(1, inputs + 1) if inputs % g == 0]
        groups = int(self.rng.choice([1, divisors[-1], self.rng.choice(divisors)]))
        channels = channels or groups * int(self.rng.integers(1, 12))
        if channels % groups:
            groups = 1
        kernel, stride_, padding, left, fits = self.window(4, 3)
        if stride is not None or not fits:
            kernel, stride_, padding = 1, stride or 1, 0
            left = [(n - 1) // s + 1 for n, s in zip(self.shape[1:], both(stride_), strict=True)]
        bias = bool(self.rng.integers(0, 2))
        spec = dict(type="conv2d", channels=channels, kernel_size=kernel, stride=stride_)
        spec |= dict(padding=padding, groups=groups, bias=bias)
        if source:
            spec["from"] = source
        made = nn.Conv2d(inputs, channels, kernel, stride_, padding, groups=groups, bias=bias)
        act = self.activation(spec) if self.rng.random() < 0.4 else nn.Identity()
        self.add(spec, nn.Sequential(made, act), (channels, *left))

    def norm(self):
        flat = len(self.shape) == 1
        spec = dict(type="batch_norm1d" if flat else "batch_norm2d")
        eps, momentum = float(self.rng.choice([1e-5, 1e-3])), float(self.rng.choice([0.1, 0.25]))
        spec |= dict(eps=eps, momentum=momentum)
        made = (nn.BatchNorm1d if flat else nn.BatchNorm2d)(self.shape[0], eps, momentum)
        nn.init.normal_(made.weight, 1, 0.3)
        nn.init.normal_(made.bias, 0, 0.3)
        self.add(spec, nn.Sequential(made, self.activation(spec)), self.shape)

    def pool(self):
        kernel, stride, _, left, fits = self.window()
        if not fits:
            return
        mean = self.rng.random() < 0.6
        padding = [k // 2 if self.rng.random() < 0.5 else 0 for k in both(kernel)]
        sides = zip(self.shape[1:], both(kernel), both(stride), padding, strict=True)
        left = [(n + 2 * p - k) // s + 1 for n, k, s, p in sides]
        spec = dict(type="avg_pool2d" if mean else "max_pool2d")
        spec |= dict(kernel_size=kernel, stride=stride, padding=padding)
        if mean:
            spec["count_include_pad"] = bool(self.rng.integers(0, 2))
            counts = spec["count_include_pad"]
            made = nn.AvgPool2d(kernel, stride, padding, count_include_pad=counts)
        else:
            made = nn.MaxPool2d(kernel, stride, padding)
        self.add(spec, made, (self.shape[0], *left))

    def block(self):
        """Two layers of the same shape around which the sum goes, or a projection."""
        start = len(self.layers) - 1
        begun = self.shape
        self.layers[start].setdefault("name", f"block {start}")
        name = self.layers[start]["name"] if self.rng.random() < 0.5 else f"hidden.{start}"
        self.conv()
        self.norm()
        ends, shape = len(self.layers) - 1, self.shape
        if shape != begun:
            body = f"body {ends}"
            self.layers[ends]["name"] = body
            self.shape = begun
            stride = [-(-a // b) for a, b in zip(begun[1:], shape[1:], strict=True)]
            fits = tuple((a - 1) // s + 1 for a, s in zip(begun[1:], stride, strict=True))
            if fits != shape[1:]:
                self.shape = shape
                return
            self.conv(name, shape[0], stride)
            self.norm()
            name = body
        spec = {"type": "add", "from": name}
        self.add(spec, self.activation(spec), shape)

    def finish(self):
        if self.rng.random() < 0.5:
            spec = {"type": "global_avg_pool2d"}
            self.add(spec, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), self.shape[:1])
        else:
            count = int(numpy.prod(self.shape))
            self.add({"type": "flatten"}, nn.Flatten(), (count,))
        units = int(self.rng.integers(2, 9))
        bias = bool(self.rng.integers(0, 2))
        spec = dict(type="linear", units=units, bias=bias)
        self.add(spec, nn.Linear(self.shape[0], units, bias=bias), (units,))
        self.norm()
        spec = dict(type="linear", units=3)
        self.add(spec, nn.Linear(units, 3), (3,))

    def config(self):
        return {"model_type": "sequential", "input_shape": self.input_shape, "layers": self.layers}

    def forward(self, x):
        """The outputs of all layers."""
        outputs, names = [], {}
        for i, (spec, module) in enumerate(zip(self.layers, self.modules, strict=True)):
            before = outputs[-1] if outputs else x
            source = names[spec["from"]] if "from" in spec else before
            if spec["type"] == "add":
                outputs.append(module(before + source))
            else:
                outputs.append(module(source))
            names[f"hidden.{i}"] = outputs[-1]
            names[spec.get("name")] = outputs[-1]
        return outputs


def grow(rng):
    net = Net(rng)
    net.conv()
    for _ in range(int(rng.integers(1, 4))):
        kind = rng.random()
        if kind < 0.45:
            net.block()
        elif kind < 0.7:
            net.conv()
            net.norm()
        elif kind < 0.85:
            net.pool()
        else:
            net.conv()
    net.finish()
    return net


def named(net):
    """{our name: torch's tensor} of all parameters and running statistics."""
    tensors = {}
    for i, module in enumerate(net.modules):
        for name, values in module.state_dict(keep_vars=True).items():
            if "num_batches" not in name:
                tensors[f"layers.{i}.{name.rsplit('.', 1)[-1]}"] = values
    return tensors


def relative(value, expected, least=1.0):
    expected = expected.detach().numpy()
    return float(numpy.abs(value - expected).max() / max(least, numpy.abs(expected).max()))


def check(what, error, limit, net):
    if not error <= limit:
        raise SystemExit(f"{what}: error {error:.1e}, at most {limit:.0e}: {net.config()}")


def train(net, context, model, rng, rows, worst):
    """Two micro-batches: values, gradients that add up, running statistics."""
    tensors = named(net)
    norm = 0.0
    for values in tensors.values():
        values.grad = None
    model.zero_gradients()
    last = len(net.layers) - 1
    for _ in range(2):
        x = rng.normal(size=(rows, *net.input_shape)).astype(numpy.float32)
        batch = kd.Batch(context).begin(rows)
        batch.set("inputs", x)
        model.forward(batch, kd.Mode.TRAIN)
        outputs = net.forward(torch.from_numpy(x))
        loss = 0
        for i in {last, int(rng.integers(0, last + 1))}:
            name = "logits" if i == last else f"hidden.{i}"
            error = relative(model.output(name), outputs[i])
            check(name, error, 1e-4, net)
            worst[0] = max(worst[0], error)
            weights = rng.normal(size=outputs[i].shape).astype(numpy.float32)
            model.add_output_gradient(name, weights)
            loss = loss + (outputs[i] * torch.from_numpy(weights)).sum()
        loss.backward()
        model.backward()
    norm = max(float(v.grad.norm()) for v in tensors.values() if v.grad is not None)
    for index, (name, values) in enumerate(model.tensors):
        expected = tensors[name]
        if "running" in name:
            check(name, relative(values, expected), 1e-5, net)
            gradient = float(numpy.abs(model.tensor_gradient(index)).max())
            check(f"gradient of {name}", gradient, 0, net)
            continue
        wanted = expected.grad if expected.grad is not None else torch.zeros_like(expected)
        size = max(float(wanted.norm()), 1e-3 * norm)
        error = float((torch.from_numpy(model.tensor_gradient(index)) - wanted).norm()) / size
        check(f"gradient of {name}", error, 1e-3, net)
        worst[1] = max(worst[1], error)


def evaluate(net, context, model, rng, rows, worst):
    """Folded, not folded, and from a folder that is frozen."""
    for module in net.modules:
        module.eval()
    x = rng.normal(size=(rows, *net.input_shape)).astype(numpy.float32)
    batch = kd.Batch(context).begin(rows)
    batch.set("inputs", x)
    outputs = net.forward(torch.from_numpy(x))
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        frozen = kd.Model.load(context, folder, frozen=True)
    folded = [m.forward(batch, kd.Mode.EVALUATE).output().copy() for m in (model, frozen)]
    if folded[0].tobytes() != folded[1].tobytes():
        raise SystemExit(f"a frozen model gives other bits: {net.config()}")
    frozen.keep("*")
    frozen.forward(batch, kd.Mode.EVALUATE)
    for i, expected in enumerate(outputs):
        name = "logits" if i == len(outputs) - 1 else f"hidden.{i}"
        error = relative(frozen.output(name), expected)
        check(f"evaluating, {name}", error, 1e-4, net)
        worst[2] = max(worst[2], error)
    error = relative(folded[1], outputs[-1])
    check("folded", error, 1e-4, net)
    worst[2] = max(worst[2], error)


def compare(seed, worst):
    torch.manual_seed(seed)
    net = grow(numpy.random.default_rng(seed))
    blocks = []
    for context in contexts:
        rng = numpy.random.default_rng(seed + 1)
        model = kd.Model(context, net.config())
        for module in net.modules:
            module.train()
            for part in module.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    part.reset_running_stats()
        tensors = named(net)
        for name, values in model.tensors:
            values[...] = tensors[name].detach().numpy()
        rows = int(rng.integers(2, 20))
        train(net, context, model, rng, rows, worst)
        evaluate(net, context, model, rng, rows, worst)
        blocks.append(model.parameters.tobytes() + model.gradients.tobytes())
    if blocks[0] != blocks[1]:
        raise SystemExit(f"one thread and two give other bits: {net.config()}")


def main():
    nets, worst = int(sys.argv[1]) if len(sys.argv) > 1 else 40, [0.0, 0.0, 0.0]
    for seed in range(nets):
        compare(seed, worst)
    print(
        f"{nets} nets agreed with torch {torch.__version__}: largest errors of outputs "
        f"{worst[0]:.1e}, gradients {worst[1]:.1e}, evaluating passes {worst[2]:.1e}"
    )


main()
