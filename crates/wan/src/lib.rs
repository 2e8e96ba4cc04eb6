//! Bearers, SMS and sessions between hubs and head-ends
