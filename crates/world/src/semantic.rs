//! Converts between the semantic device interface of `/proto` and the types of `domain`.
