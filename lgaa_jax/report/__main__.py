"""Makes the report of a run again from its files: `python -m lgaa_jax.report WORKDIR`."""

import argparse
import sys

from lgaa_jax.errors import UserError
from lgaa_jax.report import run_report


def main() -> None:
    """Writes report.html and says where it is."""
    parser = argparse.ArgumentParser(prog="python -m lgaa_jax.report", description=__doc__)
    parser.add_argument("workdir", help="of a run that has measured a task")
    try:
        print(run_report.write(parser.parse_args().workdir))
    except UserError as error:
        sys.exit(f"report: {error}")


if __name__ == "__main__":
    main()
