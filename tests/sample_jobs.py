"""The jobs that tests of the worker run: written into an application's folder as its jobs.py."""

import asyncio
import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from jobq import Job, register_job


@register_job
class Echo(Job):
    """Returns what it was given."""

    def __init__(self, value=None):
        self.value = value

    def run(self):
        return self.value


@register_job(alias="jobs.OldName")
class NewName(Job):
    def run(self):
        return "by its new name"


@register_job
class Note(Job):
    """Appends a line to a file."""

    def __init__(self, file, text):
        self.file, self.text = file, text

    def run(self):
        with open(self.file, "a") as out:
            out.write(f"{self.text}\n")


@register_job
class Process(Job):
    """Returns its process id, after a while."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds

    def run(self):
        time.sleep(self.seconds)
        return os.getpid()


@register_job
class Wait(Job):
    """Says in one file that it runs, and ends when another file is there."""

    def __init__(self, started, go):
        self.started, self.go = Path(started), Path(go)

    def run(self):
        self.started.write_text(str(os.getpid()))
        while not self.go.exists():
            time.sleep(0.005)


@register_job
class Program(Job):
    """Starts a program, and says what its exit code is when it is let go: None where it runs."""

    def __init__(self, pid, go):
        self.pid, self.go = Path(pid), Path(go)

    def run(self):
        with subprocess.Popen(["sleep", "600"]) as program:
            self.pid.write_text(str(program.pid))
            while not self.go.exists():
                time.sleep(0.01)
            code = program.poll()
            program.kill()
        return code


@register_job
class Fail(Job):
    """Raises with a cause, in a function of its own."""

    def __init__(self, delay=0):
        self.delay = delay

    def run(self):
        try:
            look_up({}, "missing")
        except KeyError as error:
            raise RuntimeError("the look-up failed") from error

    def get_retry_delay(self, attempt):
        return self.delay * attempt


def look_up(table, key):
    return table[key]


@register_job
class Die(Job):
    """Ends its process in one of many ways."""

    def __init__(self, how, once=None):
        self.how, self.once = how, once

    def run(self):
        if self.once is not None:
            if Path(self.once).exists():
                return "alive the second time"
            Path(self.once).touch()
        return getattr(self, self.how)()

    def kill(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def exit(self):
        os._exit(3)

    def exit_quietly(self):
        os._exit(0)

    def segfault(self):
        ctypes.string_at(0)


@register_job
class Misbehave(Job):
    """Does to its process what jobs should not do."""

    def __init__(self, how):
        self.how = how

    def run(self):
        return getattr(self, self.how)()

    def system_exit(self):
        sys.exit("I am out")

    def keyboard_interrupt(self):
        raise KeyboardInterrupt

    def run_out_of_memory(self):
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + (64 << 20), resource.RLIM_INFINITY))
        return bytearray(1 << 30)

    def change_surroundings(self):
        os.chdir("/")
        os.environ.clear()
        sys.path.clear()
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        threading.Thread(target=time.sleep, args=[1]).start()
        raise GeneratorExit

    def fork(self):
        os.fork()
        return "forked"

    def close_descriptors(self):
        os.closerange(3, 200)

    def replace_descriptors(self):
        os.closerange(3, 64)
        Misbehave.kept = [socket.socketpair() for _ in range(10)]

    def replace_descriptors_and_fail(self):
        self.replace_descriptors()
        raise ValueError("of which nobody hears")

    def write_into_descriptors(self):
        for fd in range(3, 64):
            try:
                os.write(fd, b"no report of yours\n")
            except OSError:
                continue
        time.sleep(600)  # its process is killed meanwhile

    def forge_reports(self):
        own = self.job.id
        forged = [
            b'{"ready":1}',
            b'{"ready":{"classes":[{}],"schedules":[]}}',
            b'{"failed":{}}',
            b'{"progress":1}',
            b'{"progress":[[],1,{}]}',
            b'{"stack":[[]]}',
            b"[" * 5000,
            b'[true,true,"successful",1.0,2.0]',
            b'[%d,1,"errored",1.0,2.0,0,0,{"a":1},["b"],7]' % own,
            b'[%d,1,"errored",1.0,2.0,0,0,null,"E","m","t",1e300]' % own,
            b'[[1],1,"successful",1.0,2.0]',
            b'[1,1,"bogus",1.0,2.0]',
            b'[1,1,"lost","x","y"]',
            b"[1,1,{},1.0,2.0]",
        ]
        for fd in range(3, 64):
            try:
                os.write(fd, b"\n".join(forged) + b"\n")
            except OSError:
                continue
        time.sleep(600)  # its process is killed meanwhile

    def write_without_a_line(self):
        descriptors = Path("/proc/self/fd").iterdir()
        (pipe,) = (int(each.name) for each in descriptors if each.is_fifo() and int(each.name) > 2)
        while True:
            os.write(pipe, b"x" * 65536)

    def leave_a_process(self):
        return subprocess.Popen(["sleep", "600"]).pid

    def change_signals(self):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def shout(self):
        sys.stdout.write("x" * 10_000_000)

    def hold_the_gil(self):
        # usleep through PyDLL keeps the GIL: no other thread of this process runs meanwhile.
        ctypes.PyDLL(None).usleep(600_000_000)


@register_job
class Later(Job):
    """Its run() is a coroutine."""

    async def run(self):
        await asyncio.sleep(0)
        return "awaited"


@register_job
class Parent(Job):
    """Enqueues another job while it runs."""

    def run(self):
        return Echo("from its parent").run_in_worker().id
