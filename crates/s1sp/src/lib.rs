//! Request to steps to head-end to signed SMETS1 response
