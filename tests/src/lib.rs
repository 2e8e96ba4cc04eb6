//! End-to-end suites live in `tests/tests`; this library holds what they share.
