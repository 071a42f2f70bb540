"""The types and bounds that activity data is made of."""

from typing import Annotated

from msgspec import Meta

TripDistance = Annotated[
    int, Meta(ge=1, le=200_000, description="Distance of one trip in metres, 1 to 200,000.")
]
DriveDistance = Annotated[
    int, Meta(ge=1, le=5_000_000, description="Distance driven in metres, 1 to 5,000,000.")
]
Energy = Annotated[
    int, Meta(ge=1, le=1_000_000_000, description="Energy in watt-hours, 1 to 1,000,000,000.")
]
Mass = Annotated[int, Meta(ge=1, le=1_000_000, description="Mass in grams, 1 to 1,000,000.")]
Days = Annotated[int, Meta(ge=1, le=31, description="Whole days that the reading covers, 1 to 31.")]
Steps = Annotated[int, Meta(ge=1, le=200_000, description="Steps counted, 1 to 200,000.")]
Identifier = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[!-~]+(?![\s\S])",
        description="A number or code of the source: 1 to 64 visible ASCII characters.",
    ),
]
Station = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[^\x00-\x1f\x7f]+(?![\s\S])",
        description="Code or name of a stop: 1 to 64 characters, no control characters.",
    ),
]
