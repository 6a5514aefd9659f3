"""A FastAPI application: one route is a coroutine, the other an ordinary function."""

from fastapi import FastAPI

from jobq import Job, register_job

app = FastAPI()
sent = []


@register_job
class Welcome(Job):
    def __init__(self, name: str):
        self.name = name

    async def run(self):
        sent.append(self.name)


@app.post("/users/{name}")
async def sign_up(name: str):
    record = await Welcome(name).run_in_worker_async()
    return {"job": record.id}


@app.post("/reminders/{name}")
def remind(name: str):
    return {"job": Welcome(name).run_in_worker(delay=86400).id}
