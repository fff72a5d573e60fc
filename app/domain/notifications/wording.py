"""A letter in its reader's words and time: what the text and the HTML of a mail both say.

The one rule: both are made from this, so they cannot say different things.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.core.times import parse_instant
from app.domain.bookings.ical import Mailbox, Method
from app.domain.notifications.language import Language, language, spell, spell_instant
from app.domain.notifications.letters import Kind, Letter, Meeting, Role
from app.domain.notifications.plain import is_web_page, many_lines, one_line

# in this order; the tone: what the reader should do, may do, or does at a cost
_BUTTONS = {
    "confirm": "go",
    "decline": "stop",
    "offer": "go",
    "accept": "go",
    "reset": "go",
    "settings": "go",
    "invite": "quiet",
    "reschedule": "quiet",
    "cancel": "stop",
}
_PROVIDERS = {"google": "Google", "microsoft": "Microsoft"}
# what of a letter's facts are times
_TIMES = frozenset({"until", "starts_at", "moved_to"})
# what `reason` is when nobody answered a request (by: the system)
_UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Detail:
    """link: whether the text is the address of a web page."""

    label: str
    text: str
    link: bool = False


@dataclass(frozen=True, slots=True)
class Button:
    label: str
    url: str
    tone: str


@dataclass(frozen=True, slots=True)
class Words:
    """about: what calendars call the meeting, or the organization. preview: what lists of mails show after the
    subject. unsubscribe: like a button, in the footer."""

    language: Language
    about: str
    subject: str
    preview: str
    heading: str
    paragraphs: tuple[str, ...]
    details: tuple[Detail, ...]
    buttons: tuple[Button, ...]
    footer: str
    unsubscribe: Button | None


def is_worded(kind: Kind, role: Role) -> bool:
    """Whether there is such a letter: nobody reminds a host, say."""
    return language("").has(f"{kind.value}.{role.value}.subject")


def words_of(letter: Letter) -> Words:
    """Raises ValueError where there is no such letter, and KeyError where it lacks a fact that its words need."""
    if not is_worded(letter.kind, letter.role):
        raise ValueError(f"no letter {letter.kind.value} to a {letter.role.value}")
    words = language(letter.locale)
    topic = f"{_UNANSWERED if _is_unanswered(letter) else letter.kind.value}.{letter.role.value}"
    values = _values(letter, words)
    about = _about(letter, words, values)
    details = tuple(_details(letter, words, values))
    paragraphs = tuple(_paragraphs(letter, words, topic, values))
    when = [each.text for each in details if each.label == words.say("labels.when")]
    return Words(
        language=words,
        about=about,
        subject=_subject(letter, words, about, words.say(f"{topic}.subject", values)),
        preview=one_line(when[0] if when else paragraphs[0]),
        heading=words.say(f"{topic}.heading", values),
        paragraphs=paragraphs,
        details=details,
        buttons=tuple(_buttons(letter, words)),
        footer=words.say(f"footer.{letter.role.value}", values),
        unsubscribe=_unsubscribe(letter, words),
    )


def _subject(letter: Letter, words: Language, about: str, what: str) -> str:
    """Of an invitation, what the entry is called and nothing else: Exchange titles the entry from it."""
    if letter.meeting and letter.meeting.method is Method.REQUEST:
        return about
    return words.say("mail.subject", {"about": about, "what": what})


def place_of(meeting: Meeting, words: Language) -> Detail | None:
    """Where it is, on one line."""
    if meeting.location is None:
        return None
    kind, given = meeting.location
    label, value, key = words.say("labels.where"), one_line(given or "", 1000), f"places.{kind}"
    if kind in {"link", "conference"} and given and is_web_page(given):
        return Detail(label, given, link=True)
    if kind == "phone" and value:
        return Detail(label, words.say("mail.detail", {"label": words.say(key), "text": value}))
    text = value or (words.say(key) if words.has(key) else "")
    return Detail(label, text) if text else None


def name_meeting(words: Language, title: str, hosts: Sequence[str], attendee: str) -> str:
    """What mails and calendars call a meeting, on one line. hosts, attendee: names as `one_name` leaves them; empty
    where there is nobody."""
    parts = {"title": one_line(title, 100), "hosts": words.enumerate(hosts), "attendee": attendee}
    if hosts and attendee:
        return one_line(words.say("summary.both", parts))
    if hosts or attendee:
        return one_line(words.say("summary.hosts" if hosts else "summary.attendee", parts))
    return parts["title"]


def one_name(name: str) -> str:
    """Short enough to stand among others."""
    return one_line(name, 80)


def attendee_of(letter: Letter) -> Mailbox | None:
    """Whoever is written to at an address that the booking has left does not learn whose it is now."""
    if letter.kind is Kind.REMOVED and letter.role is Role.ATTENDEE:
        return letter.to
    return letter.meeting.attendee if letter.meeting else None


def _is_unanswered(letter: Letter) -> bool:
    meeting = letter.meeting
    return (
        letter.kind in {Kind.CANCELLED, Kind.DECLINED}
        and meeting is not None
        and meeting.reason == _UNANSWERED
        and meeting.by in {None, "system"}
    )


def _values(letter: Letter, words: Language) -> dict[str, str]:
    """What phrases may name."""
    facts = {name: one_line(text) for name, text in letter.facts.items()}
    for name in _TIMES & facts.keys():
        facts[name] = _spell_fact(letter, facts[name])
    for unit in {"days", "minutes"} & facts.keys():
        facts[unit] = words.count(unit.removesuffix("s"), facts[unit])
    if "provider" in facts:
        facts["provider"] = _PROVIDERS.get(facts["provider"], facts["provider"])
    organization = one_line(letter.organization)
    attendee = attendee_of(letter)
    hosts = [_name(each) for each in letter.meeting.hosts] if letter.meeting else []
    return {
        **facts,
        "organization": organization,
        "address": one_line(letter.to.address),
        "attendee": _name(attendee) if attendee else words.say("words.someone"),
        "attendee_address": one_line(attendee.address) if attendee else "",
        "with": words.enumerate(hosts) or organization,
        # with several hosts nobody here knows which
        "side": hosts[0] if len(hosts) == 1 else organization,
    }


def _about(letter: Letter, words: Language, values: Mapping[str, str]) -> str:
    if letter.meeting is None:
        return values["organization"]
    attendee, hosts = attendee_of(letter), [_name(each) for each in letter.meeting.hosts]
    return name_meeting(words, letter.meeting.title, hosts, _name(attendee) if attendee else "")


def _paragraphs(letter: Letter, words: Language, topic: str, values: Mapping[str, str]) -> Iterator[str]:
    by_nobody = letter.kind is Kind.INVITATION and not values.get("inviter")
    yield words.say(f"{topic}.lead_by_nobody" if by_nobody else f"{topic}.lead", values)
    if letter.meeting and not _is_unanswered(letter):
        by = letter.meeting.by
        you = by == Role.ATTENDEE.value and letter.role is Role.ATTENDEE
        key = f"{letter.kind.value}.by.{'you' if you else by}"
        if words.has(key):
            yield words.say(key, values)
    if words.has(f"{topic}.more"):
        yield words.say(f"{topic}.more", values)


def _details(letter: Letter, words: Language, values: Mapping[str, str]) -> Iterator[Detail]:
    def detail(key: str, text: str) -> Iterator[Detail]:
        if text:
            yield Detail(words.say(f"labels.{key}"), text)

    meeting = letter.meeting
    if meeting is not None:
        yield from detail("what", one_line(meeting.title))
        yield from detail("when", spell(letter.locale, meeting.starts_at, meeting.ends_at, letter.zone))
        if meeting.was:
            yield from detail("before", spell(letter.locale, *meeting.was, letter.zone))
        if place := place_of(meeting, words):
            yield place
        yield from _people(letter, meeting, words)
        yield from detail("notes", many_lines(meeting.notes or ""))
        if letter.role is Role.HOST:
            answers = ({"question": one_line(asked), "answer": many_lines(text)} for asked, text in meeting.answers)
            yield from detail("answers", "\n".join(words.say("mail.answer", each) for each in answers))
        if not _is_unanswered(letter):
            yield from detail("reason", many_lines(meeting.reason or ""))
    elif letter.kind is Kind.WAITLIST_OFFER:
        yield from detail("what", values.get("title", ""))
    elif letter.kind is Kind.WEBHOOK_DISABLED:
        yield from detail("webhook", values["url"])
        reason = values.get("reason", "")
        yield from detail("reason", words.say(f"reasons.{reason}") if words.has(f"reasons.{reason}") else reason)
    elif letter.kind in {Kind.CALENDAR_REAUTH, Kind.CALENDAR_PAUSED}:
        yield from detail("account", values["account"])
    elif letter.kind is Kind.CALENDAR_RESTORED:
        yield from detail("moved_to", values.get("moved_to", ""))
        reason = f"reasons.{values['reason']}"
        yield from detail("reason", words.say(reason) if words.has(reason) else "")


def _people(letter: Letter, meeting: Meeting, words: Language) -> Iterator[Detail]:
    """Hosts, and who decides in their place, see addresses, attendees whom they bring, guests names alone. Numbers are
    for hosts."""
    attendee = attendee_of(letter)
    others = [each for each in meeting.hosts if each.address.lower() != letter.to.address.lower()]
    if others:
        yield Detail(words.say("labels.with"), ", ".join(map(_name, others)))
    if letter.role in {Role.HOST, Role.MEMBER}:
        if attendee:
            yield Detail(words.say("labels.who"), _named_address(attendee))
        if meeting.attendee_phone:
            yield Detail(words.say("labels.phone"), one_line(meeting.attendee_phone))
    elif letter.role is Role.GUEST and attendee:
        yield Detail(words.say("labels.who"), _name(attendee))
    if letter.role in {Role.HOST, Role.ATTENDEE} and meeting.guests and letter.kind is not Kind.REMOVED:
        yield Detail(words.say("labels.guests"), "\n".join(map(_named_address, meeting.guests)))


def _buttons(letter: Letter, words: Language) -> Iterable[Button]:
    for name, tone in _BUTTONS.items():
        url = letter.links.get(name, "")
        if is_web_page(url):
            yield Button(words.say(f"links.{name}"), url, tone)


def _unsubscribe(letter: Letter, words: Language) -> Button | None:
    url = letter.unsubscribe or ""
    return Button(words.say("footer.unsubscribe"), url, "quiet") if is_web_page(url) else None


def _name(of: Mailbox) -> str:
    return one_name(of.name) or one_line(of.address)


def _named_address(of: Mailbox) -> str:
    name, address = one_name(of.name), one_line(of.address)
    return f"{name} <{address}>" if name else address


def _spell_fact(letter: Letter, text: str) -> str:
    """A time of ours, where it is one; otherwise as it is."""
    try:
        return spell_instant(letter.locale, parse_instant(text), letter.zone)
    except ValueError:
        return text
