//! Device profiles: strict files, inheritance, provenance
