"""The ledger against the books of clients, while every piece of the service is killed.

SPDX-License-Identifier: MIT
"""

import os
import signal

import pytest
from audited import ACCOUNTS, Service, compare, survive
from shoal_harness import SLOW
from tally import Tally
from waiting import wait_for

SECONDS = 30


@pytest.mark.long
def test_the_ledger_has_what_clients_received(tmp_path):
    killed, received, wrong = survive(tmp_path, SECONDS)
    assert not wrong, "\n".join(wrong)
    assert all(killed.values()), f"nothing was tried: {killed}"
    assert received["requests"] > 100


def test_a_ledger_killed_just_before_the_stop_is_started_for_it(tmp_path):
    """What it had not flushed would be gone with the runtime directory."""
    with Service(tmp_path, "--ledger-flush", "3600") as service:
        with Tally(service.address, ACCOUNTS) as tally:
            wait_for(lambda: sum(a["requests"] for a in service.call("accounts.list")["accounts"])
                     > 100, 10 * SLOW)
            received = tally.stop()
        assert not service.booked()
        os.kill(service.find("ledger")[0], signal.SIGKILL)
        wrong = service.stop() + compare(received, service.booked(), 0) + service.check_file()
        assert not wrong, "\n".join(wrong)
