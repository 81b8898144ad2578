"""`redpen`: mounts the command groups; nothing else.

Command modules import only typer and the error tree at their top, so `redpen --help` loads no heavy library.
"""

from __future__ import annotations

import errno
import os
import sys

import typer

from alignment.align_commands import align_app
from alignment.commands import policy_app, quarantine, round_app, verify
from alignment.sampling_commands import generate
from feedback.commands import feedback_app
from feedback.errors import RedpenError
from feedback.review_commands import review_app
from feedback.weigh_commands import integrity, labels, reviewers
from review_ui.appliance.commands import server_app
from review_ui.demo.commands import demo
from review_ui.project.commands import doctor, init, serve
from sft.commands import app as sft_app

app = typer.Typer(name="redpen", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False,
                  rich_markup_mode=None,
                  help="Experts rate a model's answers; their verdicts train, measure and promote the next model.")

for command in (demo, init, doctor, serve):
    app.command()(command)
sft_app.command("generate")(generate)
for name, group in (("review", review_app), ("feedback", feedback_app), ("sft", sft_app), ("align", align_app),
                    ("round", round_app), ("policy", policy_app), ("server", server_app)):
    app.add_typer(group, name=name)
app.command()(verify)
# A quarantine is approved by a lead, as rounds are, and so it stands in alignment.
for command in (labels, reviewers, integrity, quarantine):
    feedback_app.command()(command)


def main() -> None:
    """Run the command line: exit 0 done, 1 refused, 2 wrong usage, 130 interrupted."""
    # Threads of torch that wait spin by default: beside a busy server that made small steps three times slower than this.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except RedpenError as error:
        sys.stderr.write(f"redpen: {error}\n")
        sys.exit(1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.stderr.write(f"redpen: the disk is full ({error.filename or error.strerror}); what was finished is whole. Free some "
                         "space and run the same command again\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("redpen: stopped; the same command goes on from here\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
