"""What a job forks or starts is an ordinary process: it has the usual signals, and none of jobq's descriptors."""

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Application, Store

JOBS = """
    import multiprocessing
    import os
    import signal
    import subprocess
    import time
    from concurrent.futures import ProcessPoolExecutor

    from jobq import Job, current, register_job

    if os.fork() == 0:
        pass  # a fork of the import itself: it ends when the import has ended
    else:
        os.wait()

    def sleep():
        time.sleep(600)

    def descriptors():
        paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd") if int(fd) > 2]
        return [os.readlink(path) for path in paths if os.path.lexists(path)]

    def handlers():
        return {name: str(signal.getsignal(getattr(signal, name))) for name in
                ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")}

    def tell(_=None):
        current().progress(1, 2)

    @register_job
    class Terminate(Job):
        def __init__(self, method):
            self.method = method

        def run(self):
            process = multiprocessing.get_context(self.method).Process(target=sleep)
            process.start()
            process.terminate()
            process.join(20)
            return process.exitcode

    @register_job
    class Fork(Job):
        def run(self):
            ends = []
            for _ in range(50):
                if (pid := os.fork()) == 0:
                    sleep()
                os.kill(pid, signal.SIGTERM)
                ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            return sorted(set(ends))

    @register_job
    class Pools(Job):
        def run(self):
            context = multiprocessing.get_context("fork")
            with context.Pool(1) as pool:
                found = [pool.apply(descriptors), pool.apply(handlers)]
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                return [*found, *pool.map(len, ["ab"]), *pool.map(tell, [0])]

    @register_job
    class Own(Job):
        def run(self):
            return descriptors()

    @register_job
    class Program(Job):
        def run(self):
            listed = subprocess.run(["ls", "-l", "/proc/self/fd"], close_fds=False, capture_output=True, text=True)
            return listed.stdout

    @register_job
    class Handled(Job):
        def run(self):
            signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
            ready, told = os.pipe()
            if (pid := os.fork()) == 0:
                os.write(told, b"x")
                sleep()
            os.read(ready, 1)
            os.kill(pid, signal.SIGTERM)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def test_what_a_job_forks_hears_signals_and_has_no_descriptor_of_jobq(
    application: "Application", store: "Store"
) -> None:
    application.write("jobs.py", JOBS)

    def add(job_class: str, **arguments: Any) -> int:
        job_id = store.add(job_class=f"jobs.{job_class}", arguments=json.dumps(arguments), timeout=60.0)
        assert job_id is not None
        return job_id

    own, pools, program = add("Own"), add("Pools"), add("Program")
    terminated = {method: add("Terminate", method=method) for method in ("fork", "spawn", "forkserver")}
    fork, handled = add("Fork"), add("Handled")
    done = application.jobq("run", "--drain", "--max-processes", "1")
    assert done.returncode == 0

    def value(job_id: int) -> Any:
        (result,) = store.results(job_id)
        assert result.outcome == "successful", result.traceback
        return result.value

    assert {method: value(job) for method, job in terminated.items()} == dict.fromkeys(terminated, -15)
    assert value(fork) == [-15]
    assert value(handled) == 7  # a handler that the application has set is the fork's, too

    ours = {path for path in value(own) if path.startswith(("socket:", "pipe:"))}
    assert len(ours) == 2
    found, signals, answer, told = value(pools)
    assert not ours & set(found)
    assert signals == {
        "SIGINT": "<built-in function default_int_handler>",
        **dict.fromkeys(["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"], "0"),
    }
    assert (answer, told) == (2, None)
    if sys.version_info >= (3, 13):  # before, the mapping of memory itself keeps a descriptor
        assert not any(path.startswith("/memfd:") for path in found)
    assert not [line for line in value(program).splitlines() if any(path in line for path in (*ours, "/memfd:"))]
    assert "closed the descriptors" not in done.stderr
