"""How MLflow opens a bundle: the loader that the ``python_function`` flavour of an exported model names.

MLflow is not imported here: it imports this.
"""

from __future__ import annotations

from typing import Any

from steelyard.bundle.load import Bundle, load
from steelyard.contracts import Problem


class Model:
    """A bundle as MLflow wants a model: ``predict`` takes a data frame, and gives one."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Return the column ``prediction`` and, of classes, one ``probability_<class>`` each.

        Parameters
        ----------
        model_input
            Rows by column: a pandas frame, which is answered by one with the same index, or anything else that is
            like a table, which is answered by arrays by name.
        params
            None are taken.

        Raises
        ------
        RowsRefused
            If a column is missing or a value does not fit.
        """
        del params
        task, answer = self.bundle.task, self.bundle.answer_rows(model_input)
        if task.problem is Problem.REGRESSION:
            told: dict[str, Any] = {"prediction": answer.decided}
        elif task.problem is Problem.TAGGING:
            told = {"prediction": [[task.classes[code] for code in codes] for codes in answer.decided]}
        else:
            told = {"prediction": [task.classes[code] for code in answer.decided.tolist()]}
            told |= {f"probability_{name}": answer.scores[:, code] for code, name in enumerate(task.classes)}
        is_frame = hasattr(model_input, "iloc")
        return type(model_input)(told, index=model_input.index) if is_frame else told


def _load_pyfunc(path: str) -> Model:
    """Return the model of a folder; MLflow calls this by its name."""
    return Model(load(path))
