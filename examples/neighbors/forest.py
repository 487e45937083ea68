"""A random forest in a small network: ten lines with scikit-learn, then what was won."""

import os
import pickle
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
# --- these lines are all that a user writes
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from kdistill.sklearn import Distiller

x, held, y, truth = train_test_split(*load_digits(return_X_y=True), random_state=0)
forest = RandomForestClassifier(500, random_state=0).fit(x, y)
student = Distiller(forest, hidden=(32,), random_state=0).fit(x, y)
print(forest.score(held, truth), student.score(held, truth))
# ---


def microseconds(model):
    """Of one prediction of a batch of 256."""
    start = time.perf_counter()
    for _ in range(5):
        model.predict(x[:256])
    return (time.perf_counter() - start) / 5 / 256 * 1e6


size = student.model_.info.float32_bytes
print(f"bytes: forest {len(pickle.dumps(forest)):,}, student {size:,}")
print(f"microseconds a sample: {microseconds(forest):.1f}, student {microseconds(student):.1f}")
