"""Contract of message stores: templates."""

import pytest

from gateway.contract.errors import NotFound, QuotaReached
from gateway.contract.requests import Sampling
from gateway.contract.templates import Template
from tests.store.rigs import SqlRig

FORMAL = Template("formal", "Be formal.", "tiny", Sampling(temperature=0.2, options={"top_k": 3}))
SHORT = Template("short", None, None, Sampling())


async def test_a_template_is_given_back_as_it_was_kept_after_a_restart_too(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        kept = [await store.templates.create("anna", template) for template in (FORMAL, SHORT)]
    async with (store := sql_rig.store()).running():
        assert await store.templates.all("anna") == kept
        assert await store.templates.one("anna", kept[0].id) == kept[0]
    assert [stored.template for stored in kept] == [FORMAL, SHORT]


async def test_a_template_is_replaced_as_a_whole(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        kept = await store.templates.create("anna", FORMAL)
        replaced = await store.templates.replace("anna", kept.id, SHORT)
        assert await store.templates.one("anna", kept.id) == replaced
    assert (replaced.id, replaced.template, replaced.created_at) == (kept.id, SHORT, kept.created_at)
    assert replaced.updated_at > kept.updated_at


async def test_nobody_finds_another_users_template_or_one_that_never_was(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        kept = await store.templates.create("anna", FORMAL)
        for user, template_id in (("eve", kept.id), ("anna", kept.id + 1), ("anna", 0), ("anna", 2**80)):
            with pytest.raises(NotFound):
                await store.templates.one(user, template_id)
            with pytest.raises(NotFound):
                await store.templates.replace(user, template_id, SHORT)
            with pytest.raises(NotFound):
                await store.templates.delete(user, template_id)
        assert await store.templates.all("eve") == []
        assert await store.templates.all("anna") == [kept]


async def test_a_deleted_templates_number_is_never_used_again(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        gone = await store.templates.create("anna", FORMAL)
        await store.templates.delete("anna", gone.id)
        assert (await store.templates.create("anna", SHORT)).id > gone.id


async def test_a_user_keeps_only_so_many(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store(templates_per_user=2)).running():
        first = await store.templates.create("anna", SHORT)
        await store.templates.create("anna", SHORT)
        with pytest.raises(QuotaReached, match="TEMPLATES_PER_USER"):
            await store.templates.create("anna", SHORT)
        await store.templates.create("ben", SHORT)
        await store.templates.delete("anna", first.id)
        await store.templates.create("anna", SHORT)


async def test_a_page_ends_where_its_templates_are_large(sql_rig: SqlRig) -> None:
    large = Template("large", "x" * 1_000_000, None, Sampling(tools=[{"x": "y" * 1_000_000}]))
    async with (store := sql_rig.store()).running():
        kept = [(await store.templates.create("anna", large)).id for _ in range(5)]
        first = await store.templates.all("anna")
        rest = await store.templates.all("anna", after=first[-1].id)
        assert [stored.id for stored in [*first, *rest]] == kept
        assert len(first) == 3
        assert len(await store.templates.all("anna", limit=1)) == 1
