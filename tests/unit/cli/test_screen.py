"""What is shown of a process: a line without a terminal, a row of a table with one."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from cli.child import Row, State
from cli.screen import Screen, as_line, as_table
from cli.supervisor import ending


def a_row(state: State, name: str = "api", port: int | None = 3000) -> Row:
    return Row(name, Path("logs/api.log"), port, state)


def test_a_change_is_told_once_where_there_is_no_terminal():
    said = StringIO()
    with Screen(Console(file=said)) as screen:
        for state in (State.STARTING, State.STARTING, State.READY):
            screen.show([a_row(state)])
    assert said.getvalue().split() == ["api", "starting", "api", "ready", "127.0.0.1:3000"]


def test_a_port_is_named_only_when_somebody_answers_there():
    assert "3000" not in as_line(a_row(State.STARTING))
    assert as_line(a_row(State.READY, port=None)) == "api                 ready"


def test_the_table_has_a_row_for_each_process():
    said = StringIO()
    Console(file=said, width=120).print(as_table([a_row(State.READY), a_row(State.DEAD, name="mlflow")]))
    assert [line.split()[:2] for line in said.getvalue().splitlines()] == [
        ["process", "state"],
        ["api", "ready"],
        ["mlflow", "dead"],
    ]


def test_an_end_is_told_by_code_or_by_signal():
    assert ending(7) == "ended with exit code 7"
    assert ending(-9) == "was killed by SIGKILL"
