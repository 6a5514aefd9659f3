"""Measures jobq beside what the database allows, and beside other job systems: `python -m benchmarks all`.

On the embedded PostgreSQL unless told otherwise, with its default configuration: fsync and synchronous_commit are on,
history is kept, and jobq has its default settings. Contestants take turns in every round; machines swing, so look at
the spread. A run in which a job was lost or ran twice has no figure. What was measured goes to `benchmarks/results/`.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.measures import MEASURES
from benchmarks.peers import PEERS, LostOrDoubled, Peer, PeerUnavailable
from benchmarks.report import machine, markdown, svg

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "measures", nargs="*", metavar="MEASURE", help=f"all (the default), or some of {', '.join(MEASURES)}"
    )
    parser.add_argument("--jobs", type=int, default=100_000, help="jobs of a drain and of a bulk enqueue")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2, help="children of a worker")
    parser.add_argument("--scale", type=float, default=1.0, help="of the measures with millions of rows, and of waits")
    parser.add_argument("--peers", default="all", metavar="NAME,…", help=f"all, none, or some of {', '.join(PEERS)}")
    parser.add_argument("--environments", type=Path, default=Path(tempfile.gettempdir()) / "jobq-benchmark-peers")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="the folder for the table and the plot")
    parser.add_argument("--database-url", help="another database; its schema jobq_benchmark is dropped")
    chosen = parser.parse_args()
    wanted = chosen.measures or ["all"]
    if unknown := [name for name in wanted if name not in ("all", *MEASURES)]:
        parser.error(f"no measure is called {unknown[0]!r}: choose from all, {', '.join(MEASURES)}")
    results = chosen.results.absolute()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobq-benchmark-")))
        folder.chmod(0o755)  # as root, the embedded server is another user
        url = chosen.database_url or stack.enter_context(own_server(folder))
        peers, left_out = prepared(chosen.peers, url, chosen.environments)
        before = Path.cwd()
        bench = Bench(folder, url, chosen.jobs, chosen.rounds, chosen.processes, chosen.scale)
        stack.callback(os.chdir, before)
        stack.callback(bench.close)
        results.mkdir(parents=True, exist_ok=True)
        for name, measure in MEASURES.items():
            if "all" in wanted or name in wanted:
                try:
                    measure(bench, peers)
                except LostOrDoubled as error:
                    sys.exit(f"no figures: {error}")
                write(results, bench, peers, left_out)  # a run takes long: what there is by now is kept
        print((results / "results.md").read_text())


def write(results: Path, bench: Bench, peers: list[Peer], left_out: list[str]) -> None:
    words = [
        machine(bench.value("SHOW server_version")),
        "Its default configuration; fsync and synchronous_commit are on. jobq at its default settings, "
        f"{bench.processes} children a worker. {bench.jobs:,} jobs a drain; medians of {bench.rounds} "
        "interleaved rounds.",
        *(f"{peer.name} {peer.version}: {peer.settings}." for peer in peers),
        *left_out,
        *bench.left_out,
    ]
    names = [peer.name for peer in peers]
    (results / "results.md").write_text(markdown(bench.figures, names, [f"{line}  " for line in words]))
    (results / "results.svg").write_text(svg(bench.figures, names))


@contextmanager
def own_server(folder: Path) -> Iterator[str]:
    from jobq import embedded

    with embedded.attach(folder / "server", linger=0) as server:
        yield server.url
    embedded.stop(folder / "server")  # waits until it has gone: its folder is about to go


def prepared(wanted: str, url: str, environments: Path) -> tuple[list[Peer], list[str]]:
    """The peers that can be measured here, and why the others cannot."""
    names = {"all": list(PEERS), "none": []}.get(wanted, wanted.split(","))
    if unknown := [name for name in names if name not in PEERS]:
        sys.exit(f"there is no peer {', '.join(unknown)}; there are {', '.join(PEERS)}")
    peers, left_out = [], []
    for name in names:
        peer = PEERS[name](url, environments)
        try:
            peer.prepare()
            peers.append(peer)
        except PeerUnavailable as error:
            left_out.append(f"{name} was left out: {error}")
    return peers, left_out


if __name__ == "__main__":
    main()
