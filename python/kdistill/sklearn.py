"""An estimator of scikit-learn: a small network that learns from another estimator.

from kdistill.sklearn import Distiller

student = Distiller(RandomForestClassifier(500), hidden=(64,)).fit(x, y)
student.predict_proba(x)
"""

from __future__ import annotations

from typing import Any

import numpy

from ._need import missing

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, clone
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.exceptions import NotFittedError
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ModuleNotFoundError as error:
    raise missing(error, "kdistill.sklearn", "scikit-learn") from None

from ._distill import _softened, distill
from .context import Context
from .dataset import Dataset
from .model import Model

__all__ = ["Distiller"]

#: Rows of a pass: always as many, so that a row's bits do not depend on its neighbors.
_ROWS = 128


class Distiller(ClassifierMixin, BaseEstimator):
    """A multilayer perceptron that is distilled from a classifier.

    Parameters
    ----------
    teacher : classifier with predict_proba, optional
        Fitted on the same classes, or not: then a clone is fitted first. None: a random forest.
    hidden : sequence of int
        Sizes of the hidden layers.
    temperature, soft, epochs, batch_size, learning_rate, weight_decay
        As in `kdistill.distill`.
    threads : int
        Of the library; 0: as many as the machine has.
    random_state : int, RandomState or None

    Attributes
    ----------
    classes_ : (classes,) array
    teacher_ : classifier
        The fitted teacher.
    history_ : list of float
        Loss of each epoch.
    """

    def __init__(
        self,
        teacher: Any = None,
        *,
        hidden: Any = (64,),
        temperature: float = 2.0,
        soft: float = 0.9,
        epochs: int = 60,
        batch_size: int = 32,
        learning_rate: float = 5e-3,
        weight_decay: float = 0.0,
        threads: int = 1,
        random_state: Any = None,
    ) -> None:
        self.teacher = teacher
        self.hidden = hidden
        self.temperature = temperature
        self.soft = soft
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.threads = threads
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Distiller:  # noqa: N803
        """Trains the teacher where that is needed, then the student.

        Parameters
        ----------
        X : (samples, features) array_like
        y : (samples,) array_like
            Classes.
        """
        x, labels = validate_data(self, X, y)
        check_classification_targets(labels)
        self.classes_, numbers = numpy.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y: expected at least 2 classes, got one class: {self.classes_[0]!r}")
        seed = int(check_random_state(self.random_state).randint(1, 2**31 - 1))
        self.teacher_ = self._fitted_teacher(x, labels, seed)
        self._mean = x.mean(0, dtype=numpy.float64)
        deviation = x.std(0, dtype=numpy.float64)
        self._scale = 1 / numpy.where(deviation > 0, deviation, 1)
        self._config = {
            "model_type": "mlp",
            "input_size": x.shape[1],
            "hidden_sizes": [int(size) for size in self.hidden],
            "num_labels": len(self.classes_),
        }
        ctx = Context(threads=self.threads, seed=seed)
        made = distill(
            Model(ctx, self._config),
            _softened(self._asked(x)),
            self._scaled(x),
            numbers,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            temperature=self.temperature,
            soft=self.soft,
            seed=seed,
        )
        self.history_ = made.losses
        self._parameters = numpy.array(made.model.parameters)
        self._live = ctx, made.model
        return self

    def _fitted_teacher(self, x: Any, labels: Any, seed: int) -> Any:
        teacher = self.teacher
        if teacher is None:
            return RandomForestClassifier(random_state=seed).fit(x, labels)
        try:
            check_is_fitted(teacher)
        except NotFittedError:
            return clone(teacher).fit(x, labels)
        strange = set(self.classes_) - set(teacher.classes_)
        if strange:
            raise ValueError(f"the teacher does not know the classes {sorted(strange)}")
        return teacher

    def _asked(self, x: Any) -> Any:
        """The teacher's probabilities, in the order of this estimator's classes."""
        found = self.teacher_.predict_proba(x)
        places = {kind: i for i, kind in enumerate(self.teacher_.classes_)}
        return found[:, [places[kind] for kind in self.classes_]]

    def _scaled(self, x: Any) -> Any:
        return ((x - self._mean) * self._scale).astype(numpy.float32)

    def _logits(self, X: Any) -> Any:  # noqa: N803
        check_is_fitted(self)
        x = self._scaled(validate_data(self, X, reset=False))
        ctx, model = self._live
        padded = numpy.zeros((-(-len(x) // _ROWS) * _ROWS, x.shape[1]), numpy.float32)
        padded[: len(x)] = x
        return model.predict(Dataset(ctx, inputs=padded), batch_size=_ROWS)[: len(x)]

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Probabilities (samples, classes)."""
        z = self._logits(X).astype(numpy.float64)
        p = numpy.exp(z - z.max(1, keepdims=True))
        return p / p.sum(1, keepdims=True)

    def predict(self, X: Any) -> Any:  # noqa: N803
        """The most probable class of each sample."""
        logits = self._logits(X)
        return self.classes_[logits.argmax(1)]

    @property
    def model_(self) -> Model:
        """The student; its inputs are standardized features."""
        check_is_fitted(self)
        model: Model = self._live[1]
        return model

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {**super().__getstate__()}
        state.pop("_live", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_parameters" in state:
            ctx = Context(threads=self.threads)
            model = Model(ctx, self._config)
            model.parameters[:] = self._parameters
            self._live = ctx, model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_live")
