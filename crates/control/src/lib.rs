//! The gRPC control service over a running lab
