//! DLMS/COSEM codec, both ends, sans-IO.

pub mod security;
