"""References of a pipeline's step to the results of earlier steps."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from jobs.engine.broker.references import PendingPlaces, find_references, resolve
from jobs.engine.catalogue.parameters import Parameters
from jobs.engine.errors import Fault, InvalidParameters, ReferenceUnresolved


def ref(text: object) -> dict[str, object]:
    return {"$ref": text}


def test_references_are_found_anywhere_in_the_parameters() -> None:
    params = {"a": ref("#/steps/0/result"), "b": [1, {"c/d": ref("#/steps/1/result/x/0/y~1z")}], "plain": "#/steps/0"}

    found, faults = find_references(params, step=2)

    assert faults == []
    assert [(each.place, each.step, each.path) for each in found] == [
        (("a",), 0, ()),
        (("b", 1, "c/d"), 1, ("x", "0", "y/z")),
    ]


@pytest.mark.parametrize("number", [1, 2, 7])
def test_a_step_may_refer_only_to_those_before_it(number: int) -> None:
    found, (fault,) = find_references({"a": [ref(f"#/steps/{number}/result")]}, step=1)

    assert (found, fault.pointer, fault.code) == ([], "/a/0/$ref", "bad_reference")
    assert fault.message == f"refers to step {number}; this step may refer to an earlier step, 0 to 0"


@pytest.mark.parametrize(
    "value",
    [
        ref("#/steps/00/result"),
        ref("#/steps/-1/result"),
        ref("#/steps/0/results"),
        ref("#/steps/0/result?"),
        ref("steps/0/result"),
        ref("http://example.com/#/steps/0/result"),
        ref(None),
        ref(["#/steps/0/result"]),
        {"$ref": "#/steps/0/result", "and": "more"},
    ],
)
def test_a_malformed_reference_is_refused(value: object) -> None:
    found, (fault,) = find_references({"a": value}, step=3)

    assert (found, fault.pointer, fault.code) == ([], "/a", "bad_reference")


def test_values_replace_references_and_nothing_else_changes() -> None:
    results = {0: {"file_id": "f", "rows": [{"n": 1.5}], "": "empty", "a/b": None}, 1: "text"}
    params = {
        "all": ref("#/steps/1/result"),
        "file": ref("#/steps/0/result/file_id"),
        "row": [ref("#/steps/0/result/rows/0/n"), 3, []],
        "odd": {"empty": ref("#/steps/0/result/"), "slash": ref("#/steps/0/result/a~1b")},
    }

    assert resolve(params, results) == {
        "all": "text",
        "file": "f",
        "row": [1.5, 3, []],
        "odd": {"empty": "empty", "slash": None},
    }


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("#/steps/0/result/fil_id", "#/steps/0/result has no 'fil_id'; it has 'file_id', 'rows'."),
        ("#/steps/0/result/rows/2", "#/steps/0/result/rows has no '2'; it is a list of 1."),
        ("#/steps/0/result/rows/-1", "#/steps/0/result/rows has no '-1'; it is a list of 1."),
        ("#/steps/0/result/file_id/0", "#/steps/0/result/file_id has no '0'; it has no parts."),
        ("#/steps/1/result", "the result of step 1 has expired."),
    ],
)
def test_a_reference_without_a_value_says_how_far_it_leads(reference: str, sentence: str) -> None:
    with pytest.raises(ReferenceUnresolved) as caught:
        resolve({"a": ref(reference)}, {0: {"file_id": "f", "rows": [1]}})

    assert caught.value.message.startswith(f"{reference} ")
    assert caught.value.message.endswith(sentence)


@pytest.mark.parametrize(
    ("pointer", "code", "expected"),
    [
        ("/a/0", "list_type", True),
        ("/a/0/$ref", "extra_forbidden", True),
        ("/a/0", "extra_forbidden", False),
        ("/a/0", "unexpected_keyword_argument", False),
        ("/a/01", "list_type", False),
        ("/a", "union_tag_invalid", True),
        ("/a", "value_error", True),
        ("/a", "too_long", False),
        ("/b", "missing", False),
    ],
)
def test_faults_about_values_that_are_not_known_yet_are_recognized(pointer: str, code: str, expected: bool) -> None:
    references, _ = find_references({"a": [ref("#/steps/0/result")]}, step=1)

    assert PendingPlaces(references).excuse(Fault("no", code, pointer=pointer), in_union=False) is expected


@dataclass
class Circle:
    radius: int = 1


@dataclass
class Square:
    side: int = 1


def draw(shape: Circle | Square, size: Circle) -> None:
    """Draw a shape."""


@pytest.mark.parametrize(
    ("params", "pointers"),
    [
        ({"shape": {"side": ref("#/steps/0/result")}, "size": {"radius": ref("#/steps/0/result")}}, []),
        ({"shape": ref("#/steps/0/result"), "size": ref("#/steps/0/result")}, []),
        (ref("#/steps/0/result"), []),
        ({"shape": {}, "size": {"side": ref("#/steps/0/result")}}, ["/size/side"]),
        ({"shape": {}, "size": {}, "colour": ref("#/steps/0/result")}, ["/colour"]),
    ],
)
def test_a_reference_excuses_no_name_that_does_not_exist(params: dict[str, object], pointers: list[str]) -> None:
    references, _ = find_references(params, step=1)
    try:
        Parameters(draw).validate(params, PendingPlaces(references).excuse)
        found = []
    except InvalidParameters as error:
        found = [fault.pointer for fault in error.faults]
    assert found == pointers
