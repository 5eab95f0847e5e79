"""What all tests share: nothing of a test may reach the user's own store."""

import os
import signal

import pytest


def pytest_configure() -> None:
    """Under nohup or in the background of a script signals are ignored, and so they would be in what the tests start."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_store_of_the_user(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that forgets --root fails instead of writing into the home directory of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("OCIRUN_") and not name.startswith("OCIRUN_TEST_")]:
        monkeypatch.delenv(name)
    nowhere = tmp_path_factory.getbasetemp() / "nobody"
    monkeypatch.setenv("HOME", str(nowhere))
    monkeypatch.setenv("XDG_DATA_HOME", str(nowhere / "data"))
