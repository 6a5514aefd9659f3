"""The worker: a supervisor that owns jobs, and its children, which run them.

The way of a job, step by step. Each step has a module:

    listener      hears that something was enqueued (`hints`), or a single job (`announced`)
    claimer       claims jobs for which there is `room`, where its `queue_map` says that some may be
    ownership     knows from then on that this worker has them
    preparer      loads arguments that are too large to come with the claim
    supply        passes them on to the stock, and asks for more in time
    stock         holds them until a child has room; gives them back if none comes free
    isolation     keeps suspected jobs apart: each runs alone, after its begin was committed
    dispatcher    decides which child gets which job, by the recent `pace`
    serial        sends them to one child, which runs them in turn; or
    concurrent    sends them to one child, which runs them side by side, because they are coroutines
    -----------   into the child, through a socket (`protocol`)
    child         reads them, and marks in shared memory which one has begun (`ring`, `shared_memory`)
    execution     runs one job, and decides its outcome
    coroutines    does the same for many jobs in an event loop
    -----------   back to the supervisor, through the ring or a pipe
    inbox         reads reports from the bytes, and refuses forged ones
    completer     records the reports

Exceptions on the way:

    giving_back   returns claimed jobs that will not begin here
    missed        finds claims whose answers were lost
    interrupter   stops a job after a cancel, a timeout or too much memory; kills it if it does not obey
    inspector     asks jobs for their stacks, and reads their progress
    job_lines     keeps, in the child, what jobs log and print (`line_ring`)
    line_watch    takes these lines where a job failed, died, runs for long or is followed (`follows`)
    deaths        decides about the jobs of a dead child; `endings` makes the reports
    together      finds children that were killed at about the same time
    hooks         calls on_aborted() of jobs that could not be told themselves

The claimer, when it has nothing to claim:

    looking_around  makes due jobs pending, ends expired ones, finds queues
    idling        says when to look again; `waiting` tells enqueuers whether to notify

Jobs with a gate are claimed by another way, and wait in no stock:

    gate_claimer  claims them through the gates at which something waits, for children that are free
    gate_map      says when each gate is worth a claim, and where its lanes are entered
    places        notes which attempts hold a place, and which have freed theirs

Around them stand the children and the loop:

    process       one process of the operating system
    child_state   the life of a child, drawn: where it stands, and why it dies
    supervised    one child: its process, its life and its jobs (`starting` starts it)
    roster        the children that there are
    crew          the children that there should be (`slot`, `code_version`)
    children      puts together the modules that deal with children
    exchange      database work of the main loop, which never waits for an answer (`ear`)
    service       all other database work, each in a thread of its own (`services` has all)
    log_keeper    writes lines of jobs into the database
    events        messages to the main loop from other threads
    requests      operators' requests about jobs
    supervisor    starts, turns the main loop, ends
    loaded        the application, as children have imported it
    drain         whether all work is done
    shutdown      how a worker stops
"""
