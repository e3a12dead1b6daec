//! World view to gateway snapshot and diagnostics: pure functions.
