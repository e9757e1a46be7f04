"""Access control by ownership. Implements gateway.contract.access.Access."""


class OwnerAccess:
    """Only the owner of a session has access to it."""

    def may_see(self, user_id: str, owner: str, session_id: int) -> bool:
        return user_id == owner

    def may_write(self, user_id: str, owner: str, session_id: int) -> bool:
        return user_id == owner

    def may_manage(self, user_id: str, owner: str, session_id: int) -> bool:
        return user_id == owner

    def is_shared(self, session_id: int) -> bool:
        return False
