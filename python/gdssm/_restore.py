# SPDX-License-Identifier: Apache-2.0
"""What pickle calls to make compiled objects again."""

from ._core import Regressor


def regressor(columns, targets, options, state, index):
    made = Regressor(columns, targets, **options)
    if state:
        made.begin(state, "the pickled learner")
    made.index = index
    return made
