//! What several test files need: the shared data, keys of our own making, a schema check by another implementation.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

pub mod alerts;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use duis::signature::{Certificate, SigningKey};
use fastxml::schema::{FileFetcher, Schema, Validator};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SerialNumber};

/// The folder of DUIS test data outside the repository, or none with a message.
pub fn shared(what: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("S1LAB_SHARED").map_or_else(|| workspace.join("../shared"), PathBuf::from);
    let folder = shared.join("domain/duis");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {what} needs {}", folder.display());
    None
}

/// Every file of a folder with its octets, by name.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read(&path).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

pub fn certificate(folder: &Path, name: &str) -> Certificate {
    let pem = std::fs::read_to_string(folder.join("certs").join(format!("{name}.pem"))).unwrap();
    Certificate::from_pem(&pem).unwrap()
}

/// Key and certificate as PEM, made for this run.
pub struct Own {
    pub key_pem: String,
    pub certificate_pem: String,
    pub key: SigningKey,
}

impl Own {
    /// The EUI-64 stands as common name, as rcgen cannot write a unique identifier.
    pub fn new(eui: &str, serial: &[u8]) -> Self {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationalUnitName, "87");
        params.distinguished_name.push(DnType::CommonName, eui);
        params.serial_number = Some(SerialNumber::from_slice(serial));
        let certificate_pem = params.self_signed(&pair).unwrap().pem();
        let key_pem = pair.serialize_pem();
        let key = SigningKey::from_pem(&key_pem, &certificate_pem).unwrap();
        Self {
            key_pem,
            certificate_pem,
            key,
        }
    }
}

/// The real schemas, judged by another implementation.
pub struct Oracle {
    schema: Arc<Schema>,
}

impl Oracle {
    pub fn new(folder: &Path, version: &str) -> Self {
        let folder = folder.join("xsd").join(version).canonicalize().unwrap();
        let duis = std::fs::read(folder.join("duis.xsd")).unwrap();
        let fetcher = FileFetcher::with_base_dir(&folder);
        let schema = Schema::builder()
            .add(format!("file://{}/duis.xsd", folder.display()), duis)
            .resolve_with(&fetcher)
            .unwrap();
        Self {
            schema: Arc::new(schema),
        }
    }

    /// The errors it finds; none means valid.
    pub fn judge(&self, xml: &[u8]) -> Vec<String> {
        match Validator::from_reader(xml).schema(Arc::clone(&self.schema)).run() {
            Ok(report) if report.is_valid() => Vec::new(),
            Ok(report) => report.errors().iter().map(|error| error.to_string()).collect(),
            Err(error) => vec![error.to_string()],
        }
    }
}
