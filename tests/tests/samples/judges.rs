//! Judges from outside: xmllint with the published schemas, xmlsec1 with the certificates. Many files to one process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use duis::signature::Certificate;
use duis::{DccAlert, ResponseBody};
use s1lab_tests::{run, shared};

/// Files given to one process.
const AT_ONCE: usize = 400;

/// Whether a judge can be run at all.
pub(crate) fn there(name: &str) -> bool {
    Command::new(name).arg("--version").output().is_ok()
}

/// What the names of answers end in that are written in the later edition.
pub(crate) const LATER: &str = "-5.4";

/// The answer to 12.1 has another form in each edition, and is written in that of its user: each is held against its own.
/// Everything else fits both.
fn is_of(version: &str, kind: &str) -> bool {
    match kind.starts_with("replies/12.1-") {
        true => kind.ends_with(LATER) == (version == "5.4"),
        false => true,
    }
}

/// Holds files, given with the kind of message they are, against both editions of the schemas. Says so where the schemas or
/// xmllint are absent.
pub(crate) fn validate(files: &[(&str, PathBuf)]) {
    let Some(shared) = shared().filter(|_| there("xmllint")) else {
        eprintln!("SKIPPED the schemas: reference data or xmllint is absent");
        return;
    };
    for version in ["5.1", "5.4"] {
        // Nothing goes unjudged: what is left out of one edition is held against the other.
        assert!(files.iter().all(|(kind, _)| is_of("5.1", kind) || is_of("5.4", kind)));
        let schema = shared.join("domain/duis/xsd").join(version).join("duis.xsd");
        let files: Vec<_> = files
            .iter()
            .filter(|(kind, _)| is_of(version, kind))
            .map(|(_, path)| path)
            .collect();
        for some in files.chunks(AT_ONCE) {
            let mut command = Command::new("xmllint");
            command.args(["--noout", "--nonet", "--schema"]).arg(&schema).args(some);
            let answer = run(&mut command).unwrap();
            let complaints = answer.err.lines().filter(|line| !line.ends_with(" validates"));
            let complaints: Vec<_> = complaints.take(20).collect();
            assert!(
                answer.code == Some(0) && complaints.is_empty(),
                "{version}: {complaints:#?}"
            );
        }
    }
}

/// Certificates of a folder, by serial number.
pub(crate) struct Certificates(BTreeMap<String, PathBuf>);

impl Certificates {
    pub(crate) fn of(folder: &Path) -> Self {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let serials = files.filter_map(|path| {
            let text = std::fs::read_to_string(&path).ok()?;
            let certificate = Certificate::from_pem(&text).ok()?;
            Some((certificate.serial().to_owned(), path))
        });
        Self(serials.collect())
    }

    fn signer(&self, xml: &str) -> &Path {
        let (_, rest) = xml.rsplit_once("X509SerialNumber>").map_or(("", xml), |(before, _)| {
            before.rsplit_once("X509SerialNumber>").unwrap()
        });
        let serial = rest.split('<').next().unwrap();
        self.0
            .get(serial)
            .unwrap_or_else(|| panic!("no certificate {serial} of {xml}"))
    }

    /// The files of certificates that signed some of these documents.
    pub(crate) fn used<'a>(
        &self,
        documents: impl IntoIterator<Item = &'a [u8]>,
    ) -> std::collections::BTreeSet<PathBuf> {
        let parts = documents.into_iter().flat_map(parts);
        parts
            .map(|part| self.signer(std::str::from_utf8(&part).unwrap()).to_owned())
            .collect()
    }

    /// Has xmlsec1 verify every signature in these documents: that of the whole, and the S1SP's inside it.
    pub(crate) fn verify<'a>(&self, scratch: &Path, documents: impl IntoIterator<Item = &'a [u8]>) {
        if !there("xmlsec1") {
            eprintln!("SKIPPED the signatures: xmlsec1 (Debian package xmlsec1) cannot be run");
            return;
        }
        let mut by_signer: BTreeMap<&Path, Vec<PathBuf>> = BTreeMap::new();
        for (number, part) in documents.into_iter().flat_map(parts).enumerate() {
            let signer = self.signer(std::str::from_utf8(&part).unwrap());
            let file = scratch.join(format!("{number}.xml"));
            std::fs::write(&file, &part).unwrap();
            by_signer.entry(signer).or_default().push(file);
        }
        for (signer, files) in by_signer {
            for some in files.chunks(AT_ONCE) {
                let mut command = Command::new("xmlsec1");
                // Without a path it takes the first signature it meets, which in a response is the inner one.
                command
                    .args([
                        "--verify",
                        "--node-xpath",
                        "/*/*[local-name()='Signature']",
                        "--pubkey-cert-pem",
                    ])
                    .arg(signer)
                    .args(some);
                let answer = run(&mut command).unwrap();
                let good = answer.err.lines().filter(|line| *line == "OK").count();
                assert!(
                    answer.code == Some(0) && good == some.len(),
                    "{}: {good} of {} verify: {answer:?}",
                    signer.display(),
                    some.len()
                );
            }
        }
    }
}

/// A document and the S1SP's document inside it.
fn parts(document: &[u8]) -> Vec<Vec<u8>> {
    let inner = match duis::read_response(document).map(|response| response.body) {
        Ok(ResponseBody::Smets1 { signed, .. }) => Some(signed),
        Ok(ResponseBody::DccAlert {
            alert: DccAlert::S1sp { signed, .. },
            ..
        }) => Some(signed),
        _ => None,
    };
    std::iter::once(document.to_vec()).chain(inner).collect()
}
