"""Schedules."""

import unittest

import kdistill as kd

from support import Case


class ScheduleTest(Case):
    def test_each_is_its_formula(self):
        made, ctx = kd.Schedule, self.ctx
        for schedule, step, value in (
            (made.constant(ctx, 3), 9, 3),
            (made.linear(ctx, 0, 1, 10), 5, 0.5),
            (made.linear(ctx, from_=1, to=3, steps=2), 1, 2),
            (made.cosine(ctx, 1, 0, 10), 5, 0.5),
            (made.exponential(ctx, 1, 0.01, 10), 5, 0.1),
            (made.polynomial(ctx, 1, 0, 10, 2), 5, 0.25),
            (made.step(ctx, 1, 0.5, 3), 7, 0.25),
            (made.inverse_sqrt(ctx, 1, 4), 15, 0.5),
            (made.wsd(ctx, 1, 0, 10, 10, 10), 25, 0.5),
            (made.piecewise(ctx, [(0, 1), (10, 3)]), 5, 2),
        ):
            self.assertAlmostEqual(schedule(step), value)
            self.assertEqual(schedule.value(step), schedule(step))

    def test_they_are_multiplied_and_joined(self):
        plateau = kd.Schedule.plateau(self.ctx, patience=0)
        rise, flat = kd.Schedule.linear(self.ctx, 0, 1, 10), kd.Schedule.constant(self.ctx, 2)
        joined = kd.Schedule.sequence(self.ctx, (0, rise), (10, flat))
        both = kd.Schedule.product(self.ctx, joined, plateau)
        both.report(1)
        both.report(1)
        self.assertAlmostEqual(both(20), 1)

    def test_a_plateau_has_a_state(self):
        plateau, again = (kd.Schedule.plateau(self.ctx, patience=0) for _ in range(2))
        plateau.report(1)
        plateau.report(1)
        again.state = plateau.state
        self.assertEqual(again(0), 0.5)

    def test_taid_rises_with_what_is_reported(self):
        rising = kd.Schedule.taid(self.ctx, from_=0.2, rate=0.5)
        for loss in (2, 1, 0.5):
            rising.report(loss)
        self.assertTrue(0.2 < rising(2) < 1)


if __name__ == "__main__":
    unittest.main()
