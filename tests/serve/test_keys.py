"""Who may ask what."""

import hashlib

import pytest

from steelyard.errors import ServingRefused
from steelyard.serve import Key, Scope, Settings, new_secret, parse_key, read_keys

SECRETS = {scope: f"{scope.value}-{'x' * 20}" for scope in Scope}
KEYS = tuple(Key.of(SECRETS[scope], frozenset({scope})) for scope in Scope)
CALLS = [
    ("GET", "/v2", Scope.READ),
    ("GET", "/metrics", Scope.READ),
    ("GET", "/openapi.json", Scope.READ),
    ("GET", "/v2/models/model", Scope.READ),
    ("GET", "/v2/models/model/ready", Scope.READ),
    ("POST", "/predict", Scope.PREDICT),
    ("POST", "/v2/models/model/infer", Scope.PREDICT),
    ("POST", "/v2/repository/index", Scope.ADMIN),
    ("POST", "/v2/repository/models/model/load", Scope.ADMIN),
]


def headers_of(scope):
    return {"Authorization": f"Bearer {SECRETS[scope]}"}


def test_each_call_is_opened_by_its_scope_and_by_admin_alone(start):
    server = start(keys=KEYS, repository=True)
    for method, path, needed in CALLS:
        assert server.client.request(method, path).status_code == 401, path
        for scope in Scope:
            status = server.client.request(method, path, headers=headers_of(scope)).status_code
            assert (status == 403) == (scope not in {needed, Scope.ADMIN}), (path, scope, status)
            assert status != 401
    assert server.errors()["no_key"] == len(CALLS)


def test_health_and_the_empty_page_need_no_key(start):
    server = start(keys=KEYS)
    for path in ("/v2/health/live", "/v2/health/ready", "/docs"):
        assert server.get(path).status_code == 200


def test_a_key_is_shown_in_either_header_and_a_wrong_one_opens_nothing(start):
    server = start(keys=KEYS)
    good = SECRETS[Scope.READ]
    assert server.get("/v2", headers={"X-API-Key": good}).status_code == 200
    assert server.get("/v2", headers={"Authorization": f"bearer {good}"}).status_code == 200
    for wrong in (good[:-1], good + "x", good.upper(), "", "é"):
        assert server.get("/v2", headers={"X-API-Key": wrong.encode()}).status_code == 401
    for header in (f"Basic {good}", good, "Bearer"):
        assert server.get("/v2", headers={"Authorization": header}).status_code == 401
    assert server.get("/v2", headers={"Authorization": "Basic x"}).headers["www-authenticate"] == "Bearer"


def test_two_different_keys_in_one_request_are_refused(start):
    server = start(keys=KEYS)
    headers = [("X-API-Key", SECRETS[Scope.READ]), ("X-API-Key", SECRETS[Scope.PREDICT])]
    assert server.get("/v2", headers=headers).status_code == 400


def test_only_digests_are_kept():
    secret = new_secret()
    key = Key.of(secret)
    assert secret not in repr(key)
    assert key.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert new_secret() != secret


def test_a_file_of_keys_is_read(tmp_path):
    place = tmp_path / "keys"
    digest = hashlib.sha256(b"k" * 20).hexdigest()
    place.write_text(f"# ours\n\n{digest} predict,read  # for the shop\n")
    assert read_keys(place) == (parse_key("read,predict:" + "k" * 20),)
    for line in ("abc predict", digest, f"{digest} everything"):
        place.write_text(line)
        with pytest.raises(ServingRefused, match=r"write the SHA-256|no scope"):
            read_keys(place)
    with pytest.raises(ServingRefused, match="cannot be read"):
        read_keys(tmp_path / "none")


@pytest.mark.parametrize("text", ["short", "with a space in it all", "reed:" + "k" * 20, "read:short"])
def test_a_key_that_is_unsafe_is_refused(text):
    with pytest.raises(ServingRefused):
        parse_key(text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"no_keys": True, "host": "0.0.0.0"}, "only a loopback"),
        ({"no_keys": True, "host": "example.org"}, "only a loopback"),
        ({"no_keys": True, "keys": KEYS}, "give one of them"),
        ({"threads": 0, "queue": 0}, "threads must be.*\n.*queue must be"),
        ({"name": "a/b"}, "the name 'a/b'"),
        ({"batch": 64, "queue": 8}, "never fits"),
        ({"max_delay_ms": 50, "deadline_ms": 50}, "must be below"),
        ({"keyfile": "key.pem"}, "needs its certificate"),
        ({"certfile": "/none.pem"}, "there is no file"),
        ({"log_share": float("nan")}, "log_share must be"),
    ],
)
def test_a_setting_that_cannot_be_honoured_is_refused(given, said):
    with pytest.raises(ServingRefused, match=f"(?s){said}"):
        Settings(**given)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_a_loopback_address_may_be_without_keys(host):
    assert Settings(no_keys=True, host=host).is_loopback


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8000", 200),
        ("evil.example", 403),
        ("", 403),
        ("127.0.0.1]evil.example", 403),
    ],
)
def test_without_keys_a_name_that_leads_here_from_the_web_is_refused(serving, host, status):
    body = {"rows": [{"age": 33.0}]}
    answered = serving["numbers"].post("/predict", json=body, headers={"host": host})
    assert answered.status_code == status, answered.text
    assert ("loopback name" in answered.text) is (status == 403)
