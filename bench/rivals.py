"""Rivals at their best. A rival runs in a process of its own under a setting: how its threads wait
(OMP_WAIT_POLICY active, passive or not set) and how many there are. Which one is best depends on
the rival, the work and the machine, so each is tried for a moment, and the best one is measured.

A rival is a function of a script that prepares its work and returns it as a callable. The worker
is stopped (SIGSTOP) while others run: threads that wait actively would take their processors.
"""

import collections
import ctypes
import json
import os
import signal
import subprocess
import sys
import time

Setting = collections.namedtuple("Setting", "waiting threads")
PR_SET_PDEATHSIG = 1  # of sys/prctl.h
WAITING = ("passive", "active", None)
CORES = len(os.sched_getaffinity(0))


def describe(setting):
    threads = "1 thread" if setting.threads == 1 else f"{setting.threads} threads"
    return f"OMP_WAIT_POLICY {setting.waiting or 'not set'}, {threads}"


def environment(setting):
    """That of a rival's process. PyTorch takes OMP_NUM_THREADS itself, others ask threads()."""
    found = dict(os.environ, OMP_NUM_THREADS=str(setting.threads))
    found.pop("OMP_WAIT_POLICY", None)
    if setting.waiting:
        found["OMP_WAIT_POLICY"] = setting.waiting
    return found


def threads():
    return int(os.environ.get("OMP_NUM_THREADS", CORES))


def spins():
    """Whether a rival with threads of its own lets them wait actively."""
    return os.environ.get("OMP_WAIT_POLICY") != "passive"


def onnx_options(onnxruntime):
    """ONNX Runtime has threads of its own: told what OpenMP's are told."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spins())))
    return options


def best_setting(cost):
    """The cheapest setting: the ways of waiting with all cores, then fewer threads with the best.

    cost: Setting -> a number, None where it does not run. None when no setting runs.
    """
    costs = {}

    def consider(settings):
        for setting in settings:
            found = cost(setting)
            if found is not None:
                costs[setting] = found
        return min(costs, key=costs.get) if costs else None

    best = consider(Setting(waiting, CORES) for waiting in WAITING)
    if best is None:
        return None
    return consider(Setting(best.waiting, count) for count in range(1, CORES))


class Worker:
    """A script's function in a process of its own: worker(n) gives n times of its work, seconds."""

    def __init__(self, script, name, arguments, setting):
        self.setting = setting
        self.process = subprocess.Popen(
            [sys.executable, script, "serve", name, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(setting),
        )
        self._answer()

    def __call__(self, count):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a rival did not run: status {self.process.wait()}")
        self.process.send_signal(signal.SIGSTOP)
        return json.loads(line)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def best_worker(script, name, arguments, tries=3):
    """The worker under its best setting, None where it runs under none."""

    def cost(setting):
        try:
            worker = Worker(script, name, arguments, setting)
        except RuntimeError:
            return None
        found = min(worker(tries))
        worker.close()
        return found

    setting = best_setting(cost)
    return setting and Worker(script, name, arguments, setting)


def serve(prepare, arguments):
    """The other end of a Worker: prepares, warms up, then times as often as each line asks."""
    # A stopped process does not see its parent end: the kernel ends it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the rival's packages print is no answer
    work = prepare(*arguments)
    for _ in range(3):
        work()
    print("[]", file=answers, flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        print(json.dumps(times), file=answers, flush=True)


def write_tables(path, results):
    """results as PATH.json, and PATH.md with a column for each key."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".json", "w") as file:
        json.dump(results, file, indent=1)
    keys = list(results[0]) if results else []
    lines = ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys)]
    lines += ["| " + " | ".join(_cell(r[key]) for key in keys) + " |" for r in results]
    with open(path + ".md", "w") as file:
        file.write("\n".join(lines) + "\n")
    print(f"wrote {path}.json and {path}.md")


def _cell(value):
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
