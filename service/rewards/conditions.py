"""One thing that a grade or an offer asks for: what is needed, what there is, and in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.messages import Language, say, translate

NEEDED: Final[Mapping[str, str]] = {
    "offer-not-active": "The offer has to be open.",
    "points-too-few": "{required} points are needed.",
    "grade-too-low": "The grade {required} or a higher one is needed.",
    "grade-unknown": "The grade rules {required} have to be in force.",
    "reduction-too-small": "{required} g of certified reduction are needed.",
    "person-not-verified": "Who you are has to be verified.",
    "person-limit-reached": "One person can take the offer {required} times in its period.",
    "offer-quota-exhausted": "Something of the offer has to be left.",
    "campaign-budget-exhausted": "The offer's budget has to reach for it.",
    "account-frozen": "The account must not be frozen.",
    "spending-held": "Nothing may hold the points back.",
    "reduction-in-window": "{about} takes {required} g of certified reduction in the window.",
    "behaviors-in-window": "{about} takes {required} different behaviors in the window.",
    "raised-by-human": "A human looked at it: the grade is at least {required}.",
}
"""What each condition asks for, by its code; every sentence is in `zh.po`."""

FOUND: Final[Mapping[str, str]] = {
    "offer-not-active": "It is: {actual}.",
    "points-too-few": "{actual} are available.",
    "grade-too-low": "Yours is: {actual}.",
    "grade-unknown": "They are not.",
    "reduction-too-small": "There are {actual} g.",
    "person-not-verified": "A verification partner can do that.",
    "person-limit-reached": "It was taken {actual} times.",
    "offer-quota-exhausted": "{actual} are left.",
    "campaign-budget-exhausted": "{actual} fen are left.",
    "account-frozen": "It is: {actual}.",
    "spending-held": "They are held until: {actual}.",
    "reduction-in-window": "There are {actual} g.",
    "behaviors-in-window": "There are {actual}.",
    "raised-by-human": "That holds until {actual}.",
}
"""What there is, said only to whoever may know it."""

WORDS: Final[Mapping[Any, str]] = {
    None: "none",
    "light_green": "light green",
    "medium_green": "medium green",
    "deep_green": "deep green",
    "active": "active",
    "draft": "a draft",
    "paused": "paused",
    "retired": "retired",
    "not_yet_open": "not yet open",
    "closed": "closed",
    "terms_changed": "on other terms now",
    "frozen": "frozen",
    "erased": "erased",
}
"""How values are called in a sentence."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition, whether it is met, and the two values that decide it.

    Args:
        code: names what is missing when it is not met.
        required: JSON value.
        actual: JSON value.
        passed: whether it is met.
        about: of which of several alike it is, such as a grade or a cap.
    """

    code: str
    required: Any
    actual: Any
    passed: bool
    about: str | None = None

    @property
    def values(self) -> dict[str, Any]:
        """What decides it, as JSON."""
        return {
            "code": self.code,
            "about": self.about,
            "required": self.required,
            "actual": self.actual,
        }

    def view(self, language: Language, *, with_actual: bool = True) -> dict[str, Any]:
        """Return the condition as it is shown, with its sentence.

        Args:
            language: of the sentence.
            with_actual: whether the reader may know what there is, besides whether it is enough.
        """
        members = {
            name: _words(value, language)
            for name, value in (
                *(("required", self.required), ("actual", self.actual)),
                ("about", self.about),
            )
        }
        sentences = [say(NEEDED[self.code], language, **members)]
        if with_actual:
            sentences.append(say(FOUND[self.code], language, **members))
        return {
            **self.values,
            "passed": self.passed,
            "actual": self.actual if with_actual else None,
            "detail": ("" if language == "zh" else " ").join(sentences),
        }


def _words(value: Any, language: Language) -> Any:
    known = value is None or isinstance(value, str)
    return translate(WORDS[value], language) if known and value in WORDS else value
