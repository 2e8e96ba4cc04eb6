//! Faces of the device families, both ends from one description
