"""The memberships in memory, while they are read and changed at once."""

import asyncio
from types import SimpleNamespace

from gateway.contract.rooms import Member, Memberships
from gateway.core.members import MemberAccess

OWNER, BEN = Member("user", "anna", "owner"), Member("user", "ben", "member")


async def test_a_change_during_a_read_is_not_undone_by_what_was_read_before_it() -> None:
    access, may_answer, read = MemberAccess(), asyncio.Event(), asyncio.Event()
    stored = {7: [OWNER]}

    async def memberships(_: object) -> Memberships:
        seen = Memberships((len(stored[7]), 0), dict(stored))
        read.set()
        await may_answer.wait()
        return seen

    reload = asyncio.create_task(access.reload(SimpleNamespace(memberships=memberships)))
    await read.wait()
    stored[7] = [OWNER, BEN]
    access.put(7, stored[7])
    may_answer.set()
    assert await reload
    assert access.is_member("ben", 7)
