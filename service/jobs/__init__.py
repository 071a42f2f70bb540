"""The queue's machinery: jobs deferred inside a transaction, and the worker that does them.

Knows nothing of what a job is about; packages declare their tasks in a `jobs.py` of their own, and
`service/worker.py` gathers them. Others may call `queue.enqueue` and declare `tasks.Task`.
"""
