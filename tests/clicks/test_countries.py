"""Which country a click came from."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.clicks.countries import Countries
from tests.clicks.mmdb import Value, write

NETWORKS: dict[str, Value] = {
    "192.0.2.0/24": {"country": {"iso_code": "DE"}},
    "198.51.100.0/24": {"country": "fr"},  # as other publishers write it
    "203.0.113.0/24": {"continent": {"code": "EU"}},
    "2001:db8::/32": {"country": {"iso_code": "NP"}},
    "2001:db9::/32": {"country_code": "AU"},
    "2001:dba::/32": {"country": {"iso_code": "<b>"}},
    "2001:dbb::/32": {"country": {"iso_code": 7}},
}


@pytest.fixture
def countries(tmp_path: Path) -> Countries:
    return Countries(write(tmp_path / "countries.mmdb", NETWORKS))


@pytest.mark.parametrize(
    ("ip", "country"),
    [
        ("192.0.2.0", "DE"),
        ("192.0.2.255", "DE"),
        ("192.0.3.1", ""),
        ("198.51.100.7", "FR"),
        ("203.0.113.7", ""),
        ("2001:db8::1", "NP"),
        ("2001:db8:ffff:ffff::1", "NP"),
        ("2001:db9::1", "AU"),
        ("2001:dba::1", ""),
        ("2001:dbb::1", ""),
        ("2001:dbc::1", ""),
        ("::ffff:192.0.2.7", "DE"),
        ("fe80::1%eth0", ""),
        ("", ""),
        (".", ""),
        ("192.0.2", ""),
        ("192.0.2.1.1", ""),
        ("256.0.0.1", ""),
        ("localhost", ""),
        ("testclient", ""),
        (":", ""),
        ("2001:db8::g", ""),
    ],
)
def test_an_address_has_the_country_of_its_network(
    countries: Countries, ip: str, country: str
) -> None:
    assert countries.of(ip) == country


def test_without_a_database_every_country_is_unknown() -> None:
    assert Countries(None).of("192.0.2.1") == ""


def no_file(path: Path) -> Path:
    return path / "missing.mmdb"


def no_database(path: Path) -> Path:
    file = path / "other.mmdb"
    file.write_bytes(b"this is no database" * 100)
    return file


def a_folder(path: Path) -> Path:
    return path


@pytest.mark.parametrize("broken", [no_file, no_database, a_folder])
def test_a_database_that_cannot_be_read_is_said_once_and_stops_nothing(
    broken: Callable[[Path], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    countries = Countries(broken(tmp_path))
    assert [countries.of(f"192.0.{n}.1") for n in range(9)] == [""] * 9
    assert len(caplog.records) == 1


def test_a_damaged_database_stops_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "countries.mmdb", NETWORKS)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + b"\xff\xff" + whole[place + 2 :])
        countries = Countries(path)
        for ip in ("192.0.2.1", "2001:db8::1", "2001:db9::1"):
            assert len(countries.of(ip)) in {0, 2}


def test_it_looks_into_the_database_once_for_each_network(countries: Countries) -> None:
    for last in range(256):
        countries.of(f"192.0.2.{last}")
        countries.of(f"2001:db8::{last:x}")
    assert countries._of_network.cache_info().misses == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ip=st.text() | st.ip_addresses().map(str) | st.text("0123456789.:abcdef%"))
def test_any_text_for_an_address_stops_nothing(countries: Countries, ip: str) -> None:
    assert countries.of(ip) in {"", "DE", "FR", "NP", "AU"}
