"""The API against its own description: whatever is sent, it answers in a sentence, never with a fault of its own."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from gesso.studio.app import made
from gesso.studio.house import Settings, opened

PORT = 7788
BASE = f"http://127.0.0.1:{PORT}"
ELSEWHERE = {"/api/events", "/api/families", "/api/runs/{number}/drawing"}  # never ends; ask a process not begun here
QUICK = settings(
    max_examples=10, suppress_health_check=[*HealthCheck], deadline=None, phases=[Phase.explicit, Phase.generate]
)  # fmt: skip


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """The description, and the headers of whoever may ask."""
    with opened(Settings(tmp_path_factory.mktemp("home"), port=PORT)) as house:
        headers = {"authorization": f"Bearer {house.keys.token}", "host": f"127.0.0.1:{PORT}"}
        yield schemathesis.openapi.from_asgi("/api/openapi.json", made(house, work=False), headers=headers), headers


def test_nothing_breaks_it(described):
    schema, headers = described
    tried, wrong = 0, []
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in ELSEWHERE:
            continue

        @QUICK
        @given(case=operation.as_strategy())
        def ask(case):
            nonlocal tried
            tried += 1
            answer = case.call(headers=headers, base_url=BASE)
            kind = answer.headers.get("content-type", "")
            said = answer.json() if answer.status_code >= 400 and "json" in kind else {"problem": "."}
            if answer.status_code >= 500 or not said["problem"].endswith((".", "?")):
                wrong.append((case.method, case.path, answer.status_code, answer.text[:300]))

        ask()
    assert not wrong
    assert tried > 500


def test_the_description_is_complete(described):
    paths = described[0].raw_schema["paths"]
    assert len(paths) > 60
    for path, methods in paths.items():
        for method, what in methods.items():
            assert what.get("description"), (method, path)
