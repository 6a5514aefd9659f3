"""Fetches the pages of a site: each is a job, and every night all of them are fetched again."""

import hashlib
import urllib.error
import urllib.request
from pathlib import Path

from jobq import Fail, enqueue_many, job

PAGES = Path(__file__).with_name("pages.txt")


@job(queue="pages", retries=3, retry_delay=lambda attempt: 2 ** (attempt - 1), timeout=30, unique_key="page {url}")
def fetch(url: str):
    """Fetches one page, and keeps its size and its fingerprint."""
    try:
        with urllib.request.urlopen(url) as answer:
            page = answer.read()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise Fail(f"{url} is gone") from error  # no retry would help
        raise
    return {"bytes": len(page), "sha256": hashlib.sha256(page).hexdigest()}


@job(schedule="0 3 * * *")
def crawl_again():
    """Enqueues every page; those that wait from before are not enqueued twice."""
    records = enqueue_many(fetch.job(url) for url in PAGES.read_text().split())
    return sum(record is not None for record in records)
