"""The service's sentences in Chinese: English templates are the keys, catalogues hold the words.

A catalogue is a gettext file `zh.po`, read as it stands. The edge's own is `locale/zh.po`; a
package that has sentences of its own keeps a `zh.po` in its folder, and need not register it.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from babel.messages.pofile import read_po

Language = Literal["zh", "en"]

TAG_OF: dict[Language, str] = {"zh": "zh-CN", "en": "en"}
"""What `Content-Language` says."""

LONGEST_HEADER = 1000

_SERVICE = Path(__file__).parent


def _read_catalogues() -> dict[str, str]:
    """Return every translated sentence of every package's catalogue."""
    sentences: dict[str, str] = {}
    for path in sorted(_SERVICE.glob("*/zh.po")):
        with path.open("rb") as file:
            catalogue = read_po(file, locale="zh_CN", abort_invalid=True)
        sentences |= {str(m.id): str(m.string) for m in catalogue if m.id and m.string}
    return sentences


CHINESE = _read_catalogues()


def translate(text: str, language: Language) -> str:
    """Return a sentence or template in a language; in English where it has no translation."""
    return CHINESE.get(text, text) if language == "zh" else text


def say(template: str, language: Language, /, **members: Any) -> str:
    """Return a sentence in a language, with its members filled in."""
    return translate(template, language).format(**members)


@lru_cache(maxsize=1024)
def language_of(accept_language: str | None) -> Language:
    """Choose the language of an answer from an `Accept-Language` header.

    Chinese of any kind is answered in Simplified Chinese. Whoever asks for nothing in particular is
    a program, and gets English.
    """
    if not accept_language or len(accept_language) > LONGEST_HEADER:
        return "en"
    wishes = [_wish(part) for part in accept_language.split(",")]
    best: Language = "en"
    best_quality = 0.0
    for language, quality in wishes:
        if language is not None and quality > best_quality:
            best, best_quality = language, quality
    return best


def _wish(part: str) -> tuple[Language | None, float]:
    tag, _, parameter = part.partition(";")
    primary = tag.strip().lower().partition("-")[0]
    language: Language | None = (
        "zh" if primary == "zh" else "en" if primary in {"en", "*"} else None
    )
    return language, _quality(parameter.strip())


def _quality(parameter: str) -> float:
    if not parameter:
        return 1.0
    name, _, value = parameter.partition("=")
    digits = value.strip()
    well_formed = name.strip() == "q" and digits.isascii() and digits.replace(".", "", 1).isdigit()
    return float(digits) if well_formed else 0.0
