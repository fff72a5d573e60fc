"""What of the suite does not pass, and why: this is the one place that says so.

The one rule: whatever else fails, or warns, or is passed over, is a fault; and so is a line here that passes by now.
A name is a scenario, all of it, or `scenario:check`.
"""

from collections.abc import Mapping

from tests.agents import HANDSHAKE, MODERN
from tests.conformance.suite import PASSED, Check

Exceptions = Mapping[str, str]


def _because(reason: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), reason)


_TASKS = _because(
    "Tasks are an extension that no revision requires; our tools answer at once.",
    "tasks-lifecycle tasks-capability-negotiation tasks-wire-fields tasks-request-state-removal tasks-mrtr-input "
    "tasks-request-headers tasks-dispatch-and-envelope tasks-status-notifications tasks-required-task-error "
    "tasks-mrtr-composition",
)
_NO_SUBSCRIPTIONS = _because(
    "Nothing that we list changes while somebody listens, so there is nothing to subscribe to, and none is advertised.",
    "server-stateless:sep-2575-server-sends-subscription-ack server-stateless:sep-2575-server-tags-subscription-id "
    "server-stateless:sep-2575-server-honors-notification-filter "
    "server-stateless:sep-2575-server-sends-prompts-list-changed-on-subscription "
    "server-stateless:sep-2575-server-sends-tools-list-changed-on-subscription",
)
_NO_SESSIONS = _because(
    "Sessions are optional, and so is resuming a stream: a server that any process can answer for has neither.",
    "server-sse-multiple-streams:server-sse-multiple-streams-session server-sse-polling:server-sse-polling-session",
)
_NO_RESUMING = _because(
    "Resuming a stream is optional, and needs a session.",
    "server-sse-polling:server-sse-priming-event server-sse-polling:server-sse-retry-field",
)
_NO_WAY_BACK = _because(
    "To ask the client in the middle of a call needs a session to take its answer; without one there is no way back. "
    "2026-07-28 has input_required for this, which passes.",
    "tools-call-sampling tools-call-elicitation elicitation-sep1034-defaults elicitation-sep1330-enums",
)
_FIXTURE_TOOLS = _because(
    "It calls a tool of the suite's own, which a product does not have; the fixture's run calls it.",
    "tools-call-simple-text tools-call-image tools-call-audio tools-call-embedded-resource tools-call-mixed-content "
    "tools-call-error tools-call-with-progress json-schema-2020-12",
)
_NO_PROMPTS_OR_RESOURCES = _because(
    "Slotwire has tools: no prompts, no resources to read, nothing to complete, and it says so in its capabilities.",
    "completion-complete resources-list resources-read-text resources-read-binary resources-templates-read "
    "prompts-list prompts-get-simple prompts-get-with-args prompts-get-embedded-resource prompts-get-with-image",
)

FIXTURE: Mapping[str, Exceptions] = {
    MODERN: {**_TASKS, **_NO_SUBSCRIPTIONS},
    HANDSHAKE: {**_NO_SESSIONS, **_NO_RESUMING, **_NO_WAY_BACK},
}

PRODUCT: Mapping[str, Exceptions] = {
    MODERN: {
        **_TASKS,
        **_NO_SUBSCRIPTIONS,
        **_FIXTURE_TOOLS,
        **_NO_PROMPTS_OR_RESOURCES,
        **_because(
            "Slotwire has tools: no prompts and no resources whose lists could be kept.",
            "caching:sep-2549-prompts-list-caching-hints caching:sep-2549-resources-list-caching-hints "
            "caching:sep-2549-resources-templates-list-caching-hints caching:sep-2549-resources-read-caching-hints",
        ),
        **_because(
            "There are no resources at all, so the method itself is unknown: -32601, and no address to repeat.",
            "sep-2164-resource-not-found:sep-2164-error-code sep-2164-resource-not-found:sep-2164-data-uri",
        ),
        **_because(
            "It calls a tool of the suite's own, which a product does not have; the fixture's run calls it.",
            "server-stateless:sep-2575-server-rejects-undeclared-capability "
            "server-stateless:sep-2575-missing-capability-http-400 "
            "server-stateless:sep-2575-http-server-no-independent-requests-on-stream "
            "server-stateless:sep-2575-server-no-log-without-loglevel",
        ),
        **_because(
            "None of our arguments is repeated in a header of its own; the fixture's run has one that is.",
            "http-custom-header-server-validation",
        ),
        **_because(
            "Our tools ask nothing back: whom they need to know is in their arguments; the fixture's ask.",
            "input-required-result-basic-elicitation input-required-result-basic-sampling "
            "input-required-result-basic-list-roots input-required-result-request-state "
            "input-required-result-multiple-input-requests input-required-result-multi-round "
            "input-required-result-missing-input-response input-required-result-non-tool-request "
            "input-required-result-result-type input-required-result-tampered-state "
            "input-required-result-capability-check input-required-result-ignore-extra-params",
        ),
    },
    HANDSHAKE: {
        **_NO_SESSIONS,
        **_NO_WAY_BACK,
        **_FIXTURE_TOOLS,
        **_NO_PROMPTS_OR_RESOURCES,
        **_because(
            "Slotwire has tools: no log to send to a client, and no resources to subscribe to.",
            "logging-set-level tools-call-with-logging resources-subscribe resources-unsubscribe",
        ),
    },
}


def unexpected(checks: list[Check], exceptions: Exceptions) -> list[str]:
    """What failed and has no exception, and the exceptions that nothing failed for."""
    faults, used = [], set[str]()
    for check in checks:
        if check.status == PASSED:
            continue
        excuses = {check.scenario, f"{check.scenario}:{check.name}"} & exceptions.keys()
        if not excuses:
            faults.append(str(check))
        used |= excuses
    return faults + [f"{name} passes by now: take it out" for name in exceptions if name not in used]
