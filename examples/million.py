"""A million steps without an error, from code; interrupt it and run it again to resume.

Takes the number of disks as its argument (20 is the million; 10 is quick).
"""

import sys
from pathlib import Path

import maker

disks = int(sys.argv[1]) if len(sys.argv) > 1 else 20
task = maker.load_task("hanoi", disks=disks)
journal = Path(sys.argv[2] if len(sys.argv) > 2 else "million.db")
result = maker.run_sync(task, model="oracle:p=0.99,v=0.98", k="auto", journal=journal)
print(f"solved: {result.solved}, steps: {result.steps:,}, samples: {result.samples:,}, k = {result.k} (simulated)")
hardest = max(result.verdicts(), key=lambda verdict: verdict.samples)
print(f"hardest step: {hardest.step}, {hardest.samples} samples, votes {list(hardest.votes.values())}")
