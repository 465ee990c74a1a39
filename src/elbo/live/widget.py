"""Live figures in JupyterLab: the same scripts as an anywidget (the extra ``lab``).

>>> from elbo.live.widget import widget
>>> widget("elbo-four-cuts")  # doctest: +SKIP
"""

from __future__ import annotations

from elbo import live
from elbo.live.engine import STATIC

__all__ = ["css", "esm", "traits", "widget"]


def esm(id: str) -> str:
    """The figure as one ES module with anywidget's ``render({model, el})``."""
    parts = [
        (STATIC / name).read_text(encoding="utf-8") for name in ("maths.js", "live.js", f"{live.figure(id).id}.js")
    ]
    return "\n".join([*parts, f'export default globalThis.elboLive.widget("{id}");'])


def css() -> str:
    """The style sheet of live figures."""
    return (STATIC / "live.css").read_text(encoding="utf-8")


def traits(id: str) -> dict:
    """What the widget's model holds: the record, the state, and the payload as base64 where there is one."""
    about = live.figure(id)
    sent = (STATIC / about.payload).read_text(encoding="utf-8").split('"')[3] if about.payload else ""
    return {"spec": about.record(), "state": about.default, "payload": sent}


def widget(id: str, **state):
    """A live figure as a widget of JupyterLab; ``widget.state`` is what its controls are set to.

    Raises:
        ModuleNotFoundError: anywidget is not installed; the message says how to install it.
    """
    try:
        import anywidget
        import traitlets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "live figures in JupyterLab need anywidget: pip install 'carving-the-elbo[lab]'"
        ) from error
    given = traits(id)
    values = {
        "spec": given["spec"],
        "state": live.figure(id).clean({**given["state"], **state}),
        "payload": given["payload"],
    }
    kinds = {"spec": traitlets.Dict, "state": traitlets.Dict, "payload": traitlets.Unicode}
    members = {name: kinds[name](value).tag(sync=True) for name, value in values.items()}
    made = type("LiveFigure", (anywidget.AnyWidget,), {"_esm": esm(id), "_css": css(), **members})
    return made()
