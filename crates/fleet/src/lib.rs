//! Estates and hub tasks driving installations
