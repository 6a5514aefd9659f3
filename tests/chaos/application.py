"""The application that a chaos run works: its jobs, those who enqueue them, and those who operate on them."""

JOBS = '''
    import asyncio
    import os
    import random
    import resource
    import signal
    import time

    import psycopg
    from jobq import Defer, Gate, Job, Schedule, register_job
    from ledger_file import began, ended, note


    class LedgerJob(Job):
        """Writes down when it begins and when it has got to its end."""

        def __init__(self, token: str):
            self.token = token

        def run(self):
            began(self, self.token)
            self.work(random.Random(self.token))
            ended(self, self.token)

        def work(self, drawn):
            """The class's own work."""

        def get_queue(self):
            return "quick"

        def get_priority(self):
            return random.Random(self.token).randrange(3)

        def get_retry_delay(self, attempt):
            return 0.2


    @register_job
    class Short(LedgerJob):
        def work(self, drawn):
            time.sleep(drawn.uniform(0, 0.01))


    @register_job
    class Long(LedgerJob):
        def work(self, drawn):
            time.sleep(drawn.uniform(0.3, 1.5))

        def get_queue(self):
            return "slow"


    @register_job
    class Busy(LedgerJob):
        """Holds the interpreter's lock."""

        def work(self, drawn):
            sum(range(int(drawn.uniform(1e5, 1e6))))


    @register_job
    class Flaky(LedgerJob):
        def work(self, drawn):
            if self.job.tries == 1:
                raise RuntimeError("the first try fails")

        def get_retries(self):
            return 3


    @register_job
    class Failing(LedgerJob):
        def work(self, drawn):
            raise RuntimeError("it always fails")

        def get_retries(self):
            return 1


    @register_job
    class Dying(LedgerJob):
        """Takes its process along, the first time."""

        def work(self, drawn):
            if self.job.attempt == 1:
                note("dies", os.getpid(), self.token)
                os.kill(os.getpid(), signal.SIGKILL)


    @register_job
    class Poison(LedgerJob):
        """Takes its process along every time."""

        def work(self, drawn):
            note("dies", os.getpid(), self.token)
            os._exit(3)


    @register_job
    class Hungry(LedgerJob):
        """Gets no more memory: half of them by the kernel's limit, the others by jobq's."""

        def work(self, drawn):
            if drawn.random() < 0.5:
                soft, hard = resource.getrlimit(resource.RLIMIT_AS)
                pages = int(open("/proc/self/statm").read().split()[0])
                resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + 2**25, hard))
                try:
                    bytearray(2**29)
                finally:
                    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
            note("dies", os.getpid(), self.token)
            taken = [b"x" * 2**20 for _ in range(400)]
            time.sleep(5)
            raise RuntimeError(f"{len(taken)} MB were not too much")


    @register_job
    class Deferring(LedgerJob):
        def work(self, drawn):
            if self.job.attempt == 1:
                raise Defer(0.3)


    @register_job
    class Keyed(LedgerJob):
        def work(self, drawn):
            time.sleep(drawn.uniform(0, 0.1))


    @register_job
    class Gated(LedgerJob):
        """Two at once in all workers, and one in each of three lanes."""

        gate = Gate("far end", limit=2, lane_limit=1)

        def get_lane(self):
            return f"lane {random.Random(self.token).randrange(3)}"

        def work(self, drawn):
            time.sleep(drawn.uniform(0, 0.1))


    @register_job
    class ExactlyOnce(Job):
        """What it stores and its own end are one transaction."""

        def __init__(self, token: str):
            self.token = token

        def run(self):
            began(self, self.token)
            address = os.environ["JOBQ_DATABASE_URL"]
            with psycopg.connect(address, prepare_threshold=None, connect_timeout=5) as connection:
                connection.execute("INSERT INTO public.effects VALUES (%s)", [self.token])
                self.complete(connection)
                ended(self, self.token)

        def get_retries(self):
            return 5

        def get_retry_delay(self, attempt):
            return 0.2


    @register_job
    class Coroutine(LedgerJob):
        async def run(self):
            began(self, self.token)
            await asyncio.sleep(random.Random(self.token).uniform(0, 0.3))
            ended(self, self.token)


    # As two releases of the application, of which the second has given the class another name.
    if os.environ.get("APP_VERSION") == "1":

        @register_job
        class OldName(LedgerJob):
            pass

    else:

        @register_job(alias="jobs.OldName")
        class NewName(LedgerJob):
            pass


    @register_job
    class Ticking(Job):
        schedules = [
            Schedule.from_cron("* * * * *", name=f"tick-{number}", missed="all", arguments={"number": number})
            for number in range(5)
        ]

        def __init__(self, number: int):
            self.number = number

        def run(self):
            began(self)
            ended(self)
'''

