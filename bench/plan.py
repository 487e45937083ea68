"""What a plan says beside what runs of one and of several ranks took: tokens a second, bytes sent,
memory of a rank.

    PEERS=folder RANKS_C=build/bench/ranks sh bench/with_peers.sh bench/plan.py [RANKS]

Bytes and memory have to agree within 15 % anywhere (else it ends with 1); times where the machine
has a core for each rank and nothing else runs.
"""

import json
import os
import sys

import ranks as runs

import kdistill as kd

SHAPES = (("Llama 288 x 6", runs.CONFIG, 4), ("384 x 8", runs.MIDDLE, 4))
WITHIN = 0.15


def machine_of():
    """What a rank's products and steps attain, and the exchange's bytes a second."""
    with kd.Context(threads=1) as ctx:
        machine = kd.plan_measure_machine(ctx)
    usual = runs.mpi(2, "exchange", json.dumps(runs.MIDDLE), 10)[2]
    return machine, usual["bytes"] / usual["seconds"]  # of two ranks, each sends as many


def plan_of(config, texts, ranks, machine, link):
    tokens = ranks * texts * runs.LENGTH
    with kd.Context(threads=1) as ctx:
        return kd.plan_estimate(
            ctx,
            config,
            ranks=ranks,
            samples=ranks * texts,
            tokens=tokens,
            batch_tokens=tokens,
            kind=0,
            flops=machine.flops,
            efficiency=machine.efficiency,
            link_bytes=link,
            latency=1e-6,
        )


def row(what, planned, measured):
    """Prints both; 1: they agree."""
    agrees = abs(planned / measured - 1) <= WITHIN if measured else planned == 0
    ratio = planned / measured if measured else 1
    print(f"  {what:28s} {planned:14.4g} {measured:14.4g} {ratio:7.3f} {'' if agrees else 'APART'}")
    return agrees


def main():
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    machine, link = machine_of()
    print(f"products {machine.flops / 1e9:.1f} GFLOP/s, steps {machine.efficiency:.2f} of them, ")
    print(f"exchange {link / 1e9:.2f} GB/s a rank, load {os.getloadavg()[0]:.2f}")
    agree, in_time = True, True
    for title, config, texts in SHAPES:
        for ranks in dict.fromkeys((1, most)):
            took = runs.train(ranks, config, texts, runs.STEPS)
            plan = plan_of(config, texts, ranks, machine, link)
            print(f"{title}, {ranks} rank(s)                    planned       measured   ratio")
            in_time &= row("tokens a second", plan.tokens_per_second, took["speed"])
            agree &= row("memory of a rank, bytes", plan.total_bytes, took["peak"])
            agree &= row("sent by a rank, bytes a step", plan.sent_bytes, took["sent"])
    print(f"bytes and memory within 15 %: {agree}; time: {in_time}")
    sys.exit(not agree)


if __name__ == "__main__":
    main()
