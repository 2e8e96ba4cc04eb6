//! Service request table, Equivalent Steps, permits, outcome to payload and code
