"""An operator's file of card taps becomes points that the card's holder can see and question."""

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from service import clock
from service.demo.client import Service
from tests.journeys.conftest import Installation, code_sent

TAPS = """card_no,deal_date,deal_type,equ_no,station
CARD1,2018-09-01 08:00:00,地铁入站,1,世界之窗站
CARD1,2018-09-01 08:30:00,地铁出站,2,罗湖站
CARD1,2018-09-01 12:00:00,巴士,3,
CARD2,2018-09-01 08:00:00,地铁入站,1,世界之窗站
CARD2,2018-09-01 08:30:00,地铁出站,2,罗湖站
"""
STATIONS = """station,longitude_gcj02,latitude_gcj02
世界之窗,113.974,22.537
罗湖,114.119,22.532
"""


@pytest.fixture
def taps(tmp_path: Path) -> list[Path]:
    files = {"taps.csv": TAPS, "stations.csv": STATIONS}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return [tmp_path / name for name in files]


def a_key_set(folder: Path) -> Path:
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}))
    return path


def a_citizen(installation: Installation, service: Service, phone: str) -> str:
    request_id = service.post("/v1/auth/otp", {"phone": phone})["request_id"]
    proof = {"request_id": request_id, "code": code_sent(installation.home, request_id)}
    token: str = service.post("/v1/auth/tokens", {"grant_type": "otp", **proof})["access_token"]
    return token


def test_from_the_operators_file_to_the_holders_account(
    installation: Installation, taps: list[Path], tmp_path: Path
) -> None:
    yesterday = clock.today() - timedelta(days=1)
    with installation.serving(), closing(Service(installation.port)) as service:
        added = installation.run(
            *("partner", "add", "--name", "metro", "--role", "source", "--region", "440300"),
            *("--jwks", a_key_set(tmp_path)),
        )
        token = a_citizen(installation, service, "+8613800138000")
        service.post("/v1/me/source-links", {"source": "metro", "account_ref": "CARD1"}, token)

        imported = installation.run(
            *("import", "shenzhen-card", *taps),
            *("--source", "metro", "--shift-to", yesterday, "--json"),
        )

        activities = service.items("/v1/me/activities", token)
        account = service.get("/v1/me/account", token)
        (transfer,) = service.items("/v1/me/transfers", token)
        recomputed = installation.run("recompute", transfer["id"])
        audit = installation.run("audit")
        provenance = service.get(f"/v1/transfers/{transfer['id']}/provenance", token)

    assert added.returncode == 0, added.stderr
    totals = json.loads(imported.stdout)
    assert totals["verdicts"]["certified"] == 1
    assert totals["refused"] == {"source-link-missing": 1, "parameter-missing": 1}
    verdicts = {each["behavior"]: each["verdict"] for each in activities}
    assert verdicts == {"metro_ride": "certified", "bus_ride": "refused"}
    assert all(each["simulated"] for each in activities)
    grams = totals["behaviors"]["metro_ride"]["reduction_g"]
    assert account["points"]["available"] == account["reduction_g"]["certified"] == grams > 0
    assert json.dumps(provenance).count(str(grams)) > 0
    assert (recomputed.returncode, audit.returncode) == (0, 0), recomputed.stdout + audit.stdout
