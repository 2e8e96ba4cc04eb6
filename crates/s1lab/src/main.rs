//! The `s1lab` command line.
fn main() {}
