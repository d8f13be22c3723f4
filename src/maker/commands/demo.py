"""`maker demo`: the million-step Towers of Hanoi on the bundled model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from maker.commands.shared import Json, run_shown, show_result
from maker.commands.verify import verify_and_leave
from maker.load import load_task

DEMO_TEMPERATURE = 1.6  # at 1.0 the bundled model is too seldom wrong to show anything


def demo(
    disks: Annotated[int, typer.Option(help="20 disks are 1,048,575 steps; 10 are 1,023.")] = 20,
    journal: Annotated[Path, typer.Option(help="Interrupt with Ctrl-C and run again to resume.")] = Path(
        "maker-demo.db"
    ),
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    segments: Annotated[int | None, typer.Option(help="Pieces side by side (1,024); 1 is strictly sequential.")] = None,
    as_json: Json = False,
) -> None:
    """Carry out a million steps of Towers of Hanoi without an error, then check them independently.

    By the bundled model, a small transformer that runs offline on this machine, at a temperature at
    which it gets about one answer in three hundred wrong.
    """
    task = load_task("hanoi", disks=disks, style="compact")
    settings: dict[str, Any] = {
        "model": "neural", "temperature": DEMO_TEMPERATURE, "k": "auto", "seed": seed, "segments": segments,
        "journal": journal,
    }  # fmt: skip
    result = run_shown(task, settings, f"hanoi, {disks} disks", quiet=as_json)
    if result.solved:
        verify_and_leave(journal, None, as_json=as_json, before=result)
    show_result(result, as_json=as_json)
    raise typer.Exit(result.exit_code)
