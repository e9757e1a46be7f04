"""Contract of message stores: attachments."""

from datetime import UTC, datetime

import pytest

from gateway.contract.errors import NotFound, QuotaReached
from tests.store.rigs import SqlRig


async def test_an_attachment_is_given_back_as_it_was_kept(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        kept = await store.attachments.add("anna", "\udc80Bild.png", "image/png", b"\0\xff")
        other = await store.attachments.add("anna", "b", "text/plain", b"b")
        await store.attachments.add("ben", "c", "text/plain", b"c")
    async with (store := sql_rig.store()).running():
        assert await store.attachments.one("anna", kept.id) == (kept, b"\0\xff")
        assert await store.attachments.all("anna") == [other, kept]
        assert await store.attachments.all("anna", limit=1) == [other]
    assert (kept.name, kept.media_type, kept.size) == ("\ufffdBild.png", "image/png", 2)


async def test_nobody_finds_another_users_attachment(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        kept = await store.attachments.add("anna", "a", "text/plain", b"a")
        for user, id in (("eve", kept.id), ("anna", "0" * 36), ("anna", "\0")):
            with pytest.raises(NotFound):
                await store.attachments.one(user, id)
            with pytest.raises(NotFound):
                await store.attachments.delete(user, id)
        await store.attachments.delete("anna", kept.id)
        assert await store.attachments.all("anna") == []


async def test_a_user_keeps_no_more_bytes_than_the_limit(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store(attachment_bytes_per_user=10)).running():
        kept = await store.attachments.add("anna", "a", "text/plain", b"123456")
        with pytest.raises(QuotaReached, match="ATTACHMENT_BYTES_PER_USER"):
            await store.attachments.add("anna", "b", "text/plain", b"12345")
        await store.attachments.add("ben", "b", "text/plain", b"1234567890")
        await store.attachments.delete("anna", kept.id)
        await store.attachments.add("anna", "b", "text/plain", b"1234567890")


async def test_attachments_are_erased_with_their_user_and_forgotten_with_age(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        await store.attachments.add("anna", "a", "text/plain", b"a")
        kept = await store.attachments.add("ben", "b", "text/plain", b"b")
        assert (await store.deletions.erase_user("anna"))["attachments"] == 1
        assert await store.attachments.all("ben") == [kept]
        await store.deletions.forget(before=kept.created_at, keep=0)
        assert await store.attachments.all("ben") == [kept]
        await store.deletions.forget(before=datetime(2100, 1, 1, tzinfo=UTC), keep=0)
        assert await store.attachments.all("ben") == []
