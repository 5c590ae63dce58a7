"""The group `reagent data`. What a command needs is imported when it runs."""

from __future__ import annotations

import typer

from reagent_training.data.commands import annotate, change, convert, labels, look
from reagent_training.data.commands import sample as sampling
from reagent_training.synth.command import SYNTH_EXAMPLES, synth

app = typer.Typer(help="Make and look at labelled trajectories, the data that judges are trained on.")


@app.callback()
def root() -> None:
    """Make and look at labelled trajectories, the data that judges are trained on."""


app.command("convert", short_help="Public data sets and run logs as training data.", epilog=convert.EXAMPLES)(
    convert.convert
)
app.command("show", short_help="The rows of a set, or one in full.", epilog=look.SHOW_EXAMPLES)(look.show)
app.command("stats", short_help="What a set holds.", epilog=look.STATS_EXAMPLES)(look.stats)
app.command("split", short_help="Parts by question, never by row.", epilog=change.SPLIT_EXAMPLES)(change.split)
app.command("filter", short_help="Leaks, duplicates, contamination, length.", epilog=change.FILTER_EXAMPLES)(
    change.filter_set
)
app.command("synth", short_help="Generated tool tasks, sound and flawed.", epilog=SYNTH_EXAMPLES)(synth)
app.command("sample", short_help="Agents at work on questions, graded.", epilog=sampling.SAMPLE_EXAMPLES)(
    sampling.sample
)
app.command("annotate", short_help="A teacher's analysis, critique and score.", epilog=annotate.ANNOTATE_EXAMPLES)(
    annotate.annotate
)
app.command("merge", short_help="Several sets as one.", epilog=change.MERGE_EXAMPLES)(change.merge)
app.command("labels", short_help="Sets as labelled work for calibration.", epilog=labels.LABELS_EXAMPLES)(labels.labels)
