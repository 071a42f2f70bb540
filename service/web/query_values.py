"""Numbers and moments in a query: written in the one way that every client reads the same."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from marshmallow import fields

from service import clock

_WHOLE: Final = re.compile("0|-?[1-9][0-9]*")
# A moment without its offset goes on to marshmallow, which says what is missing.
_RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


class WholeNumber(fields.Integer):
    """A number in ASCII digits: no plus, space, underscore or leading zero."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        if not _WHOLE.fullmatch(str(value)):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Moment(fields.AwareDateTime):
    """A date and a time with its offset, as RFC 3339 writes it; `t` and `z` may be small.

    It has a day in Shanghai: a moment at either end of the calendar may have none.
    """

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> datetime:
        if not _RFC_3339.fullmatch(str(value)):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        moment = super()._deserialize(str(value).upper(), attr, data, **kwargs)
        try:
            clock.day_of(moment)
        except OverflowError as error:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from error
        return moment
