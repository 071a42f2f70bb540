"""What a refused request is told."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from service.errors import DomainError
from service.messages import CHINESE
from service.web.problems import status_of
from tests.web.sentences import refusal_classes, sentences

PROBLEMS = Path(__file__).parents[2] / "docs" / "problems.md"

HAN = re.compile("[\u4e00-\u9fff]")


class TestEveryRefusal:
    @pytest.mark.parametrize("refusal", refusal_classes(), ids=lambda each: each.code)
    def test_has_a_section_with_its_status_and_title(self, refusal: type[DomainError]) -> None:
        sections = _sections()

        error = refusal("")

        assert refusal.code in sections
        assert f"{status_of(error)} · {error.title}" in sections[refusal.code]
        assert CHINESE[error.title] in sections[refusal.code]

    @pytest.mark.parametrize(("file", "sentence"), sorted(sentences()))
    def test_has_its_sentences_in_chinese(self, file: str, sentence: str) -> None:
        assert HAN.search(CHINESE.get(sentence, "")), f"{file}: no Chinese for {sentence!r}"

    @pytest.mark.parametrize("english", sorted(CHINESE))
    def test_keeps_its_members_in_chinese(self, english: str) -> None:
        assert _members(CHINESE[english]) == _members(english)

    def test_is_the_only_thing_documented(self) -> None:
        assert set(_sections()) == {each.code for each in refusal_classes()}

    def test_has_a_code_of_its_own(self) -> None:
        codes = [each.code for each in refusal_classes()]

        assert sorted(codes) == sorted(set(codes))


class TestAProblem:
    def test_is_a_problem_document_with_all_members(self, probe: FlaskClient) -> None:
        response = probe.get("/nowhere")

        assert response.mimetype == "application/problem+json"
        assert response.get_json() == {
            "type": "/problems/route-unknown",
            "title": "There is nothing at this address.",
            "status": 404,
            "detail": "Please check the address; the list of all is at /docs.",
            "instance": "/nowhere",
            "code": "route-unknown",
            "retryable": False,
            "request_id": response.headers["Request-Id"],
        }

    @pytest.mark.parametrize(
        ("accept_language", "language", "title"),
        [
            ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN", "该地址没有内容。"),
            ("fr, zh-Hant;q=0.5, en;q=0.2", "zh-CN", "该地址没有内容。"),
            ("en-GB, zh;q=0.9", "en", "There is nothing at this address."),
            ("*", "en", "There is nothing at this address."),
            ("zh;q=0, en;q=abc", "en", "There is nothing at this address."),
        ],
    )
    def test_speaks_the_callers_language(
        self, probe: FlaskClient, accept_language: str, language: str, title: str
    ) -> None:
        response = probe.get("/nowhere", headers={"Accept-Language": accept_language})

        assert response.headers["Content-Language"] == language
        assert response.headers["Vary"] == "Accept-Language"
        assert response.get_json()["title"] == title

    def test_of_a_wrong_method_names_the_right_ones(self, probe: FlaskClient) -> None:
        response = probe.delete("/livez")

        assert response.status_code == 405
        assert response.headers["Allow"] == "GET, HEAD"

    @pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "BREW"])
    def test_answers_methods_nobody_offers(self, probe: FlaskClient, method: str) -> None:
        assert probe.open("/livez", method=method).get_json()["code"] == "method-not-allowed"

    @pytest.mark.parametrize("path", ["//livez/", "/livez/", "/v1//me", "/probe/failure/"])
    def test_never_redirects(self, probe: FlaskClient, path: str) -> None:
        assert probe.get(path).status_code == 404


class TestAFaultOfOurs:
    @pytest.mark.parametrize(
        ("kind", "status", "code"),
        [
            ("bug", 500, "internal-error"),
            ("constraint", 500, "internal-error"),
            ("deadlock", 503, "database-busy"),
            ("away", 503, "database-unavailable"),
        ],
    )
    def test_says_nothing_of_what_happened(
        self, probe: FlaskClient, kind: str, status: int, code: str
    ) -> None:
        response = probe.get(f"/probe/failure/{kind}")

        assert (response.status_code, response.get_json()["code"]) == (status, code)
        for secret in ("hunter2", "4711", "10.1.2.3", "13800138000", "Traceback", "psycopg"):
            assert secret not in response.text

    @pytest.mark.parametrize("kind", ["bug", "constraint"])
    def test_is_written_down_without_its_words(
        self, probe: FlaskClient, kind: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        probe.get(f"/probe/failure/{kind}")

        written = capsys.readouterr().out
        assert "request_failed" in written
        assert "hunter2" not in written
        assert "13800138000" not in written

    @pytest.mark.parametrize("kind", ["deadlock", "away"])
    def test_says_when_to_come_back(self, probe: FlaskClient, kind: str) -> None:
        response = probe.get(f"/probe/failure/{kind}")

        assert response.headers["Retry-After"] == "2"
        assert response.get_json()["retryable"] is True


def _sections() -> dict[str, str]:
    parts = re.split(r"^### `([a-z0-9-]+)`$", PROBLEMS.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _members(template: str) -> set[str]:
    return set(re.findall(r"\{(\w+)", template))