MAY_ERROR = frozenset({"jobs.Flaky", "jobs.Failing", "jobs.Hungry", "jobs.ExactlyOnce"})
EXACTLY_ONCE = frozenset({"jobs.ExactlyOnce"})
GATE_LIMITS = {"far end": (2, 1)}

ENQUEUER = '''
    import os
    import random
    import sys
    import time
    from pathlib import Path

    import psycopg
    from jobq import enqueue_many
    from jobq.errors import AnswerLost, DatabaseError
    from jobs import *
    from ledger_file import note

    number, seed = sys.argv[1:]
    drawn = random.Random(f"{seed}-{number}")
    KINDS = [Short] * 60 + [Long] * 2 + [Busy] * 6 + [Flaky] * 6 + [Failing] * 3 + [Dying] + [Deferring] * 4
    KINDS += [ExactlyOnce] * 8 + [Coroutine] * 10 + [Gated] * 6
    KINDS += [OldName if os.environ.get("APP_VERSION") == "1" else NewName] * 8


    def some(count):
        made = []
        for _ in range(count):
            some.made += 1
            kind = drawn.choice(KINDS)
            if some.made % 211 == 0:
                kind = Poison if some.made % 422 == 0 and drawn.random() < 0.2 else Hungry
            made.append(kind(f"{number}-{some.made}"))
        return made


    some.made = 0


    def enqueue(jobs, kind, call):
        """Asks, and writes down what came of it: an answer, or that there is none."""
        for job in jobs:
            note("asked", job.token, kind)
        try:
            records = call()
        except AnswerLost as error:
            for job in jobs:
                note("unknown", job.token)
            time.sleep(0.1)
        except DatabaseError as error:
            for job in jobs:
                note("refused", job.token, type(error).__name__)
            time.sleep(0.1)
        except Exception as error:
            for job in jobs:
                note("surprise", job.token, repr(error).replace("\\n", " "))
        else:
            for job, record in zip(jobs, records):
                if record is None:
                    note("held", job.token)
                else:
                    note("acknowledged", job.token, record.id)


    def single():
        (job,) = some(1)
        enqueue([job], "single", lambda: [job.run_in_worker()])


    def delayed():
        (job,) = some(1)
        enqueue([job], "delayed", lambda: [job.run_in_worker(delay=drawn.uniform(0.2, 3))])


    def bulk():
        jobs = some(drawn.randrange(2, 60))
        enqueue(jobs, "bulk", lambda: enqueue_many(jobs))


    def keyed():
        some.made += 1
        job = Keyed(f"{number}-{some.made}")
        enqueue([job], "keyed", lambda: [job.run_in_worker(unique_key=f"key-{drawn.randrange(6)}")])


    connection = None


    def transactional():
        """With a row of the caller's own; a third of them are rolled back."""
        global connection
        (job,) = some(1)
        note("asked", job.token, "transactional")
        try:
            if connection is None or connection.closed:
                connection = psycopg.connect(os.environ["JOBQ_DATABASE_URL"], prepare_threshold=None, connect_timeout=5)
            connection.execute("INSERT INTO public.orders VALUES (%s)", [job.token])
            record = job.run_in_worker(connection=connection)
            if drawn.random() < 0.33:
                connection.rollback()
                note("rolled_back", job.token)
                return
        except (psycopg.Error, DatabaseError):
            note("rolled_back", job.token)  # nothing was committed, nor will be
            if connection is not None:
                connection.close()
            time.sleep(0.1)
            return
        try:
            connection.commit()
        except psycopg.Error as error:
            note("unknown", job.token, type(error).__name__)
            connection.close()
        else:
            note("acknowledged", job.token, record.id)


    while not Path("stop-enqueuers").exists():
        if Path("backlog").exists():
            time.sleep(0.05)
            continue
        drawn.choice([single, single, delayed, bulk, keyed, keyed, transactional, transactional])()
        time.sleep(drawn.uniform(0.01, 0.06))
'''

