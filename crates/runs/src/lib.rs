//! Scenarios, the SIT pack, checks, verdicts and reports
