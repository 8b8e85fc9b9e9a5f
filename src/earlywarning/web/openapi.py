"""The API as an OpenAPI 3.1 document: what its routes say of themselves, and the bodies and answers that they read by hand."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Litestar

from earlywarning.core.casework import Answer
from earlywarning.core.events import KINDS, schema
from earlywarning.runtimes.muting import MuteWords
from earlywarning.web.access import ROUTES
from earlywarning.web.briefing import SendPicture
from earlywarning.web.letters import ReplayLetters
from earlywarning.web.mutes import Ends
from earlywarning.web.outbox import Retry
from earlywarning.web.settings import Back, DraftBody, Step

_JSON = "application/json"
_TYPE = re.compile(r":\w+")  # of a parameter in a path, as the table of routes names it
_PROBLEM = {
    "type": "object",
    "required": ["problem"],
    "properties": {
        "problem": {"type": "string", "description": "what is wrong, in words"},
        "field": {"type": "string"},
        "rule": {"type": "string", "description": "a short name of the rule that it breaks"},
        "at": {"type": "string", "description": "where in the body"},
        "fields": {"type": "array", "items": {"type": "object"}, "description": "parameters that are not as this document says"},
    },
}
_PROBLEMS = {
    "type": "object",
    "required": ["problems"],
    "properties": {"problems": {"type": "array", "items": {"type": "string"}}},
}
_WORDS = {
    "400": "the request is not as this document says",
    "401": "nobody is signed in, and no token was sent",
    "403": "the account or token may not do this, or another site asked",
    "404": "there is no such thing",
    "408": "the body took too long to arrive",
    "409": "somebody was quicker, or it is not at that stage",
    "413": "the body is too large",
    "415": "another content type",
    "422": "it cannot be taken; field and rule say why",
    "503": "the store cannot be used now; nothing was taken; ask again",
}
# What else an operation may answer, beside 400, 401, 403 and 503.
_ALSO: Mapping[str, tuple[str, ...]] = {
    "GET /v1/alerts/{alert_id}": ("404",),
    "GET /v1/schemas/{kind}": ("404",),
    "POST /v1/alerts/{alert_id}/answers": ("404", "409", "422"),
    "POST /v1/mutes": ("422",),
    "POST /v1/mutes/{mute_id}/end": ("404", "409"),
    "POST /v1/briefing/send": ("422",),
    "GET /v1/lab": ("404", "422"),
    "GET /v1/lab/curve": ("404", "422"),
    "GET /v1/lab/surge": ("404", "422"),
    "GET /v1/plan": ("404",),
    "GET /v1/plan/follow-up": ("404",),
    "GET /v1/settings/drafts/{draft_id}": ("404",),
    "POST /v1/settings/drafts": ("422",),
    "POST /v1/settings/drafts/{draft_id}": ("404", "409", "422"),
    "POST /v1/settings/drafts/{draft_id}/rebase": ("404", "409", "422"),
    "POST /v1/settings/drafts/{draft_id}/withdraw": ("404", "409", "422"),
    "POST /v1/settings/drafts/{draft_id}/apply": ("404", "409", "422"),
    "POST /v1/settings/back": ("404", "409", "422"),
}  # fmt: skip
# What is answered in another form than JSON, or also in one.
_FORMS: Mapping[str, tuple[str, ...]] = {
    "GET /v1/counts": (_JSON, "text/csv"),
    "GET /v1/plan": (_JSON, "application/toml"),
    "GET /v1/plan/follow-up": ("application/pdf", "text/html"),
    "GET /v1/briefing": ("text/html", "application/pdf", _JSON),
    "GET /v1/feeds/atom": ("application/atom+xml",),
    "GET /v1/feeds/cap": ("application/atom+xml",),
    "GET /v1/feeds/calendar": ("text/calendar",),
}
_BODIES: Mapping[str, tuple[type[msgspec.Struct], bool]] = {
    "POST /v1/alerts/{alert_id}/answers": (Answer, True),
    "POST /v1/mutes": (MuteWords, True),
    "POST /v1/mutes/{mute_id}/end": (Ends, True),
    "POST /v1/outbox/retry": (Retry, False),
    "POST /v1/briefing/send": (SendPicture, True),
    "POST /v1/dead-letters/replay": (ReplayLetters, True),
    "POST /v1/settings/drafts": (DraftBody, True),
    "POST /v1/settings/drafts/{draft_id}": (DraftBody, True),
    "POST /v1/settings/drafts/{draft_id}/rebase": (Step, True),
    "POST /v1/settings/drafts/{draft_id}/withdraw": (Step, True),
    "POST /v1/settings/drafts/{draft_id}/apply": (Step, True),
    "POST /v1/settings/back": (Back, True),
}
_SET_BY_THE_SERVICE = ("alert_id", "at")  # of an answer


def openapi_document(app: Litestar) -> dict[str, Any]:
    """The API as an OpenAPI 3.1 document; events are described by their published schemas."""
    document: dict[str, Any] = app.openapi_schema.to_schema()
    schemas: dict[str, Any] = {"Problem": _PROBLEM, "Problems": _PROBLEMS}
    for kind in KINDS:
        body = schema(kind)
        schemas[kind.capitalize()] = {k: v for k, v in body.items() if k not in ("$schema", "$id", "$defs")}
    _, components = msgspec.json.schema_components([k for k, _ in _BODIES.values()], ref_template="#/components/schemas/{name}")
    answer = components["Answer"]
    for name in _SET_BY_THE_SERVICE:
        answer["properties"].pop(name)
        answer["required"].remove(name)
    document.setdefault("components", {})["schemas"] = {**schemas, **components}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _mend(f"{method.upper()} {path}", operation)
    _events(document["paths"]["/v1/events"]["post"])
    plan = document["paths"]["/v1/plan"]["post"]
    plan["requestBody"] = {
        "required": True,
        "content": {kind: {"schema": {"type": "string"}} for kind in ("application/toml", "text/csv")},
    }
    plan["responses"]["422"] = _answer("what is wrong with the plan, all of it", "Problems")
    return document


def _mend(key: str, operation: dict[str, Any]) -> None:
    """Put into an operation what its route does not say."""
    responses = operation["responses"]
    good = next(status for status in responses if status.startswith("2"))
    responses[good]["content"] = {
        form: {"schema": {"type": "object"} if form == _JSON else {"type": "string"}} for form in _FORMS.get(key, (_JSON,))
    }
    if key == "POST /v1/mutes":
        responses["200"] = {**responses[good], "description": "with preview: what it would hit; nothing was made"}
    least = next(route[0] for name, route in ROUTES.items() if _TYPE.sub("", name) == key)
    also = ["503", *_ALSO.get(key, ())]
    also += ["401", "403"] if least != "anyone" else []
    if operation.get("parameters") or key.startswith("POST"):
        also.append("400")
    if key.startswith("POST"):
        also += ["408", "413"]
    for status in sorted(also):
        responses[status] = _answer(_WORDS[status])
    if key in _BODIES:
        kind, required = _BODIES[key]
        content = {_JSON: {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}
        operation["requestBody"] = {"required": required, "content": content}


def _answer(words: str, name: str = "Problem") -> dict[str, Any]:
    return {"description": words, "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{name}"}}}}


def _events(send: dict[str, Any]) -> None:
    event = {"oneOf": [{"$ref": f"#/components/schemas/{k.capitalize()}"} for k in KINDS]}
    send["requestBody"] = {
        "required": True,
        "content": {
            _JSON: {"schema": {"oneOf": [event, {"type": "array", "items": event}]}},
            "application/x-ndjson": {"schema": {"type": "string", "description": "one event a line"}},
        },
    }
    text = {"type": "string"}
    result = {
        "type": "object",
        "required": ["index", "outcome"],
        "properties": {
            "index": {"type": "integer", "description": "from 1"},
            "outcome": {"enum": ["accepted", "repeated", "replaced", "rejected", "queued"]},
            "event_id": text,
            "source": text,
            "field": text,
            "rule": text,
            "problem": text,
            "status": {"type": "integer", "description": "403: the token is bound to another source than the event's"},
            "late": {"type": "boolean", "description": "it counts, but came too late to raise an alert"},
        },
    }
    answer = {
        "type": "object",
        "required": ["counts", "results"],
        "properties": {"counts": {"type": "object"}, "results": {"type": "array", "items": result}},
    }
    send["responses"]["207"] = {"description": "a result for each event", "content": {_JSON: {"schema": answer}}}
    send["responses"]["415"] = _answer(_WORDS["415"])
