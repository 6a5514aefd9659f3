"""The worker: a supervisor that owns jobs, and its children, which run them.

The way of a job, in the order in which it happens. Each step has a module, and each module one job:

    listener      hears that something was enqueued (`hints`), or a single job (`announced`)
    claimer       claims jobs for which there is `room`, where its `queue_map` says that some may be
    ownership     knows from then on that this worker has them
    preparer      loads arguments that are too large to come with the claim
    supply        passes them on to the stock, and asks for more in time
    stock         holds them until a child has room; gives them back if none comes free
    isolation     keeps suspected jobs apart: each runs alone, after its begin was committed
    dispatcher    decides which child gets which job, by the `pace` of late
    serial        sends them to one child, which runs them in turn; or
    concurrent    sends them to one child, which runs them side by side, because they are coroutines
    -----------   here the way goes into the child, through a socket (`protocol`)
    child         reads them, and says in memory that both sides share which one has begun (`ring`, `shared_memory`)
    execution     runs one job, and names its outcome
    coroutines    does the same for many of them in an event loop
    -----------   here the way goes back, through the ring or a pipe
    inbox         makes sound reports of the bytes, and refuses forged ones
    completer     records the reports

Some jobs take a byway:

    giving_back   puts claimed jobs back that have not begun and will not here
    missed        finds claims whose answers never came
    interrupter   tells a job to end, because it was cancelled or takes too long or too much memory; kills in the end
    inspector     asks jobs for their stacks, and reads their progress
    deaths        says what becomes of the jobs of a child that has died; `endings` makes the reports
    together      says which children were killed at about the same time
    hooks         runs the on_aborted() that such jobs are owed

The claimer, when it has nothing to claim:

    looking_around  makes due jobs pending, ends expired ones, finds queues
    idling        says when to look again; `waiting` tells enqueuers whether to notify

Around them stand the children and the loop:

    process       one process of the operating system
    child_state   the life of a child, drawn: where it stands, and why it dies
    supervised    one child: its process, its life and its jobs (`starting` starts it)
    roster        the children that there are
    crew          which children there should be (`slot`, `code_version`)
    children      puts together the modules that deal with children
    exchange      what the main loop has going with the database, and never waits for (`ear`)
    service       everything else that is done with the database, in a thread of its own (`services` has all)
    events        what reaches the main loop from other threads
    requests      what operators want of jobs
    supervisor    boots, turns the main loop, leaves
    loaded        the application, as children have imported it
    drain         whether all is done
    shutdown      how a worker stops
"""
