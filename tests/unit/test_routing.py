"""Questions and routing rules: which answers are accepted, and where they lead."""

import contextlib
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidInput
from app.domain.event_types.routing import OPERATORS, TYPES, check_answers, route

ADA, BOB = UUID(int=1), UUID(int=2)
OPTIONS = ["Basic", "Pro"]


def question(kind: str = "text", question_id: str = "q", **facts: Any) -> dict[str, Any]:
    options = OPTIONS if kind in {"select", "multi_select"} else []
    return {"id": question_id, "label": "Why?", "type": kind, "options": options, "required": False, **facts}


def answer(value: Any, question_id: str = "q") -> dict[str, Any]:
    return {"question_id": question_id, "answer": value}


def refusals(questions: list[dict[str, Any]], given: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(field, code) of everything that is wrong."""
    with pytest.raises(InvalidInput) as refused:
        check_answers(questions, given, complete=True)
    assert all(error.message for error in refused.value.errors)
    return [(error.field, error.code) for error in refused.value.errors]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *[("text", "x" * 500), ("text", " two words "), ("long_text", "x" * 5_000), ("long_text", "a\nb")],
        *[("number", 3), ("number", -2.5), ("number", 0), ("number", 10**30)],
        *[("email", "ada@example.com"), ("email", " ada@example.com ")],
        *[("phone", "+49 (30) 123-456/7.8"), ("phone", " 112 ")],
        *[("select", "Pro"), ("multi_select", ["Pro"]), ("multi_select", ["Pro", "Basic"])],
        *[("checkbox", True), ("checkbox", False)],
    ],
)
def test_an_answer_of_the_right_type_is_kept_as_it_is(kind: str, value: Any) -> None:
    assert check_answers([question(kind)], [answer(value)], complete=True) == {"q": value}
    assert check_answers([question(kind)], [answer(value)], complete=False) == {"q": value}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *[("text", 3), ("text", True), ("text", ["a"]), ("text", {"a": 1}), ("text", "x" * 501)],
        *[("long_text", 3), ("long_text", ["a"]), ("long_text", "x" * 5_001)],
        *[("number", "3"), ("number", True), ("number", False), ("number", [3]), ("number", {})],
        *[("email", "ada"), ("email", "ada@"), ("email", "a b@example.com"), ("email", "a@b@c"), ("email", 3)],
        *[("email", ["ada@example.com"]), ("email", "a@" + "b" * 500)],
        *[("phone", "call me"), ("phone", "12"), ("phone", "1" * 51), ("phone", "\u0661\u0662\u0663"), ("phone", 112)],
        *[("select", "Max"), ("select", "pro"), ("select", ["Pro"]), ("select", 1), ("select", True)],
        *[("multi_select", "Pro"), ("multi_select", ["Max"]), ("multi_select", ["Pro", 1]), ("multi_select", {})],
        *[("multi_select", [["Pro"]]), ("multi_select", [{}]), ("multi_select", ["Pro", None])],
        *[("checkbox", "true"), ("checkbox", 1), ("checkbox", 0), ("checkbox", [True])],
    ],
)
def test_an_answer_of_a_wrong_type_is_refused(kind: str, value: Any) -> None:
    assert refusals([question(kind)], [answer(value)]) == [("answers.0.answer", "invalid_value")]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("blank", [None, "", "  \n", []])
def test_a_blank_answer_is_none_which_only_a_required_question_minds(kind: str, blank: Any) -> None:
    assert check_answers([question(kind)], [answer(blank)], complete=True) == {"q": blank}
    assert refusals([question(kind, required=True)], [answer(blank)]) == [("answers.q", "missing")]


@pytest.mark.parametrize("kind", TYPES)
def test_a_required_question_has_to_be_answered(kind: str) -> None:
    assert refusals([question(kind, required=True)], []) == [("answers.q", "missing")]
    assert check_answers([question(kind)], [], complete=True) == {}


def test_a_required_checkbox_has_to_be_ticked() -> None:
    assert refusals([question("checkbox", required=True)], [answer(False)]) == [("answers.q", "missing")]
    assert check_answers([question("checkbox", required=True)], [answer(True)], complete=True) == {"q": True}


def test_zero_is_an_answer() -> None:
    assert check_answers([question("number", required=True)], [answer(0)], complete=True) == {"q": 0}


def test_a_hold_may_bring_what_is_required_later_but_nothing_wrong() -> None:
    questions = [question(required=True), question("number", "n")]
    assert check_answers(questions, [], complete=False) == {}
    assert check_answers(questions, [answer(3, "n")], complete=False) == {"n": 3}
    with pytest.raises(InvalidInput):
        check_answers(questions, [answer("3", "n")], complete=False)


def test_an_unknown_question_is_refused_by_name_of_those_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"answers\.0\.question_id: .*q \('.+'\), r \('"):
        check_answers([question(), question(question_id="r")], [answer("a", "s")], complete=True)
    assert refusals([], [answer("a")]) == [("answers.0.question_id", "unknown_id")]
    assert refusals([question()], [answer("a", "Q")]) == [("answers.0.question_id", "unknown_id")]


def test_a_question_is_answered_once() -> None:
    assert refusals([question()], [answer("a"), answer("a")]) == [("answers.1.question_id", "repeated")]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    questions = [question("number", "n"), question(question_id="t", required=True), question("checkbox", "c")]
    given = [answer("x", "n"), answer("y", "z"), answer(True, "c"), answer(False, "c")]
    assert refusals(questions, given) == [
        ("answers.0.answer", "invalid_value"),
        ("answers.1.question_id", "unknown_id"),
        ("answers.3.question_id", "repeated"),
        ("answers.t", "missing"),
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(TYPES), st.booleans(), JSON, st.booleans())
def test_any_answer_is_taken_or_refused_and_never_an_error(kind: str, required: bool, value: Any, held: bool) -> None:
    with contextlib.suppress(InvalidInput):
        assert check_answers([question(kind, required=required)], [answer(value)], complete=not held) == {"q": value}
    for operator in OPERATORS:
        route([rule(operator, "a"), rule(operator, [1, "b"]), rule(operator, True)], {"q": value})


def rule(operator: str, value: Any, question_id: str = "q", **facts: Any) -> dict[str, Any]:
    said = {"question_id": question_id, "operator": operator, "value": value, "action": "reject", "message": None}
    return {**said, "host_ids": [], **facts}


def matches(operator: str, value: Any, *given: Any) -> bool:
    """Whether a rule matches the answer, or the lack of one."""
    verdict = route([rule(operator, value)], {"q": given[0]} if given else {})
    assert (verdict.rejected is None) == (verdict.rule_no is None)
    return verdict.rejected is not None


@pytest.mark.parametrize(
    ("value", "given", "expected"),
    [
        *[("Berlin", "Berlin", True), ("Berlin", " bERLIN ", True), (" berlin", "Berlin", True)],
        *[("New York", "new   york", True), ("New York", "new\u00a0york", True), ("New York", "newyork", False)],
        *[("STRASSE", "straße", True), ("Berlin", "Bern", False), ("Ber", "Berlin", False)],
        *[(3, 3, True), (3, 3.0, True), (2.5, 2.5, True), (3, 4, False), (3, "3", False), ("3", 3, False)],
        *[(True, True, True), (False, False, True), (True, False, False), (True, 1, False), (1, True, False)],
        *[(0, False, False), (False, 0, False), ("true", True, False), (True, "true", False)],
        *[("pro", ["Basic", "Pro"], True), ("max", ["Basic", "Pro"], False), ("basic pro", ["Basic", "Pro"], False)],
        *[("", "", True), ("a", [], False), ("a", None, False)],
    ],
)
def test_equals_and_its_opposite(value: Any, given: Any, expected: bool) -> None:
    assert matches("equals", value, given) == expected
    assert matches("not_equals", value, given) != expected


@pytest.mark.parametrize(
    ("value", "given", "expected"),
    [
        *[("lin", "Berlin", True), ("BER", "berlin", True), ("w  y", "New York", True), ("x", "Berlin", False)],
        *[(" lin ", "Berlin", True), ("straße", "Hauptstrasse 3", True)],
        *[("pro", ["Basic", "PRO"], True), ("pr", ["Basic", "Pro"], False)],  # an option is chosen, or it is not
        *[("3", 3, False), (3, 3, False), (3, "33", False), (True, True, False), ("a", None, False), ("a", [], False)],
    ],
)
def test_contains(value: Any, given: Any, expected: bool) -> None:
    assert matches("contains", value, given) == expected


@pytest.mark.parametrize(
    ("value", "given", "expected"),
    [
        *[(["Berlin", "Bern"], " bern", True), (["Berlin", "Bern"], "Paris", False), (["Berlin"], "Ber", False)],
        *[(["DE", 49], 49.0, True), (["DE", 49], "49", False), ([1], True, False), ([True], 1, False)],
        *[([True, "x"], True, True), (["pro", "max"], ["Basic", "Pro"], True), (["max"], ["Basic", "Pro"], False)],
        *[([], "a", False), ("Berlin", "berlin", True), (["a"], None, False), (["a"], [], False)],
    ],
)
def test_in(value: Any, given: Any, expected: bool) -> None:
    assert matches("in", value, given) == expected


@pytest.mark.parametrize("value", ["a", "", 0, False, ["a", ""]])
def test_what_was_not_answered_equals_nothing(value: Any) -> None:
    assert not any(matches(operator, value) for operator in ("equals", "contains", "in"))
    assert matches("not_equals", value)
    assert matches("not_equals", value, None)


def test_the_first_rule_that_matches_decides() -> None:
    to_ada = rule("equals", "de", action="assign", host_ids=[str(ADA)])
    to_both = rule("not_equals", "fr", action="assign", host_ids=[str(ADA), str(BOB)])
    no_thanks = rule("contains", "x", message="We do not serve x.")
    rules = [no_thanks, to_ada, to_both]

    def verdict(given: str) -> tuple[str | None, frozenset[UUID] | None, int | None]:
        found = route(rules, {"q": given, "other": "de"})
        return found.rejected, found.host_ids, found.rule_no

    assert verdict("DE") == (None, frozenset({ADA}), 1)
    assert verdict("it") == (None, frozenset({ADA, BOB}), 2)
    assert verdict("lux") == ("We do not serve x.", None, 0)
    assert verdict("fr") == (None, None, None)


def test_no_rule_at_all_means_everybody() -> None:
    verdict = route([], {"q": "a"})
    assert (verdict.rejected, verdict.host_ids, verdict.rule_no) == (None, None, None)


@pytest.mark.parametrize("message", [None, ""])
def test_a_rejection_without_a_message_has_one_all_the_same(message: str | None) -> None:
    assert route([rule("equals", "a", message=message)], {"q": "a"}).rejected


def test_a_rule_reads_the_answer_to_its_own_question() -> None:
    assert route([rule("equals", "a", "p")], {"q": "a"}).rule_no is None
    assert route([rule("equals", "a", "p"), rule("equals", "a")], {"q": "a", "p": "b"}).rule_no == 1
