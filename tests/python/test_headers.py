"""The reading of the public headers: which comment belongs to which member and constant."""

import os
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "python"))

import headers

MEMBERS = """
    int32_t plain;
    int32_t first; /* after it */
    /* above it,
     * on two lines */
    double second, third;
    /* above only */
    const char *last;
"""

CONSTANTS = """
/* A sentence about the group. */
#define KD_ONE 1
/* above two */
#define KD_TWO 2
#define KD_THREE (-3) /* after three */

/* ---- a section ---- */
#define KD_FOUR 4

/* a fragment after a blank line */
#define KD_FIVE 5
"""


class HeadersTest(unittest.TestCase):
    def test_a_members_comment_stands_after_it_or_above_it(self):
        found = {field.name: field.comment for field in headers.members(MEMBERS)}
        self.assertEqual(
            found,
            {
                "plain": "",
                "first": "after it",
                "second": "above it, on two lines",
                "third": "above it, on two lines",
                "last": "above only",
            },
        )

    def test_a_constants_comment_is_not_its_groups(self):
        read = mock.patch.object(headers, "read", lambda name: CONSTANTS)
        order = mock.patch.object(headers, "order", lambda: ["one"])
        with read, order:
            found = {constant.name: constant.comment for constant in headers.constants()}
        self.assertEqual(
            found,
            {
                "KD_ONE": "",
                "KD_TWO": "above two",
                "KD_THREE": "after three",
                "KD_FOUR": "",
                "KD_FIVE": "a fragment after a blank line",
            },
        )


if __name__ == "__main__":
    unittest.main()
