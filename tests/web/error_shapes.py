"""Checks of error responses against the shapes of gateway/web/http/error_shapes.py."""

import httpx


def is_problem(response: httpx.Response) -> bool:
    told = response.json()
    return (
        response.headers["content-type"] == "application/problem+json"
        and set(told) >= {"type", "title", "status", "detail", "code"}
        and told["status"] == response.status_code
    )


def is_frontends_problem(response: httpx.Response) -> bool:
    told = response.json()
    return is_problem(response) and told["error"] == told["detail"]


def is_openais(response: httpx.Response) -> bool:
    told = response.json()
    return (
        response.headers["content-type"] == "application/json"
        and set(told) == {"error"}
        and set(told["error"]) == {"message", "type", "param", "code"}
    )


def is_ollamas(response: httpx.Response) -> bool:
    return list(response.json()) == ["error"]


def is_anthropics(response: httpx.Response) -> bool:
    told = response.json()
    return set(told) == {"type", "error"} and set(told["error"]) <= {"type", "message", "details"}
