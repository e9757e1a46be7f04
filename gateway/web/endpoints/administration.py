"""Endpoints for administration, all with scope admin."""

from gateway.web.api.admin import audit, devices, keys, mode, streams, workers
from gateway.web.api.admin.live import AdminLive
from gateway.web.api.admin.simulator import Simulate
from gateway.web.api.admin.simulator_views import SimulatorBody
from gateway.web.description.streams import live_events, simulator_events
from gateway.web.http.endpoint import ADMIN, AsgiEndpoint, Endpoint, JsonEndpoint

_MODE = "/api/admin/mode"
_KEYS = "/api/admin/keys"
_DEVICES = "/api/admin/devices"
_STREAMS = "/api/admin/streams"
_WORKERS = "/api/admin/workers"

ADMINISTRATION: tuple[Endpoint, ...] = (
    JsonEndpoint(
        method="GET",
        path=_MODE,
        handler=mode.show_mode,
        name="show_mode",
        summary="The current mode",
        description="With the setting, the latest switch, and the state of every mode.",
        tag="administration",
        scopes=ADMIN,
        without_database=True,
    ),
    JsonEndpoint(
        method="PUT",
        path=_MODE,
        handler=mode.switch_mode,
        name="switch_mode",
        summary="Switch the mode",
        description="New replies use it at once; running replies end where they are. The switch also applies "
        "after a restart, until LLM_COMM_MODE is changed. 409 if the mode cannot serve now, unless `force` "
        "is 1, and always if it is not set up.",
        tag="administration",
        scopes=ADMIN,
        body=mode.ModeBody,
        refuses=(409,),
    ),
    JsonEndpoint(
        method="DELETE",
        path=_MODE,
        handler=mode.reset_mode,
        name="reset_mode",
        summary="Return to the mode of the setting",
        description="Drops the switch: new replies use the mode of LLM_COMM_MODE.",
        tag="administration",
        scopes=ADMIN,
    ),
    JsonEndpoint(
        method="GET",
        path=_KEYS,
        handler=keys.list_keys,
        name="list_keys",
        summary="All API keys",
        description="Also revoked ones, the oldest first.",
        tag="administration",
        scopes=ADMIN,
    ),
    JsonEndpoint(
        method="POST",
        path=_KEYS,
        handler=keys.create_key,
        name="create_key",
        summary="Create an API key",
        description="Only this response contains the key. Once a key exists, every request needs one.",
        tag="administration",
        scopes=ADMIN,
        body=keys.NewKeyBody,
        status=201,
    ),
    JsonEndpoint(
        method="PATCH",
        path=f"{_KEYS}/{{key_id}}",
        handler=keys.change_key,
        name="change_key",
        summary="Change the limits of an API key",
        description="404 also if it is revoked.",
        tag="administration",
        scopes=ADMIN,
        body=keys.KeyChangeBody,
    ),
    JsonEndpoint(
        method="DELETE",
        path=f"{_KEYS}/{{key_id}}",
        handler=keys.revoke_key,
        name="revoke_key",
        summary="Revoke an API key",
        description="Its running replies end normally. 404 also if it is revoked already.",
        tag="administration",
        scopes=ADMIN,
        status=204,
    ),
    JsonEndpoint(
        method="GET",
        path=_DEVICES,
        handler=devices.list_devices,
        name="list_devices",
        summary="All registered devices",
        description="Sorted by name.",
        tag="administration",
        scopes=ADMIN,
    ),
    JsonEndpoint(
        method="POST",
        path=_DEVICES,
        handler=devices.add_device,
        name="add_device",
        summary="Register a device",
        description="It takes effect at once. 409 if the device is registered for another user.",
        tag="administration",
        scopes=ADMIN,
        body=devices.NewDeviceBody,
        status=201,
        refuses=(409,),
    ),
    JsonEndpoint(
        method="DELETE",
        path=f"{_DEVICES}/{{name}}",
        handler=devices.remove_device,
        name="remove_device",
        summary="Remove a device",
        description="Its sessions and messages stay. Once there are API keys, its further chats are refused.",
        tag="administration",
        scopes=ADMIN,
        status=204,
    ),
    JsonEndpoint(
        method="GET",
        path=_STREAMS,
        handler=streams.list_streams,
        name="list_streams",
        summary="The running replies of all users",
        description="The oldest first.",
        tag="administration",
        scopes=ADMIN,
        without_database=True,
    ),
    JsonEndpoint(
        method="DELETE",
        path=f"{_STREAMS}/{{stream_id}}",
        handler=streams.stop_stream,
        name="stop_any_stream",
        summary="Stop a running reply of any user",
        description="As if its user stopped it: the text so far is stored, the reason is `user_stop`.",
        tag="administration",
        scopes=ADMIN,
        status=204,
        rate_limited=False,
    ),
    AsgiEndpoint(
        method="GET",
        path="/api/admin/live",
        handler=AdminLive,
        name="admin_live",
        summary="Stream the gateway's state",
        description="Server-Sent Events without an end: `state` at first and when something has changed, at "
        "most once a second; `hour` with the minutes of the last hour in which replies ended. When the "
        "gateway stops, `retry:` and the end of the response.",
        tag="administration",
        scopes=ADMIN,
        without_database=True,
        answers={"200": live_events()},
        refuses=(503,),
    ),
    AsgiEndpoint(
        method="POST",
        path="/api/admin/simulator",
        handler=Simulate,
        name="simulate",
        summary="Play a device or a worker",
        description="Connects it to the MQTT broker and streams the frames that it sends and receives: "
        "`started`, `frame`s, `ended`. It ends after the device's answer, after five minutes, or when the "
        "client disconnects. 409 without a broker, and while the same part is running.",
        tag="administration",
        scopes=ADMIN,
        body=SimulatorBody,
        answers={"200": simulator_events()},
        refuses=(409, 422, 503),
    ),
    JsonEndpoint(
        method="GET",
        path=_WORKERS,
        handler=workers.list_ruled_workers,
        name="list_ruled_workers",
        summary="The MQTT workers and their rules",
        description="Workers that are there or have a rule, sorted by name.",
        tag="administration",
        scopes=ADMIN,
        without_database=True,
    ),
    JsonEndpoint(
        method="PATCH",
        path=f"{_WORKERS}/{{name}}",
        handler=workers.change_worker,
        name="change_worker",
        summary="Disable, enable or limit a worker",
        description="New requests follow the rule at once; the worker's present requests go on. The rule "
        "also applies after a restart of gateway or worker. 404 for a worker that is not there and has no "
        "rule.",
        tag="administration",
        scopes=ADMIN,
        body=workers.WorkerRuleBody,
    ),
    JsonEndpoint(
        method="GET",
        path="/api/admin/audit",
        handler=audit.list_changes,
        name="list_changes",
        summary="The audit log",
        description="Changes that administrators made, the latest first. Continue with `before` until a page "
        "is empty.",
        tag="administration",
        scopes=ADMIN,
    ),
)
