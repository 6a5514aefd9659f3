"""How many CPUs a worker may use: what is set on its own cgroup counts, and what is set above it."""

from pathlib import Path

import pytest

from jobq.runtime import machine

V2 = "cpu.max"
V1 = ("cpu/{}cpu.cfs_quota_us", "cpu/{}cpu.cfs_period_us")


@pytest.fixture(autouse=True)
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 8 CPUs without cgroups."""
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(machine, "affinity", lambda: 8)
    return tmp_path


def write(home: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


def v1(cgroup: str, quota: str, period: str = "100000\n") -> dict[str, str]:
    return {f"cgroup/{V1[0].format(cgroup)}": quota, f"cgroup/{V1[1].format(cgroup)}": period}


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        pytest.param({}, 8, id="no cgroups"),
        pytest.param({"own": "0::/\n", "cgroup/cpu.max": "max 100000\n"}, 8, id="no limit"),
        pytest.param({"cgroup/cpu.max": "200000 100000\n"}, 2, id="a container's"),
        pytest.param({"cgroup/cpu.max": "150000 100000\n"}, 2, id="a part of a CPU is rounded up"),
        pytest.param({"cgroup/cpu.max": "1000 100000\n"}, 1, id="at least one"),
        pytest.param({"cgroup/cpu.max": "9900000 100000\n"}, 8, id="more than there are"),
        pytest.param(
            {"own": "0::/system.slice/shop.service\n", "cgroup/system.slice/shop.service/cpu.max": "300000 100000\n"},
            3,
            id="a service's own",
        ),
        pytest.param(
            {
                "own": "0::/shop.slice/worker.service\n",
                "cgroup/shop.slice/cpu.max": "200000 100000\n",
                "cgroup/shop.slice/worker.service/cpu.max": "400000 100000\n",
            },
            2,
            id="one above it is stricter",
        ),
        pytest.param(
            {"own": "0::/host/names/of/a/container\n", "cgroup/cpu.max": "400000 100000\n"}, 4, id="names of the host"
        ),
        pytest.param(v1("", "-1\n"), 8, id="version 1, no limit"),
        pytest.param(v1("", "250000\n"), 3, id="version 1"),
        pytest.param(
            {"own": "4:memory:/m\n2:cpu,cpuacct:/docker/a:b\n0::/\n", **v1("docker/a:b/", "500000\n")},
            5,
            id="version 1, its own",
        ),
        pytest.param({"cgroup/cpu.max": "100000\n"}, 8, id="half a file"),
        pytest.param({"cgroup/cpu.max": "many 100000\n"}, 8, id="no number"),
        pytest.param({"cgroup/cpu.max": "100000 0\n"}, 8, id="no period"),
        pytest.param({"cgroup/cpu.max": "nan 1\n"}, 8, id="not a number"),
        pytest.param({"cgroup/cpu.max": "inf 1\n"}, 8, id="without end"),
        pytest.param({"own": "garbage\n::\n0::relative/../..\n", "cgroup/cpu.max": "200000 100000\n"}, 2, id="garbage"),
    ],
)
def test_the_strictest_quota_that_applies_limits_the_cpus(files: dict[str, str], cpus: int, cgroups: Path) -> None:
    write(cgroups, files)
    assert machine.usable_cpus() == cpus


def test_cgroups_that_cannot_be_read_are_no_limit(cgroups: Path) -> None:
    (cgroups / "cgroup" / "cpu.max").mkdir(parents=True)
    (cgroups / "own").write_bytes(b"0::/\xff\n")
    assert machine.usable_cpus() == 8


def test_affinity_leaves_fewer_than_the_quota(cgroups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(cgroups, {"cgroup/cpu.max": "600000 100000\n"})
    monkeypatch.setattr(machine, "affinity", lambda: 2)
    assert machine.usable_cpus() == 2
