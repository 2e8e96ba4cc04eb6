//! The one place that chooses the TLS provider.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The provider every TLS configuration of the program is built with: aws-lc-rs.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Makes [`provider`] the process's default, for code that asks for none. Calling it again changes nothing.
pub fn install() {
    // An error means that one is installed already, which is as good.
    let _already = provider().as_ref().clone().install_default();
}
