"""Runs last: what the other files' tests called is everything, and nothing was left open."""

import unittest

from kdistill import _api

from support import CALLED, collected


class EverythingTest(unittest.TestCase):
    def test_no_function_is_left_out(self):
        self.assertEqual(sorted(set(_api.FUNCTIONS) - CALLED), [])

    def test_no_destructor_complained(self):
        self.assertEqual(collected(), [])


if __name__ == "__main__":
    unittest.main()
