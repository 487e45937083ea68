"""Near duplicates that share a key's prompt, asked with SQL: near_duplicates.py RECORDS.jsonl OUT

Records go to DuckDB as Arrow's arrays, without a file between. Of answers to one prompt that agree
in their first words the longest stays; what is left goes to OUT, a file of Parquet, and is read
from there as records."""

import os
import sys

import duckdb
import pyarrow
import pyarrow.parquet

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import kdistill as kd

path, out = sys.argv[1:3]
ctx = kd.Context()
records = pyarrow.table(kd.RecordReader(ctx, path).to_arrow())
pairs = duckdb.sql("""
    select a.kd_line as first, b.kd_line as second,
           jaccard(a.kd_completion, b.kd_completion) as letters
    from records a join records b using (kd_prompt_key)
    where a.kd_line < b.kd_line and letters > 0.8
    order by letters desc
""")
print(f"{len(records)} records, {len(pairs.fetchall())} pairs of answers that are nearly the same")
kept = duckdb.sql("""
    select * from records
    qualify row_number() over (
        partition by kd_prompt_key, list_slice(string_split(kd_completion, ' '), 1, 4)
        order by length(kd_completion) desc) = 1
    order by kd_line
""")
pyarrow.parquet.write_table(pyarrow.table(kept), out)
with pyarrow.parquet.ParquetFile(out) as file:
    left = list(kd.RecordReader.from_arrow(ctx, file, once=True))
print(f"{len(left)} records are left: {', '.join(sorted({r['prompt'] for r in left}))}")
