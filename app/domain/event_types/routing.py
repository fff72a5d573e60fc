"""Questions and routing rules: answers to hosts, or to a rejection.

The one rule: the first rule that matches decides, and none matching means that everybody may be booked. Texts are
compared without regard to capitals and to space around them.
Source: seed 002 ("qualification answers", "conditional routing rule"); the API contract, `routing_rules`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args
from uuid import UUID

from app.core.errors import FieldError, InvalidInput, listing
from app.domain.availability.service import Verdict

QuestionType = Literal["text", "long_text", "number", "email", "phone", "select", "multi_select", "checkbox"]
Operator = Literal["equals", "not_equals", "contains", "in"]
TYPES: tuple[str, ...] = get_args(QuestionType)
OPERATORS: tuple[str, ...] = get_args(Operator)
REJECT = "reject"

_LONGEST = {"long_text": 5000}
_LONGEST_ELSE = 500
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_PHONE = re.compile(r"[0-9+()./ -]{3,50}", flags=re.ASCII)


def check_answers(
    questions: Iterable[Mapping[str, Any]], given: Sequence[Mapping[str, Any]], *, complete: bool = True
) -> dict[str, Any]:
    """Answers by question id. complete: required ones must be there; a hold may bring them later.

    Raises InvalidInput naming each that is missing, unknown, doubled or of a wrong type.
    """
    asked = {question["id"]: question for question in questions}
    answers: dict[str, Any] = {}
    wrong: list[FieldError] = []
    for number, each in enumerate(given):
        question_id, answer = each["question_id"], each["answer"]
        question = asked.get(question_id)
        if question is None:
            known = listing(f"{each['id']} ('{each['label']}')" for each in asked.values())
            wrong.append(FieldError(f"answers.{number}.question_id", "unknown_id", f"there are: {known}"))
        elif question_id in answers:
            wrong.append(FieldError(f"answers.{number}.question_id", "repeated", "is answered twice"))
        else:
            answers[question_id] = answer
            because = None if _is_blank(answer) else _fault(question, answer)
            if because is not None:
                wrong.append(FieldError(f"answers.{number}.answer", "invalid_value", because))
    for question_id, question in asked.items():
        if complete and question["required"] and _is_unanswered(question, answers.get(question_id)):
            because = f"'{question['label']}' has to be {_how(question)}"
            wrong.append(FieldError(f"answers.{question_id}", "missing", because))
    if wrong:
        rest = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise InvalidInput(f"{wrong[0].field}: {wrong[0].message}{rest}", errors=wrong)
    return answers


def _how(question: Mapping[str, Any]) -> str:
    """What an answer has to look like, for whoever gave none."""
    if question["type"] == "checkbox":
        return "ticked: true"
    return f"answered; choose from: {', '.join(question['options'])}" if question["options"] else "answered"


def route(rules: Sequence[Mapping[str, Any]], answers: Mapping[str, Any]) -> Verdict:
    """What the first matching rule says of the answers."""
    for number, rule in enumerate(rules):
        if _matches(rule["operator"], rule["value"], answers.get(rule["question_id"])):
            if rule["action"] == REJECT:
                return Verdict(rejected=rule["message"] or "These answers cannot be booked.", rule_no=number)
            return Verdict(host_ids=frozenset(map(UUID, rule["host_ids"])), rule_no=number)
    return Verdict()


def _is_blank(answer: Any) -> bool:
    return answer is None or answer == [] or (isinstance(answer, str) and not answer.strip())


def _is_unanswered(question: Mapping[str, Any], answer: Any) -> bool:
    """A required checkbox has to be ticked, as on any form."""
    return _is_blank(answer) or (question["type"] == "checkbox" and answer is not True)


def _fault(question: Mapping[str, Any], answer: Any) -> str | None:
    """What is wrong with an answer that is there."""
    kind, options = question["type"], question["options"]
    if kind == "number":
        is_number = isinstance(answer, int | float) and not isinstance(answer, bool)
        return None if is_number else "must be a number"
    if kind == "checkbox":
        return None if isinstance(answer, bool) else "must be true or false"
    several = kind == "multi_select"
    texts = answer if several and isinstance(answer, list) else [answer]
    if several != isinstance(answer, list) or not all(isinstance(each, str) for each in texts):
        return "must be a list of options" if several else "must be a string"
    if several or kind == "select":
        return None if set(texts) <= set(options) else f"choose from: {', '.join(options)}"
    return _text_fault(kind, answer)


def _text_fault(kind: str, answer: str) -> str | None:
    longest = _LONGEST.get(kind, _LONGEST_ELSE)
    if len(answer) > longest:
        return f"may have at most {longest} characters"
    if kind == "email" and not _EMAIL.fullmatch(answer.strip()):
        return "must be an e-mail address"
    if kind == "phone" and not _PHONE.fullmatch(answer.strip()):
        return "must be a telephone number"
    return None


def _matches(operator: str, value: Any, answer: Any) -> bool:
    """An answer of several options equals what is among them; what was not answered equals nothing."""
    folded = _folded(answer)
    if operator == "equals":
        return _folded_one(value) in folded
    if operator == "not_equals":
        return _folded_one(value) not in folded
    if operator == "in":
        return any(each in folded for each in _folded(value))
    wanted = _folded_one(value)
    if isinstance(answer, list):
        return wanted in folded
    return isinstance(wanted, str) and any(isinstance(each, str) and wanted in each for each in folded)


def _folded(value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    return [_folded_one(each) for each in values if each is not None]


def _folded_one(value: Any) -> Any:
    """Texts without capitals; 3 and 3.0 are equal anyway, but true is not 1, nor is "3"."""
    if isinstance(value, str):
        return " ".join(value.split()).casefold()
    return ("bool", value) if isinstance(value, bool) else value
