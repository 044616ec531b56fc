"""How a step waits for its pool: asleep, and ready to be canceled.

Dagster 1.13's in-process executor does neither. Its wait is `min([0, …])` seconds long, so that a waiting run keeps a
core busy, and it looks for an interrupt only inside steps, so that Ctrl-C, or Terminate in the UI, does nothing until
the pool is free.
"""

import time

from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._utils.interrupts import pop_captured_interrupt

# How long a pool can have been free before the run that waits for it notices.
POOL_POLL_SECONDS = 0.5
_INTERRUPT_POLL_SECONDS = 0.05


def sleep_before_next_claim() -> None:
    """Wait a little; to be called where a claim was refused.

    Raises:
        DagsterExecutionInterruptedError: The run was interrupted meanwhile; Dagster ends it.
    """
    until = time.monotonic() + POOL_POLL_SECONDS
    while time.monotonic() < until:
        if pop_captured_interrupt():
            raise DagsterExecutionInterruptedError("Interrupted while waiting for a pool.")
        time.sleep(_INTERRUPT_POLL_SECONDS)
