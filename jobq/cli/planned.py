"""`python -m jobq.cli.planned`: the job that `jobq enqueue` with the words on stdin would enqueue, as JSON on stdout.

For `operate.plan`. On stdin, since everybody on the machine can read a command line, and arguments may be secret.
"""

import json
import sys

from jobq.cli import main

if __name__ == "__main__":
    command, *words = json.load(sys.stdin)
    main([command, "--plan", *words])
