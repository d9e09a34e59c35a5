"""A broken, full, closed or narrow standard output costs no result."""

import errno
import io
import json
import os
import subprocess
import sys

import pytest

from magicpoint.cli.streams import PatientStream, patient_streams
from magicpoint.model.weights import shipped_weights


class Failing(io.StringIO):
    """A stream of which nothing can be written, now or when it is flushed."""

    def __init__(self, error, when):
        super().__init__()
        self.error, self.when = error, when

    def write(self, text):
        if self.when == "write":
            raise self.error
        return len(text)

    def flush(self):
        raise self.error


ERRORS = [OSError(errno.ENOSPC, "full"), BrokenPipeError(errno.EPIPE, "broken"), ValueError("I/O operation on closed")]


@pytest.mark.parametrize("when", ["write", "flush"])
@pytest.mark.parametrize("error", ERRORS, ids=["full", "broken", "closed"])
def test_no_error_comes_through(monkeypatch, error, when):
    monkeypatch.setattr(sys, "stdout", Failing(error, when))
    monkeypatch.setattr(sys, "stderr", said := io.StringIO())
    with patient_streams():
        print("a result")
        print("another", flush=True)
    assert ("standard output cannot be written: full" in said.getvalue()) == (error is ERRORS[0])


def test_a_closed_stream_takes_everything(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with patient_streams():
        print("a result")
        print("an error", file=sys.stderr)
        assert not sys.stderr.isatty()
    assert sys.stdout is None


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [("cp1252", "é图", b"\xe9\\u56fe"), ("utf-8", "a\udcff", b"a\\udcff"), ("ascii", "é", b"\\xe9")],
)
def test_letters_that_a_console_does_not_have_are_spelt(encoding, text, written):
    content = io.BytesIO()
    stream = PatientStream(io.TextIOWrapper(content, encoding))
    stream.write(text)
    stream.flush()
    assert content.getvalue() == written
    assert stream.error is None


GENERATE = [sys.executable, "-m", "magicpoint", "generate", "é图", "--count", "1", "--validation_count", "0"]
GENERATE += ["--test_count", "0", "--workers", "1", "--shapes", "lines"]
FORMS = ['"$@" | true', '"$@" > /dev/full', '"$@" >&-', '"$@" 2>&-', '"$@" >&- 2>&-', '"$@" 2> /dev/full']
FORMS += ['PYTHONIOENCODING=cp1252 "$@"']


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
@pytest.mark.parametrize("form", FORMS)
def test_the_result_is_there_and_the_status_is_0(tmp_path, form):
    command = ["bash", "-c", f"set -o pipefail; {form}", "bash", *GENERATE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "é图" / "dataset.json").read_bytes())["digest"]
    assert b"Error" not in done.stderr
    assert b"Exception" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
@pytest.mark.parametrize(("form", "status"), [('"$@" > /dev/full', 1), ('"$@" | true', 0), ('"$@" > said', 0)])
def test_where_nothing_but_the_output_is_made_its_loss_is_a_failure(tmp_path, form, status):
    weights = str(shipped_weights("superpoint-tiny").path)
    command = ["bash", "-c", f"set -o pipefail; {form}", "bash", sys.executable, "-m", "magicpoint", "info", weights]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == status, done.stderr
    assert done.stderr.count(b"\n") == status
