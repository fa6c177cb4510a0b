"""THREADMILL_API_KEYS is read in one way or not at all: a key is never cut at a sign of its own."""

import pytest

from threadmill.settings import SettingsError, load

BASE64 = "rH3x0kTq1b2c3d4e5f6g7A=="


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (BASE64, {BASE64: "default"}),
        (f"team={BASE64}", {BASE64: "team"}),
        (f"default={BASE64},{BASE64}", {BASE64: "default"}),
        (
            " one=key-of-project-one , key-of-the-default ",
            {"key-of-project-one": "one", "key-of-the-default": "default"},
        ),
        ("a-b_c9=sixteen+letters/", {"sixteen+letters/": "a-b_c9"}),
        ("", {}),
        (" , ", {}),
    ],
)
def test_keys_and_their_projects(text: str, keys: dict[str, str]) -> None:
    assert load({"THREADMILL_API_KEYS": text}).api_keys == keys


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("abc==", "The key in entry 1 of THREADMILL_API_KEYS is shorter than 16 characters"),
        ("=", "The key in entry 1 of THREADMILL_API_KEYS is shorter"),
        ("a-project-without-a-key=", "Entry 1 of THREADMILL_API_KEYS may be a key that ends in '=', or a project"),
        ("team=", "Entry 1 of THREADMILL_API_KEYS may be a key that ends in '=', or a project"),
        ("team==", "The key in entry 1 of THREADMILL_API_KEYS is shorter"),
        ("key-of-sixteen-letters,team=short", "The key in entry 2 of THREADMILL_API_KEYS is shorter"),
        ("Zm9v=key-of-sixteen-letters", "The project in entry 1 of THREADMILL_API_KEYS has another form"),
        (f"{'a' * 64}=key-of-sixteen-letters", "The project in entry 1 of THREADMILL_API_KEYS has another form"),
        ("=key-of-sixteen-letters", "The project in entry 1 of THREADMILL_API_KEYS has another form"),
        ("team=key=in=the=middle=of=it", "The key in entry 1 of THREADMILL_API_KEYS is shorter than 16 characters, or"),
        ("a key with spaces in it", "The key in entry 1 of THREADMILL_API_KEYS is shorter than 16 characters, or"),
        ("a=key-of-two-projects,b=key-of-two-projects", "THREADMILL_API_KEYS gives one key to two projects."),
    ],
)
def test_what_may_be_read_in_two_ways_or_guessed_ends_the_start_without_showing_the_key(text: str, told: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load({"THREADMILL_API_KEYS": text})
    assert str(raised.value).startswith(told)
    assert "sixteen" not in str(raised.value) + raised.value.advice
