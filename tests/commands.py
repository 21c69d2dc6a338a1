"""What the tests of the command line share."""

FAST = ["--preset", "fast", "--steps", "2", "--stop", "fixed"]


def refused(outcome, *words: str) -> None:
    """Check that a command ended with one sentence that has these words, and exit code 2."""
    assert outcome.code == 2
    assert outcome.out == ""
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("hprior: ")
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in lines[0]
