"""The rule by which sessions belong to users. Implements gateway.contract.access.Access."""


class OwnerAccess:
    """A session is its owner's alone."""

    def may_see(self, user_id: str, owner: str, session_id: int) -> bool:
        return user_id == owner

    def may_write(self, user_id: str, owner: str, session_id: int) -> bool:
        return user_id == owner

    def may_manage(self, user_id: str, owner: str, session_id: int) -> bool:
        return user_id == owner
