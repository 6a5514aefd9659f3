"""The columns of a short list of running jobs, beside other lists."""

from .. import formats
from ..context import Context
from ..widgets.rows import Column
from .figures_text import elapsed_text, usual_text
from .silent_text import worker_text


def running_columns(console: Context) -> list[Column]:
    state, glyphs = console.state, console.glyphs
    return [
        Column("", lambda job: f"#{job.id}", right=True, most=12),
        Column("", is_rest=True, fill=lambda job, width: formats.class_in(job.job_class, width)),
        Column("", lambda job: elapsed_text(job, state.snapshot, state.now, glyphs), right=True, most=9),
        Column("", lambda job: usual_text(job, state.snapshot, glyphs), right=True, most=16, least=44),
        Column("", lambda job: worker_text(job, state.snapshot, glyphs), most=22, least=50),
    ]
