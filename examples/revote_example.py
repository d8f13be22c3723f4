"""Count stored samples again under other settings; nothing is sent.

Takes the journal's file as its argument; makes one of a simulated model if there is none.
"""

import sys
from pathlib import Path

import maker

journal = Path(sys.argv[1] if len(sys.argv) > 1 else "revote.db")
if not journal.exists():
    made = maker.run_sync(
        maker.load_task("hanoi", disks=9), model="oracle:p=0.95,v=0.95", k=5, journal=journal, keep_samples="all"
    )
    print(f"a run with k = 5: {made.steps} steps, {made.samples} samples, {made.wrong} wrong (simulated model)")

for k in (1, 2, 3, 5, 8):
    again = maker.revote(journal, k=k)
    print(
        f"with k = {k}: {len(again.changed):>3} steps would have another winner, {again.same:>3} the same with "
        f"{again.samples} samples, {again.undecidable} cannot be told from what is stored"
    )

strict = maker.revote(journal, flags="paper")
print(f"with the paper's two flags: {len(strict.changed)} other winners, {strict.admitted} flagged samples would vote")
