"""From a journal to a DataFrame: which steps were hard, and what their samples cost.

Needs pandas (`pip install pandas`) and, for the file, pyarrow (`pip install 'maker[parquet]'`).
"""

import sys
import tempfile
from pathlib import Path

import maker

try:
    import pandas as pd
except ImportError:
    sys.exit("This example needs pandas: pip install pandas")

folder = Path(tempfile.mkdtemp())
task = maker.load_task("hanoi", disks=8)
maker.run_sync(task, model="oracle:p=0.9,v=0.95", k=4, journal=folder / "run.db")  # a simulated model

maker.export(folder / "run.db", folder / "samples.parquet", what="samples")
samples = pd.read_parquet(folder / "samples.parquet")
steps = samples.groupby("step").agg(
    samples=("draw", "size"), flagged=("flag", "count"), votes=("won", "sum"), tokens=("tokens_out", "sum")
)
print(steps.nlargest(3, "samples"))
print(f"{len(samples):,} samples of {len(steps):,} steps (simulated), {steps.samples.mean():.2f} a step")