OPERATOR = '''
    import os
    import random
    import sys
    import time
    from pathlib import Path

    from jobq import operate
    from jobq.errors import DatabaseError
    from jobq.store.database import default_database
    from ledger_file import note

    number, seed = sys.argv[1:]
    drawn = random.Random(f"{seed}-operator-{number}")
    database = default_database()
    QUEUES = ["quick", "slow"]


    def known(count):
        """Jobs that were enqueued lately."""
        with open(os.environ["LEDGER"], "rb") as ledger:
            ledger.seek(max(0, os.fstat(ledger.fileno()).st_size - drawn.choice([20_000, 500_000])))
            lines = ledger.read().decode(errors="replace").splitlines()[1:]
        ids = [int(line.split("\\t")[3]) for line in lines if "\\tacknowledged\\t" in line]
        return drawn.sample(ids, min(len(ids), count))


    def act():
        verb = drawn.choice(["retry", "retry", "cancel", "cancel", "purge", "pause", "resume", "resume"])
        if verb == "pause":
            operate.pause_queues(database, [drawn.choice(QUEUES)])
        elif verb == "resume":
            operate.resume_queues(database, QUEUES)
        elif ids := known(drawn.randrange(1, 30)):
            try:
                acted = getattr(operate, verb)(database, ids)
            except DatabaseError:
                note("act_unknown", verb, ",".join(map(str, ids)))
                return
            if done := acted.done + acted.asked:
                note("acted", verb, ",".join(map(str, done)))


    is_ending = False
    while True:
        is_ending = Path("stop-operators").exists()
        try:
            if is_ending:
                operate.resume_queues(database, QUEUES)
                break
            act()
        except DatabaseError as error:
            note("operator_failed", type(error).__name__)
        except Exception as error:
            note("surprise", "-", repr(error).replace("\\n", " "))
        time.sleep(drawn.uniform(0.2, 0.8))
'''


NEIGHBOUR = '''
    import os
    import time
    from pathlib import Path

    import psycopg
    from ledger_file import note

    SETTINGS = "SELECT name, setting FROM pg_settings WHERE name NOT IN ('application_name', 'client_encoding')"
    LEFT_BEHIND = """
        SELECT 'LISTEN ' || channel FROM pg_listening_channels() AS channel
        UNION ALL
        SELECT statement FROM pg_prepared_statements
        UNION ALL
        SELECT 'a lock' FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
    """


    def look(connection):
        # Whether the session that the pooler has lent is as a new one of this role, and leads to the own table.
        ((customers,),) = connection.execute("SELECT count(*) FROM customers").fetchall()
        settings = dict(connection.execute(SETTINGS).fetchall())
        usual = look.usual = look.usual or settings
        # Settings of PL/pgSQL appear in a session that has called a function of jobq's.
        changed = {name: value for name, value in settings.items() if usual.get(name, value) != value}
        left = connection.execute(LEFT_BEHIND).fetchall()
        if customers != 3 or changed or left:
            note("surprise", "-", f"the neighbour found {customers} {changed} {left}".replace("\\n", " "))
        note("looked", "-")


    look.usual = None
    pooled = os.environ["JOBQ_DATABASE_URL"]
    while not Path("stop-operators").exists():
        # The first time past the pooler: nobody was there before.
        address = pooled if look.usual else os.environ["DIRECT_URL"]
        try:
            with psycopg.connect(address, prepare_threshold=None, connect_timeout=5) as connection:
                for _ in range(10):
                    look(connection)
                    connection.commit()  # lets go of the session
        except psycopg.Error:
            pass  # the pooler or the server is away: the others' business
        time.sleep(0.05)
'''
