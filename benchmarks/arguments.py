"""The command line of every measurement: its own options, and ``--json``."""

import argparse


def parsed(about: str | None, **options: tuple[int | float | str | bool, str]) -> argparse.Namespace:
    """Return what the command line asks for, under the options' names.

    Args:
        about: the module's docstring, shown as it stands by ``--help``.
        options: default and sentence of each by its name, ``at_once`` for ``--at-once``. The default says the type;
            one that is False makes a switch.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (default, meaning) in options.items():
        option = f"--{name.replace('_', '-')}"
        if default is False:
            parser.add_argument(option, action="store_true", help=meaning)
        else:
            said = f"{meaning} (default {default})" if default != "" else meaning
            parser.add_argument(option, type=type(default), default=default, help=said)
    parser.add_argument("--json", action="store_true", help="print one JSON object, as the last line")
    return parser.parse_args()
