"""Names of Responses' tools in namespaces. Model servers get functions, named by namespace and name.

Source: OpenAI API reference, "Create a model response", tools of type `namespace`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class NamespacedName(NamedTuple):
    namespace: str
    name: str

    @property
    def flat(self) -> str:
        """The name of the function that the model server gets."""
        return f"{self.namespace.rstrip('_')}__{self.name}"


def namespaced_names(tools: Sequence[Mapping[str, Any]]) -> dict[str, NamespacedName]:
    """Return the names of all functions in namespaces, by what the model server calls them."""
    names = [
        NamespacedName(tool["name"], function["name"])
        for tool in tools
        if tool["type"] == "namespace"
        for function in tool["tools"]
    ]
    return {name.flat: name for name in names}
