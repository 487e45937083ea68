"""Speed of curation on one thread: near duplicates (in memory, and in files), each rule, reading.

    python bench/curation.py DATA [MEGABYTES]

DATA/gsm8k has real rationales; they are read again and again, with numbers between the words so
that texts differ, until MEGABYTES came.
"""

import json
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import kdistill as kd

data, megabytes = sys.argv[1], float((sys.argv[2:3] or [60])[0])
ctx = kd.Context(threads=1, seed=1)
with tempfile.TemporaryDirectory() as folder:
    source = [json.loads(line) for line in open(data + "/gsm8k/train.jsonl")]
    size, n, path = 0, 0, folder + "/records.jsonl"
    with open(path, "w") as file:
        while size < megabytes * 1e6:
            item = source[n % len(source)]
            text = " ".join(
                f"{(n * 7919 + i) % 9973} {word}" if i % 9 == 0 else word
                for i, word in enumerate((item["question"] + "\n" + item["answer"]).split(" "))
            )
            size += len(text.encode())
            file.write(
                json.dumps({"prompt": str(n), "completion": text, "expected": item["answer"]})
                + "\n"
            )
            n += 1
    reader = kd.RecordReader(ctx, path)

    def timed(*kinds, **options):
        best = 1e9
        for _ in range(3):
            curation = kd.Curation(ctx, **options)
            for kind in kinds:
                curation.add(kind)
            began = time.perf_counter()
            curation.run(reader)
            best = min(best, time.perf_counter() - began)
        return best, curation.funnel[-1]

    passes, _ = timed()  # two readings, no filter
    print(
        f"{n} records, {size / 1e6:.0f} MB of text; "
        f"two passes of reading {size / 1e6 / passes:.0f} MB/s"
    )
    for name in (
        "LENGTH",
        "REPETITION",
        "SCRIPTS",
        "MARKUP",
        "PARAGRAPHS",
        "DUPLICATES",
        "NEAR_DUPLICATES",
        "VERIFY",
    ):
        seconds, last = timed(kd.FilterKind[name])
        beside = seconds - passes  # within a tenth of the reading it is noise
        alone = (
            f"{size / 1e6 / beside:7.0f} MB/s beside the reading"
            if beside > passes / 10
            else "   not seen beside the reading"
        )
        print(
            f"{name.lower():16} {alone}, {size / 1e6 / seconds:6.0f} MB/s with it; "
            f"{last.dropped} dropped"
        )
    inside, first = timed(kd.FilterKind.NEAR_DUPLICATES)
    for part in (1, 8):  # of what memory alone would take
        outside, second = timed(
            kd.FilterKind.NEAR_DUPLICATES, folder=folder, memory=max(1 << 20, n * 1024 // part)
        )
        print(
            f"near duplicates in files, 1/{part} of their memory: {outside / inside:.2f} times the "
            f"seconds; the same {second.dropped} dropped: {second.dropped == first.dropped}"
        )
