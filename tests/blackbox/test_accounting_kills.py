"""The ledger against the books of clients, while every piece of the service is killed.

SPDX-License-Identifier: MIT
"""

import pytest
from audited import survive

SECONDS = 30


@pytest.mark.long
def test_the_ledger_has_what_clients_received(tmp_path):
    killed, received, wrong = survive(tmp_path, SECONDS)
    assert not wrong, "\n".join(wrong)
    assert all(killed.values()), f"nothing was tried: {killed}"
    assert received["requests"] > 100
