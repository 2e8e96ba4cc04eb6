//! DUIS client and simulated users
