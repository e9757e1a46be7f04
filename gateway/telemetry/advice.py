"""Says what an administrator can do about a failed reply."""

_ADVICE = {
    "unreachable": "Start the model server, or correct LLM_SERVER_URL: `sluice doctor` tries it.",
    "loading": "The model server still loads its model: wait.",
    "no_worker": "Start a worker with this model, or see in the list why the workers get no requests.",
    "overloaded": "Add a model server or a worker, or lower STREAMS_PER_USER.",
    "unavailable": "The transport failed several times in a row: look at the failures before this one.",
    "timeout": "Raise REPLY_DEADLINE_S, or look whether the model server is overloaded.",
    "upstream_error": "Look at the model server's log.",
    "protocol_violation": "The model server or worker sends invalid data: look at its log and its version.",
    "worker_lost": "Look at the worker's log and its connection to the broker.",
    "gap": "Frames were lost between worker and gateway: look at the broker's queue limits.",
    "storage_failed": "Look at the database: disk space, locks, its log.",
    "draining": "The gateway was stopped during the reply; it can be continued.",
    "interrupted": "The gateway ended during the reply; it can be continued.",
    "context_length_exceeded": "The conversation exceeds the model's context: lower HISTORY_MAX_CHARS.",
    "model_refused": "The model server refuses the request: its message says why.",
}

OTHER = "Look at the gateway's log for this stream."


def advice_for(code: str) -> str:
    return _ADVICE.get(code, OTHER)
