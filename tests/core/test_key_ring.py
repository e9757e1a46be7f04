"""The key ring: who is let in, and how soon it knows of a change."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.contract.audit import Actor
from gateway.contract.errors import KeyExpired, StorageFailed
from gateway.contract.exchanges import Charge
from gateway.contract.keys import KeyCensus, KeyChange, NewKey, StoredKey
from gateway.contract.limits import Quota
from gateway.contract.record import replace
from gateway.core.key_ring import MAX_AGE_S, NOTE_USED_S, Caller, KeyRing, digest_of, draw_key, shown_of
from gateway.core.rate_limits import Allowance

THEN = datetime(2026, 1, 1, tzinfo=UTC)
ANNAS = Allowance(Quota("anna", 120), Quota("anna", 20), 1)


class MemoryKeys:
    """A KeyStore that counts how often it is asked, and that can be away."""

    def __init__(self) -> None:
        self.kept: list[StoredKey] = []
        self.away = False
        self.asked = 0
        self.noted: list[set[int]] = []
        self.changed = 0

    async def census(self) -> KeyCensus:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise StorageFailed("The database is away.")
        revoked = sum(stored.revoked_at is not None for stored in self.kept)
        return KeyCensus(len(self.kept), revoked, self.changed)

    async def all(self) -> Sequence[StoredKey]:
        return list(self.kept)

    async def create(self, key: NewKey, by: Actor | None = None) -> StoredKey:
        self.kept.append(StoredKey(len(self.kept) + 1, key, THEN))
        return self.kept[-1]

    async def revoke(self, key_id: int, by: Actor | None = None) -> bool:
        self.kept[key_id - 1] = replace(self.kept[key_id - 1], revoked_at=THEN)
        return True

    async def change(self, key_id: int, change: KeyChange, by: Actor | None = None) -> bool:
        assert not isinstance(change.expires_at, str)
        stored = self.kept[key_id - 1]
        self.kept[key_id - 1] = replace(stored, key=replace(stored.key, expires_at=change.expires_at))
        self.changed += 1
        return True

    async def used_on(self, day: date, key_id: int | None = None) -> Mapping[int, int]:
        return {}

    async def charge(self, charge: Charge) -> None:
        raise NotImplementedError

    async def note_used(self, key_ids: Collection[int]) -> None:
        self.noted.append(set(key_ids))


class House:
    def __init__(self) -> None:
        self.now = 1000.0
        self.today = THEN
        self.store = MemoryKeys()
        self.ring = KeyRing(
            self.store,
            rate_per_minute=120,
            streams=20,
            clock=lambda: self.now,
            now=lambda: self.today.timestamp(),
        )

    async def make(self, user_id: str, **more: object) -> str:
        key = draw_key()
        new = NewKey(digest_of(key), shown_of(key), user_id)
        await self.store.create(replace(new, **more))  # type: ignore[arg-type]
        await self.ring.refresh()
        return key


@pytest.fixture
def house() -> House:
    return House()


def test_a_key_is_256_random_bits_and_shows_few_of_them() -> None:
    key = draw_key()
    assert (key[:3], len(key)) == ("sk-", 3 + 43)
    assert draw_key() != key
    assert key.startswith(shown_of(key))
    assert len(shown_of(key)) == 11


async def test_without_keys_nobody_needs_one(house: House) -> None:
    await house.ring.refresh()
    assert not house.ring.closed
    assert house.ring.allowance_of("local") is None
    assert house.ring.stands(Caller("local"))


async def test_a_key_lets_its_user_in_with_its_permissions(house: House) -> None:
    key = await house.make("anna", permissions=frozenset({"metrics"}))
    caller = house.ring.caller(key)
    assert caller is not None
    assert (caller.user_id, caller.permissions, caller.key_id) == ("anna", frozenset({"metrics"}), 1)
    assert house.ring.closed
    for other in (draw_key(), "", key[:-1], key + "x", shown_of(key), digest_of(key), "\udcff"):
        assert house.ring.caller(other) is None


async def test_a_revoked_key_lets_nobody_in_and_the_door_stays_closed(house: House) -> None:
    key = await house.make("anna")
    caller = house.ring.caller(key)
    assert caller is not None
    await house.store.revoke(1)
    await house.ring.refresh()
    assert house.ring.caller(key) is None
    assert not house.ring.stands(caller)
    assert house.ring.closed
    house.store.kept.clear()
    await house.ring.refresh()
    assert house.ring.closed


async def test_who_came_without_a_key_stands_as_long_as_their_user_has_one_to_chat(house: House) -> None:
    await house.make("anna")
    await house.make("anna")
    await house.make("ben", permissions=frozenset({"metrics"}))
    assert house.ring.stands(Caller("anna"))
    assert not house.ring.stands(Caller("ben"))
    assert not house.ring.stands(Caller("local"))
    await house.store.revoke(1)
    await house.ring.refresh()
    assert house.ring.stands(Caller("anna"))
    await house.store.revoke(2)
    await house.ring.refresh()
    assert not house.ring.stands(Caller("anna"))


async def test_a_key_with_limits_of_its_own_is_counted_apart(house: House) -> None:
    common = house.ring.caller(await house.make("anna"))
    own = house.ring.caller(await house.make("anna", rate_per_minute=3))
    assert common is not None
    assert own is not None
    assert house.ring.allowance_of("anna") == Allowance(Quota("anna", 120), Quota("anna", 20))
    assert common.allowance == ANNAS
    assert own.allowance == Allowance(Quota("key 2", 3, "key"), Quota("anna", 20), 2)


@pytest.mark.parametrize(("gateways", "shares"), [(2, (60, 10, 2)), (3, (40, 7, 1)), (500, (1, 1, 1))])
async def test_each_of_several_gateways_allows_its_share(
    house: House, gateways: int, shares: tuple[int, int, int]
) -> None:
    common, own = await house.make("anna"), await house.make("anna", rate_per_minute=3)
    house.ring.gateways = gateways
    anna = Allowance(Quota("anna", 120, gateways=gateways), Quota("anna", 20, gateways=gateways))
    keys = Quota("key 2", 3, "key", gateways)
    assert house.ring.allowance_of("anna") == anna
    assert allowance(house, common) == replace(anna, key_id=1)
    assert allowance(house, own) == replace(anna, requests=keys, key_id=2)
    assert (anna.requests.share, anna.streams.share, keys.share) == shares


def allowance(house: House, key: str) -> Allowance | None:
    caller = house.ring.caller(key)
    assert caller is not None
    return caller.allowance


async def test_what_is_known_is_asked_again_only_when_it_is_old(house: House) -> None:
    await house.ring.be_fresh()
    house.now += MAX_AGE_S
    await house.ring.be_fresh()
    assert house.store.asked == 1
    house.now += 0.1
    await asyncio.gather(*(house.ring.be_fresh() for _ in range(10)))
    assert house.store.asked == 2


async def test_what_is_old_and_cannot_be_read_lets_nobody_in(house: House) -> None:
    await house.make("anna")
    house.store.away = True
    await house.ring.be_fresh()
    house.now += MAX_AGE_S + 0.1
    with pytest.raises(StorageFailed):
        await house.ring.be_fresh()


async def test_those_who_wait_for_one_try_share_its_failure(house: House) -> None:
    house.store.away = True
    outcomes = await asyncio.gather(*(house.ring.be_fresh() for _ in range(10)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StorageFailed}
    assert house.store.asked == 1
    house.now += 0.1
    house.store.away = False
    await house.ring.be_fresh()


async def test_a_wrong_key_never_asks_the_database(house: House) -> None:
    await house.make("anna")
    asked = house.store.asked
    for _ in range(100):
        assert house.ring.caller(draw_key()) is None
    assert house.store.asked == asked


async def test_use_is_noted_soon_and_then_once_a_minute(house: House) -> None:
    anna, ben = await house.make("anna"), await house.make("ben")
    for _ in range(3):
        house.ring.caller(anna)
    await house.ring.note_used()
    assert house.store.noted == [{1}]
    house.ring.caller(anna)
    house.ring.caller(ben)
    await house.ring.note_used()
    assert house.store.noted == [{1}, {2}]
    house.now += NOTE_USED_S
    await house.ring.note_used()
    await house.ring.note_used()
    assert house.store.noted == [{1}, {2}, {1}]


async def test_an_expired_key_is_told_so_and_a_wrong_one_is_not(house: House) -> None:
    key = await house.make("anna", expires_at=THEN + timedelta(hours=1))
    lasting = await house.make("ben")
    assert house.ring.caller(key) == Caller("anna", frozenset({"chat"}), 1, ANNAS)
    house.today = THEN + timedelta(hours=1)
    with pytest.raises(KeyExpired, match="expired at 2026-01-01 01:00 UTC"):
        house.ring.caller(key)
    assert house.ring.caller(key + "x") is None
    assert house.ring.caller(lasting) is not None
    assert len(house.ring) == 1


async def test_a_key_that_expired_by_a_wrong_clock_lives_again_when_the_clock_is_set(house: House) -> None:
    key = await house.make("anna", expires_at=THEN + timedelta(hours=1))
    house.today = THEN + timedelta(days=1)
    with pytest.raises(KeyExpired):
        house.ring.caller(key)
    house.today = THEN
    assert house.ring.caller(key) is not None


async def test_an_expired_key_no_longer_stands(house: House) -> None:
    key = await house.make("anna", expires_at=THEN + timedelta(hours=1))
    caller = house.ring.caller(key)
    assert caller is not None
    assert house.ring.stands(caller)
    assert house.ring.stands(Caller("anna"))
    house.today = THEN + timedelta(hours=2)
    assert not house.ring.stands(caller)
    assert not house.ring.stands(Caller("anna"))


async def test_an_expired_key_whose_expiry_is_moved_lives_again(house: House) -> None:
    key = await house.make("anna", expires_at=THEN)
    with pytest.raises(KeyExpired):
        house.ring.caller(key)
    assert await house.ring.change(1, KeyChange(expires_at=None), Actor("ops", "here"))
    assert house.ring.caller(key) is not None
    assert house.ring.closed
