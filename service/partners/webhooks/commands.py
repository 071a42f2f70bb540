"""`carbon courier`: the process that sends events to partners' endpoints."""

import asyncio
import signal

import click

from service.partners.webhooks.courier import Courier
from service.runtime import Runtime
from service.web.logs import log_as_json


@click.command("courier", help="Send events to partners' endpoints, until SIGTERM or Ctrl-C.")
@click.pass_obj
def courier_command(runtime: Runtime) -> None:
    """Work until stopped."""
    log_as_json()
    asyncio.run(_work(Courier(runtime.database, runtime.keys)))


async def _work(courier: Courier) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, courier.stop)
    await courier.run()
