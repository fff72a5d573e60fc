"""RFC 5546 as a table of named checks: what any calendar part of any mail has to keep to.

The one rule: it reads the bytes by itself, not through the library that wrote them. A failed check is an AssertionError
that begins with the name of its rule; `RULES` and `THREAD_RULES` hold every one, and a test breaks each once.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import pairwise

_PROPERTY = re.compile(
    r'([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+=(?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)*):(.*)', re.DOTALL
)
_PARAMETER = re.compile(r';([A-Za-z0-9-]+)=("[^"]*"|[^";:,]*)')
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_STAMP = re.compile(r"\d{8}T\d{6}Z?")
_ONE_PART = "RFC 6047 2.4: a mail has one calendar part"


@dataclass(frozen=True)
class Property:
    name: str
    parameters: dict[str, str]
    value: str
    # the components around it, the innermost last
    inside: tuple[str, ...]


@dataclass(frozen=True)
class Calendar:
    """content: as it was sent. part: the part of a mail that it was in; None for a file."""

    content: bytes
    properties: tuple[Property, ...]
    part: EmailMessage | None
    mail: bytes

    @property
    def method(self) -> str:
        return self.value("METHOD", inside="VCALENDAR")

    def all(self, name: str, inside: str = "VEVENT") -> list[Property]:
        return [each for each in self.properties if each.name == name and each.inside and each.inside[-1] == inside]

    def value(self, name: str, inside: str = "VEVENT") -> str:
        return next((each.value for each in self.all(name, inside)), "")


@dataclass(frozen=True)
class ItipMessage:
    """What one message says about one entry. organizer, attendees: addresses, in small letters. Texts as they are
    meant, without their escapes."""

    method: str
    uid: str
    sequence: int
    dtstamp: datetime
    starts_at: str
    ends_at: str
    status: str
    summary: str
    description: str
    location: str
    organizer: str
    attendees: tuple[str, ...]
    names: tuple[str, ...]
    calendar: Calendar


Check = Callable[[Calendar], bool]
RULES: dict[str, Check] = {}
THREAD_RULES: dict[str, Callable[[ItipMessage, ItipMessage], bool]] = {}


def check_mail(raw: bytes) -> ItipMessage | None:
    """The calendar part of a mail, once every rule has been kept; None where there is none."""
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    parts = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    if not parts:
        return None
    assert len(parts) == 1, _ONE_PART
    content = parts[0].get_payload(decode=True)
    assert isinstance(content, bytes)
    assert isinstance(parts[0], EmailMessage)
    return _check(content, parts[0], raw)


def check_file(content: bytes) -> ItipMessage:
    """A calendar with one entry that came in no mail: the rules but those of mails."""
    return _check(content, None, b"")


def check_thread(messages: Iterable[ItipMessage | None]) -> None:
    """What one person was sent about one booking, in this order; mails without a calendar part may be among it."""
    for before, after in pairwise(each for each in messages if each is not None):
        for name, keeps in THREAD_RULES.items():
            assert keeps(before, after), f"{name}: {before.method} {before.sequence}, {after.method} {after.sequence}"


def _check(content: bytes, part: EmailMessage | None, mail: bytes) -> ItipMessage:
    calendar = Calendar(content, _properties(content), part, mail)
    for name, keeps in RULES.items():
        assert keeps(calendar), f"{name}\n{content.decode(errors='replace')}"
    people = calendar.all("ATTENDEE")
    return ItipMessage(
        method=calendar.method,
        uid=unescaped(calendar.value("UID")),
        sequence=int(calendar.value("SEQUENCE")),
        dtstamp=datetime.strptime(calendar.value("DTSTAMP"), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
        starts_at=calendar.value("DTSTART"),
        ends_at=calendar.value("DTEND"),
        status=calendar.value("STATUS"),
        summary=unescaped(calendar.value("SUMMARY")),
        description=unescaped(calendar.value("DESCRIPTION")),
        location=unescaped(calendar.value("LOCATION")),
        organizer=_address(calendar.value("ORGANIZER")),
        attendees=tuple(_address(each.value) for each in people),
        names=tuple(each.parameters.get("CN", "") for each in people),
        calendar=calendar,
    )


def _properties(content: bytes) -> tuple[Property, ...]:
    text = re.sub(r"\r?\n[ \t]", "", content.decode("utf-8", errors="replace"))
    inside: list[str] = []
    found = []
    for line in re.split(r"\r?\n", text.removesuffix("\n").removesuffix("\r")):
        match = _PROPERTY.fullmatch(line)
        name, parameters, value = match.groups() if match else ("", "", line)
        if name.upper() == "BEGIN":
            inside.append(value.upper())
        elif name.upper() == "END":
            if inside and inside[-1] == value.upper():
                inside.pop()
            else:
                found.append(Property("", {}, line, tuple(inside)))
        else:
            known = {key.upper(): _parameter(given) for key, given in _PARAMETER.findall(parameters)}
            found.append(Property(name.upper(), known, value, tuple(inside)))
    if inside:
        found.append(Property("", {}, f"no END:{inside[-1]}", ()))
    return tuple(found)


def _parameter(text: str) -> str:
    """RFC 6868, section 3.1."""
    return re.sub(r"\^([n^'])", lambda match: {"n": "\n", "^": "^", "'": '"'}[match[1]], text.strip('"'))


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] in "nN" else match[1], text)


def _address(value: str) -> str:
    return value.lower().removeprefix("mailto:")


def _rule(name: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        RULES[name] = check
        return check

    return register


def _thread_rule(name: str, keeps: Callable[[ItipMessage, ItipMessage], bool]) -> None:
    THREAD_RULES[name] = keeps


def _count(name: str, counts: Sequence[int], *, inside: str = "VEVENT", methods: str = "") -> Check:
    """How often a property may stand, for these methods; for all where none is named."""
    return lambda it: (bool(methods) and it.method not in methods.split()) or len(it.all(name, inside)) in counts


_SOME = range(1, 1000)
_ANY = range(1000)

# --- the mail ---

RULES["RFC 6047 2.4: the parameter method is the METHOD"] = lambda it: (
    it.part is None or it.part["content-type"].params.get("method", "") == it.method
)
RULES["RFC 6047 2.4: the parameter charset says UTF-8"] = lambda it: (
    it.part is None or it.part["content-type"].params.get("charset", "").lower() == "utf-8"
)
RULES["the calendar part travels as base64"] = lambda it: (
    it.part is None or str(it.part["content-transfer-encoding"]).lower() == "base64"
)
RULES["RFC 5322 2.3: a mail has CRLF"] = lambda it: b"\n" not in it.mail.replace(b"\r\n", b"")
RULES["RFC 5321 2.4: a mail has 7 bits"] = lambda it: it.mail.isascii()
RULES["RFC 5322 2.1.1: a mail's line has at most 998 octets"] = lambda it: max(map(len, it.mail.split(b"\r\n"))) <= 998

# --- the content lines ---


@_rule("RFC 5545 3.1.4: a calendar is UTF-8")
def _is_utf8(it: Calendar) -> bool:
    try:
        it.content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


RULES["RFC 5545 3.1: lines end with CRLF"] = lambda it: (
    it.content.endswith(b"\r\n") and b"\n" not in it.content.replace(b"\r\n", b"")
)
RULES["RFC 5545 3.1: lines are folded at 75 octets"] = lambda it: max(map(len, it.content.splitlines())) <= 75
RULES["RFC 5545 3.1: a line is a name, parameters and a value"] = lambda it: all(each.name for each in it.properties)
RULES["RFC 5545 3.1: no control characters"] = lambda it: (
    not any(
        _CONTROLS.search(each.value) or any(map(_CONTROLS.search, each.parameters.values())) for each in it.properties
    )
)

# --- the calendar ---

RULES["RFC 5545 3.6: VERSION is 2.0"] = lambda it: [each.value for each in it.all("VERSION", "VCALENDAR")] == ["2.0"]
RULES["RFC 5545 3.6: one PRODID"] = _count("PRODID", [1], inside="VCALENDAR")
RULES["RFC 5546 1.4: METHOD is one of these, once"] = lambda it: (
    [each.value for each in it.all("METHOD", "VCALENDAR")] in [["REQUEST"], ["CANCEL"], ["PUBLISH"]]
)

# --- the entry (RFC 5546, sections 3.2.1, 3.2.2 and 3.2.5) ---

for _name in ("UID", "DTSTAMP", "DTSTART", "ORGANIZER", "SEQUENCE", "SUMMARY", "DTEND"):
    RULES[f"RFC 5546 3.2: one {_name}"] = _count(_name, [1])
for _name in ("STATUS", "DESCRIPTION", "LOCATION", "URL", "TRANSP", "CREATED", "LAST-MODIFIED", "CLASS", "PRIORITY"):
    RULES[f"RFC 5546 3.2: at most one {_name}"] = _count(_name, [0, 1])
RULES["RFC 5546 3.2: UID is not empty"] = lambda it: bool(it.value("UID"))
RULES["RFC 5546 3.2: SEQUENCE is a number"] = lambda it: bool(re.fullmatch(r"\d{1,9}", it.value("SEQUENCE")))
RULES["RFC 5545 3.8.7.2: DTSTAMP is in UTC"] = lambda it: bool(re.fullmatch(r"\d{8}T\d{6}Z", it.value("DTSTAMP")))
RULES["RFC 5545 3.3.11: ORGANIZER and ATTENDEE are mail addresses"] = lambda it: all(
    re.fullmatch(r"(?i:mailto:)[^\s@<>]+@[^\s@<>]+", each.value) for each in (*it.all("ORGANIZER"), *it.all("ATTENDEE"))
)
RULES["RFC 5546 3.2: an ATTENDEE stands once"] = lambda it: (
    len({_address(each.value) for each in it.all("ATTENDEE")}) == len(it.all("ATTENDEE"))
)
RULES["RFC 5546 3.2.1: PUBLISH has no ATTENDEE"] = _count("ATTENDEE", [0], methods="PUBLISH")
RULES["RFC 5546 3.2.2: REQUEST has an ATTENDEE"] = _count("ATTENDEE", _SOME, methods="REQUEST")
RULES["RFC 5546 3.2.2: REQUEST is TENTATIVE or CONFIRMED"] = lambda it: (
    it.method != "REQUEST" or it.value("STATUS") in {"TENTATIVE", "CONFIRMED"}
)
RULES["RFC 5546 3.2.5: CANCEL names an ATTENDEE"] = _count("ATTENDEE", _SOME, methods="CANCEL")
RULES["RFC 5546 3.2.5: CANCEL is CANCELLED"] = lambda it: it.method != "CANCEL" or it.value("STATUS") == "CANCELLED"
RULES["RFC 5546 2.1.4: CANCEL has raised SEQUENCE"] = lambda it: it.method != "CANCEL" or it.value("SEQUENCE") != "0"


@_rule("RFC 5545 3.3.5: times are in UTC, or in a zone that is there")
def _has_zones(it: Calendar) -> bool:
    zones = {each.value for each in it.all("TZID", "VTIMEZONE")}
    times = [*it.all("DTSTART"), *it.all("DTEND")]
    return all(
        _STAMP.fullmatch(each.value) and (each.value.endswith("Z") != (each.parameters.get("TZID") in zones))
        for each in times
    )


RULES["RFC 5545 3.6.1: DTEND comes after DTSTART"] = lambda it: it.value("DTEND") > it.value("DTSTART")

# --- what follows one another (RFC 5546, sections 2.1.4 and 2.1.5) ---

_thread_rule("RFC 5546 2.1.4: one UID", lambda before, after: before.uid == after.uid)
_thread_rule("RFC 5546 2.1.4: ORGANIZER stays", lambda before, after: before.organizer == after.organizer)
_thread_rule("RFC 5546 2.1.4: SEQUENCE never falls", lambda before, after: before.sequence <= after.sequence)
_thread_rule(
    "RFC 5546 2.1.4: SEQUENCE rises with another time or status",
    lambda before, after: before.sequence < after.sequence or _what_counts(before) == _what_counts(after),
)
_thread_rule(
    "RFC 5546 2.1.4: SEQUENCE rises with each CANCEL",
    lambda before, after: before.sequence < after.sequence or after.method != "CANCEL",
)
_thread_rule("RFC 5546 2.1.5: DTSTAMP never falls", lambda before, after: before.dtstamp <= after.dtstamp)
_thread_rule(
    # a SEQUENCE that rises decides by itself, and two mails may be sent in one second
    "RFC 5546 2.1.5: DTSTAMP rises where SEQUENCE does not",
    lambda before, after: before.dtstamp < after.dtstamp or before.sequence < after.sequence,
)


def _what_counts(message: ItipMessage) -> tuple[str, str, str]:
    return message.starts_at, message.ends_at, message.status
