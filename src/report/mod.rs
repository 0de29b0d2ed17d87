//! Reports from a verified log: one model, and renderers that are pure functions of it. Never touches AWS, a drill or a restore.
