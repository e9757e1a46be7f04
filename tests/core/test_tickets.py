"""A ticket opens what it was issued for, and whatever else is shown instead of one is a bad ticket."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.tickets import BadTicket, Tickets

TICKETS = Tickets(b"secret", 60, lambda: 1_700_000_000.5)
subjects = st.text(max_size=20) | st.sampled_from(["a.1", "session/1", "1.YW5uYQ", "0" * 32])


@given(subject=subjects, user=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_ticket_lets_its_user_in(subject: str, user: str) -> None:
    told = TICKETS.valid(TICKETS.issue(subject, user), subject)
    assert (told.user_id, told.key_id) == (user, None)
    told = TICKETS.valid(TICKETS.issue(subject, user, 7), subject)
    assert (told.user_id, told.key_id) == (user, 7)


def test_the_key_of_a_ticket_cannot_be_changed_or_taken_away() -> None:
    ticket = TICKETS.issue("stream", "anna", 7)
    for forged in (ticket.replace("~7", "~8"), ticket.replace("~7", ""), ticket.replace("~7", "~7~8")):
        with pytest.raises(BadTicket):
            TICKETS.valid(forged, "stream")


@given(
    subject=subjects,
    user=st.sampled_from(["anna", "", "a.b", "ä"]),
    key_id=st.none() | st.integers(1, 99),
    data=st.data(),
)
def test_a_ticket_that_is_cut_elsewhere_opens_nothing(
    subject: str, user: str, key_id: int | None, data: st.DataObject
) -> None:
    whole = f"{subject}.{TICKETS.issue(subject, user, key_id)}"
    cut = data.draw(st.integers(0, len(whole)))
    other, ticket = whole[:cut], whole[cut:].removeprefix(".")
    if other != subject:
        with pytest.raises(BadTicket):
            TICKETS.valid(ticket, other)
    with pytest.raises(BadTicket):
        TICKETS.valid(ticket[: data.draw(st.integers(0, max(0, len(ticket) - 1)))], subject)


def test_a_ticket_cut_at_its_first_dot_opens_nothing() -> None:
    expiry, rest = TICKETS.issue("stream", "anna").split(".", 1)
    with pytest.raises(BadTicket):
        TICKETS.valid(rest, f"stream.{expiry}")


@settings(max_examples=100)
@given(
    ticket=st.text(max_size=60)
    | st.from_regex(r"\A[0-9٣²]{1,30}\.[A-Za-z0-9_=-]{0,9}\.[A-Za-z0-9_-]{43}\Z")
    | st.sampled_from(["", ".", "..", "...", "9" * 5000 + "..", "1e9.YQ." + "A" * 43])
)
def test_what_was_never_issued_is_a_bad_ticket(ticket: str) -> None:
    with pytest.raises(BadTicket):
        TICKETS.valid(ticket, "stream")


def test_a_ticket_expires() -> None:
    ticket = TICKETS.issue("stream", "anna")
    late = Tickets(b"secret", 60, lambda: 1_700_000_062.0)
    with pytest.raises(BadTicket, match="expired"):
        late.valid(ticket, "stream")
