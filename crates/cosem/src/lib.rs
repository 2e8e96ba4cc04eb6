//! DLMS/COSEM codec, both ends, sans-IO
