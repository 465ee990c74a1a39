"""The rules by which a run is accepted, one at a time, on notebooks as papermill leaves them."""

from __future__ import annotations

import nbformat.v4 as v4
import pytest

from elbo.companion.run import accept

KEY = "alpha-2001"


def executed():
    """A notebook that must be accepted: two code cells, an empty one that is never executed, and text."""
    first = v4.new_code_cell(
        "print(1)", execution_count=1, outputs=[v4.new_output("stream", name="stdout", text="1\n")]
    )
    said = v4.new_output("stream", name="stdout", text=f"bye\nelbo: chapter {KEY} complete\n")
    last = v4.new_code_cell("companion.end()", execution_count=2, outputs=[said])
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# Text"), first, v4.new_code_cell(""), last])
    times = {"start_time": "2026-01-01T00:00:00", "end_time": "2026-01-01T00:00:01", "duration": 1.0}
    notebook.metadata["papermill"] = {**times, "input_path": "/somewhere/in.ipynb", "parameters": {"beta": 2.0}}
    for cell in notebook.cells:
        cell.metadata["papermill"] = {**times, "status": "completed", "exception": False}
        cell.metadata["execution"] = {"iopub.status.busy": "2026-01-01T00:00:00"}
    return notebook


def test_a_good_run_is_accepted():
    assert accept.refusal(executed(), KEY) is None


def change(name):
    """A good notebook with one thing wrong."""
    notebook = executed()
    first, last = accept.code_cells(notebook)
    if name == "papermill did not finish it":
        notebook.metadata["papermill"]["end_time"] = None
    elif name == "cell 1 of 2 ended with an error":
        first.outputs.append(v4.new_output("error", ename="ValueError", evalue="no", traceback=[]))
    elif name == "cell 1 of 2 was not executed":
        first.execution_count = None
    elif name == "cell 2 of 2 was not executed":
        last.metadata["papermill"]["end_time"] = None
    elif name == "its last cell did not print":
        last.outputs = []  # a kernel killed there leaves just this: an execution count, `completed`, and no output
    elif name == "it has no code cell":
        notebook.cells = notebook.cells[:1]
    return notebook


@pytest.mark.parametrize(
    "reason",
    [
        "papermill did not finish it",
        "cell 1 of 2 ended with an error",
        "cell 1 of 2 was not executed",
        "cell 2 of 2 was not executed",
        "its last cell did not print",
        "it has no code cell",
    ],
)
def test_each_rule_refuses_on_its_own(reason):
    assert accept.refusal(change(reason), KEY).startswith(reason)


def test_the_sentence_must_be_this_chapters_own_whole_line_on_standard_output():
    assert accept.refusal(executed(), "alpha-2002") is not None
    notebook = executed()
    output = accept.code_cells(notebook)[-1].outputs[0]
    output["name"] = "stderr"
    assert accept.refusal(notebook, KEY) is not None
    output["name"], output["text"] = "stdout", f"never said elbo: chapter {KEY} complete"
    assert accept.refusal(notebook, KEY) is not None


def test_cleaning_takes_out_times_paths_and_ids():
    one, other = executed(), executed()
    other.metadata["papermill"]["input_path"] = "/elsewhere.ipynb"
    other.cells[1].metadata["papermill"]["duration"] = 9.0
    other.cells[1].metadata["execution"]["iopub.status.busy"] = "2027-01-01T00:00:00"
    assert [cell["id"] for cell in one.cells] != [cell["id"] for cell in other.cells]
    accept.clean(one)
    accept.clean(other)
    assert one == other
    assert one.metadata["papermill"] == {"parameters": {"beta": 2.0}}
