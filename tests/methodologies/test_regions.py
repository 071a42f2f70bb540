"""The names that people give to places."""

import pytest

from service.methodologies import RegionUnknown, region_named, region_of, regions


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("440300", "440300"),
        ("shenzhen", "440300"),
        ("Shenzhen", "440300"),
        ("深圳", "440300"),
        ("深圳市", "440300"),
        ("CN-SH", "310000"),
        ("cn-sh", "310000"),
        ("上海", "310000"),
        ("CN-GD", "440000"),
        ("广东省", "440000"),
        ("wuhan", "420100"),
        ("shanxi", "140000"),
        ("shaanxi", "610000"),
        ("xi'an", "610100"),
        ("Inner Mongolia", "150000"),
        ("内蒙古", "150000"),
        ("CN", "CN"),
    ],
)
def test_a_name_is_understood(name: str, code: str) -> None:
    assert region_named(name).code == code


@pytest.mark.parametrize("name", ["", "atlantis", "000000", "44030", "GRID-EAST", "\ud800", "\x00"])
def test_another_name_is_refused_with_what_is_accepted(name: str) -> None:
    with pytest.raises(RegionUnknown) as refusal:
        region_named(name)

    assert refusal.value.code == "region-unknown"
    assert "440300 Shenzhen" in str(refusal.value)
    assert str(refusal.value).encode()


def test_a_city_knows_its_province_and_the_province_its_grid() -> None:
    shenzhen = region_of("440300")

    assert shenzhen.province == "440000"
    assert region_of("440000").grid == shenzhen.grid == "GRID-SOUTH"
    assert shenzhen.within == ("440300", "440000")


def test_a_grouping_that_no_source_gives_is_left_out() -> None:
    assert region_of("370000").grid is None


def test_all_provinces_are_there() -> None:
    provinces = [region for region in regions().values() if region.level == "province"]

    assert len(provinces) == 34


def test_every_city_lies_in_its_province() -> None:
    for region in regions().values():
        if region.level == "city":
            assert region.province == f"{region.code[:2]}0000"
            assert region.province in regions()


def test_no_name_means_two_places() -> None:
    for region in regions().values():
        if region.level != "grid":
            for name in (region.code, region.name_en, region.name_zh, *region.aliases):
                assert region_named(name) is region
