//! Builds a lab from one configuration: real clocks, sockets, TLS, PKI, disk
