"""Extract a table record by record: each line one voted step, journaled, so that a crash costs nothing.

Takes the journal's file as its argument; the same command resumes it.
"""

import re
import sys
from collections.abc import Sequence

from pydantic import BaseModel

import maker
from maker import Request, Sample

LINES = [
    "2 kg of apples were sold to Ms Okafor for 5.40",
    "Mr Lindqvist paid 12.00 for 4 kg of pears",
    "5.10 from Dr Abe: 3 kg of plums",
]


class Sale(BaseModel):
    """One row of the table."""

    buyer: str
    fruit: str
    kilos: int
    paid: float


class Sloppy:
    """A stand-in that misreads a number now and then; put the model you use in its place."""

    name, simulated, lockstep = "sloppy", True, True

    async def draw(self, requests: Sequence[Request]) -> list[Sample]:
        return [Sample(self.reply(request.prompt, request.seed)) for request in requests]

    def reply(self, prompt: str, seed: int) -> str:
        line = prompt.splitlines()[-1]
        buyer, fruit = re.search(r"(?:Ms|Mr|Dr) (\w+)", line)[1], re.search(r"kg of (\w+)", line)[1]
        kilos, paid = int(re.search(r"(\d+) kg", line)[1]), re.search(r"\d+\.\d\d", line)[0]
        return Sale(buyer=buyer, fruit=fruit, kilos=kilos + (seed % 5 == 0), paid=float(paid)).model_dump_json()


verdicts = maker.map_sync(
    "Answer with one JSON object with buyer, fruit, kilos and paid.\n{item}",
    LINES,
    model=Sloppy(),
    answer=Sale,
    key=lambda sale: (sale.buyer.casefold(), sale.fruit, sale.kilos, round(sale.paid, 2)),
    journal=sys.argv[1] if len(sys.argv) > 1 else None,
)
for verdict in verdicts:
    row = verdict.answer
    print(f"{row.buyer:<10} {row.fruit:<7} {row.kilos:>3} kg {row.paid:>6.2f}   {verdict.samples} samples")
print(f"stopped: {verdicts.stopped}")
