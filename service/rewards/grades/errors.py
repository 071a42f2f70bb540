"""What can be wrong about grades."""

from service.errors import Conflict, Invalid, NotFound


class GradeRulesInvalid(Invalid):
    """Grade rules cannot be like this."""

    code = "grade-rules-invalid"


class GradeRulesUnknown(NotFound):
    """There are no such grade rules."""

    code = "grade-rules-unknown"


class GradeRulesNotInForce(NotFound):
    """No grade rules of this name are in force."""

    code = "grade-rules-not-in-force"


class GradeReviewUnknown(NotFound):
    """There is no such review."""

    code = "grade-review-unknown"


class GradeReviewOpen(Conflict):
    """A human is looking at this grade already."""

    code = "grade-review-open"


class GradeReviewDecided(Conflict):
    """The review has been decided."""

    code = "grade-review-decided"


class GradeNotRaised(Invalid):
    """A review never takes a grade away."""

    code = "grade-not-raised"
