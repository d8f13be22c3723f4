"""One step decided: what is asked, what came back, flags, ballots, verdict. Pure: no IO, no clock, no chance."""
