//! Bringing recovery points back and taking them down again: isolation guard, journal, permit, drivers, teardown, sweep.
