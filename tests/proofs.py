"""Lists every slow proof, what it shows, and how long it takes: `python -m tests.proofs`.

The tests that pytest runs are not in this list. A proof takes longer, and somebody starts it by hand.
"""

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proof:
    """A module that `python -m` runs; `takes` is its time with its default options on two cores."""

    module: str
    takes: str
    shows: str
    options: str = ""

    @property
    def command(self) -> str:
        return f"python -m {self.module} {self.options}".rstrip()


PROOFS = (
    Proof("tests.chaos", "5 min", "no promise is broken while everything fails at random (--minutes)"),
    Proof("tests.chaos", "6 min", "the same on three machines, some cut off, with clocks minutes apart", "--hosts"),
    Proof("tests.faults.kills", "2 to 10 min", "no job is lost or doubled while workers and children are killed"),
    Proof("tests.faults.failover", "2 min", "what was acknowledged survives three failovers to a standby"),
    Proof("tests.faults.soak", "5 min", "a million jobs leave memory, files, connections and disk as they were"),
    Proof("tests.faults.model", "5 min", "10,000 random steps agree with a model of the promises"),
    Proof("tests.faults.gates", "3 min", "10,000 random steps never run more jobs of a gate than its limit"),
    Proof("tests.faults.rates", "10 min", "100,000 starts under a stepping clock never pass a gate's rate"),
    Proof("tests.faults.last_words", "10 min", "the last line before SIGKILL is kept, 1,000 times; 1 GB harms nobody"),
    Proof("tests.faults.rows", "1 min", "rows written by hand stop no other job, look or act"),
    Proof("tests.faults.stubborn", "1 min", "six kinds of job that resist are cancelled, timed out and shut down"),
    Proof("tests.faults.upgrade", "1 min", "an older release works on while the schema is migrated, and can come back"),
    Proof("tests.faults.flood", "1 min", "another login's flood of notifications costs a worker little"),
    Proof("tests.faults.schedules", "4 min", "10,000 minutely schedules get each tick once, soon after the minute"),
    Proof("tests.faults.minutes", "4 min", "workers killed around full minutes neither drop nor repeat a tick"),
    Proof("tests.faults.ticks", "2 min", "ten years of ticks in three zones equal a walk through every minute"),
    Proof("tests.faults.troubles", "2 min", "five troubles are found and mended in the console with ten keys each"),
    Proof("tests.tui.bursts", "10 min", "10,000 random keys do nothing that was not confirmed (--keys)"),
    Proof("tests.tui.closings", "5 min", "the console leaves no process behind, however its terminal closes"),
    Proof("tests.django_suite", "1 min", "Django's own tests of task backends pass with jobq's (needs Django 6)"),
    Proof("tests.packaging", "1 min", "sdist and wheel are complete, have no strays, and install into nothing"),
    Proof("benchmarks", "1 to 2 h", "how fast jobq is, beside the database's limit and other job systems"),
    Proof("benchmarks.load", "5 min", "prepares a month of history and a million pending jobs for benchmarks.look"),
    Proof("benchmarks.look", "1 min", "how long each view takes on the tables of benchmarks.load"),
)


def main() -> None:
    commands = [proof.command for proof in PROOFS]
    width = max(map(len, commands))
    lines = [
        f"{command:<{width}}  {proof.takes:<11}  {proof.shows}" for command, proof in zip(commands, PROOFS, strict=True)
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
