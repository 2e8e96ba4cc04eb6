//! Verifies, compares with what the request permits, approves, keeps an audit
