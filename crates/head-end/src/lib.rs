//! The head-end engine that smso and s1sp run, and the smso role
