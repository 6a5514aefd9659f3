"""Fetches all pages of pages.txt, and prints a summary. Exits with 1 where a page could not be fetched."""

import sys

from jobs import PAGES, fetch

import jobq


def crawl(urls):
    records = [record for record in jobq.enqueue_many(fetch.job(url) for url in urls) if record]
    print(f"{len(records)} of {len(urls)} pages enqueued")
    attempts = jobq.wait(records, timeout=300)

    fetched = [attempt.value for attempt in attempts.values() if attempt.outcome == "successful"]
    print(f"{len(fetched)} fetched, {sum(page['bytes'] for page in fetched)} bytes")
    failed = [record for record in records if attempts[record.id].outcome != "successful"]
    for record in failed:
        print(f"job {record.id}, {record.arguments['url']}: {attempts[record.id].error_message}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(crawl(PAGES.read_text().split()))
