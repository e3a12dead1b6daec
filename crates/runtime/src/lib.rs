//! Process chores: telemetry, admin port, drain.
