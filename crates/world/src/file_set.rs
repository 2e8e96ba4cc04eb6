//! Sets of migration files: made, signed, read and proved. One reader for every party that takes files.
//!
//! A set is taken whole or not at all: each file is signed, is for the reader, and repeats one and the same header.
//! Signatures themselves are the caller's: it signs and verifies octets with the keys of its own room.

use std::collections::{BTreeMap, BTreeSet};

use domain::Eui64;
use domain::keys::HandOverSecret;
use prost::Message;
use proto::{
    Condition, DeviceRecord, InstallationRecord, MigrationCommonFile, MigrationCommonValidationFile, MigrationFile,
    MigrationFileContent, MigrationFileKind, MigrationFileSet, MigrationGroupSecrets, MigrationHeader, RecordDigest,
    Sealed,
};
use sha2::{Digest, Sha256};

use crate::sealed::{OpeningKey, PublicKey, SealError, seal};

/// The form of files this program writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// Files of one set at most.
pub const FILES_MAX: usize = 3;

/// Installations of one group at most.
pub const GROUP_MAX: usize = 1000;

/// The kinds of files of a Required File Set, in this order.
pub const REQUIRED: [MigrationFileKind; 3] = [
    MigrationFileKind::Common,
    MigrationFileKind::CommonValidation,
    MigrationFileKind::GroupEncrypted,
];

/// What the commissioning party itself is given: a Required File Set without secrets.
pub const COMMON_ONLY: [MigrationFileKind; 2] = [MigrationFileKind::Common, MigrationFileKind::CommonValidation];

/// Why a set of files was not taken. The sender is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileFault {
    /// The encrypted part was not made for this reader, or not under this header.
    #[error("the group encrypted file does not open")]
    CannotDecrypt,
    /// The validation file does not fit the common file.
    #[error("the validation file does not fit the common file: {0}")]
    DigestDiffers(String),
    /// The files of the set have different headers.
    #[error("the files of the set have different headers")]
    HeaderDiffers,
    /// Not the files that were expected.
    #[error("expected {expected}, found {found}")]
    Kinds {
        /// Kinds expected.
        expected: String,
        /// Kinds found.
        found: String,
    },
    /// Octets that do not decode, or a form of another version.
    #[error("malformed: {0}")]
    Malformed(String),
    /// This group, or a later set of this producer, was taken before.
    #[error("group {group} of {producer}, sequence {sequence}, was taken before")]
    Replayed {
        /// The GroupID.
        group: String,
        /// Who made it.
        producer: Eui64,
        /// Its number.
        sequence: u64,
    },
    /// The signature does not fit the octets.
    #[error("the signature of the {0} does not fit")]
    SignatureBad(String),
    /// Nobody we know, or nobody who may make such files.
    #[error("signer {0} is not known here")]
    SignerUnknown(String),
    /// For another role.
    #[error("made for {found}, not for {expected}")]
    WrongRecipient {
        /// Who reads.
        expected: String,
        /// Whom it was made for.
        found: String,
    },
}

impl FileFault {
    /// The word for it in a `Condition`.
    #[must_use]
    pub fn condition(&self) -> &'static str {
        match self {
            Self::CannotDecrypt => "cannot-decrypt",
            Self::DigestDiffers(_) => "digest-differs",
            Self::HeaderDiffers => "header-differs",
            Self::Kinds { .. } | Self::Malformed(_) => "malformed",
            Self::Replayed { .. } => "replayed",
            Self::SignatureBad(_) => "signature-bad",
            Self::SignerUnknown(_) => "signer-unknown",
            Self::WrongRecipient { .. } => "wrong-recipient",
        }
    }

    /// As a condition about the whole set.
    #[must_use]
    pub fn to_condition(&self) -> Condition {
        Condition {
            kind: self.condition().to_owned(),
            detail: self.to_string(),
            ..Condition::default()
        }
    }
}

/// A set whose signatures, kinds, recipient and headers are good.
#[derive(Clone, PartialEq, Debug)]
pub struct OpenedSet {
    /// The header that all files repeat.
    pub header: MigrationHeader,
    /// The files, in the order that was expected.
    pub files: Vec<MigrationFileContent>,
}

/// Sets taken before, by producer. Rebuild it from a journal; a set that was not taken leaves no mark.
///
/// Numbers are used once. Within a group they rise: what was made before the last set that was taken of it, and was lost or
/// held back on its way, is not taken any more. An installation whose attempt was ended is not taken from sets of that one.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    groups: BTreeMap<(u64, String), Last>,
    sequences: BTreeSet<(u64, u64)>,
    /// The last attempt of an installation that was ended.
    ended: BTreeMap<String, u32>,
}

/// The last set taken of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Last {
    sequence: u64,
    reference: String,
    digest: bytes::Bytes,
}

/// Whether a set may be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// It is the very set that was taken last of its group, under the same reference: its sender did not hear the answer.
    Again,
    /// It was not taken before.
    New,
}

/// One file: content encoded and signed. `sign` gives serial of the certificate and signature.
///
/// # Errors
/// What `sign` gives.
pub fn file<E>(
    content: &MigrationFileContent,
    sign: impl FnOnce(&[u8]) -> Result<(String, [u8; 64]), E>,
) -> Result<MigrationFile, E> {
    let signed = content.encode_to_vec();
    let (signer_serial, signature) = sign(&signed)?;
    Ok(MigrationFile {
        signed: signed.into(),
        signer_serial,
        signature: signature.to_vec().into(),
    })
}

/// The common file's payload and the validation file's payload that goes with it.
#[must_use]
pub fn common_payloads(common: &MigrationCommonFile) -> (Vec<u8>, Vec<u8>) {
    let payload = common.encode_to_vec();
    let validation = MigrationCommonValidationFile {
        common_sha256: digest(&payload),
        installations: count(common.installations.len()),
        devices: count(common.installations.iter().map(|record| record.devices.len()).sum()),
        records: common.installations.iter().map(record_digest).collect(),
    };
    (payload, validation.encode_to_vec())
}

/// The payload of a group encrypted file: secrets sealed to the recipient under this header.
///
/// # Errors
/// When the recipient's key is none.
pub fn group_payload(
    secrets: &MigrationGroupSecrets,
    recipient: &PublicKey,
    header: &MigrationHeader,
) -> Result<Vec<u8>, SealError> {
    seal(&secrets.encode_to_vec(), recipient, &header.encode_to_vec()).map(|sealed| sealed.encode_to_vec())
}

/// Proves a file: given serial, octets and signature, it says who signed.
pub type Verify<'v> = dyn FnMut(&str, &[u8], &[u8]) -> Result<Eui64, FileFault> + 'v;

/// Reads and proves a set for `recipient`, whose files must be of the `expected` kinds in this order.
///
/// `verify` is given serial, octets and signature of each file; it gives the signer, or the fault
/// ([`FileFault::SignerUnknown`] or [`FileFault::SignatureBad`]). The producer in the header must be the signer.
///
/// # Errors
/// [`FileFault`]; nothing of the set may then be used.
pub fn read(
    set: &MigrationFileSet,
    recipient: &str,
    expected: &[MigrationFileKind],
    verify: &mut Verify<'_>,
) -> Result<OpenedSet, FileFault> {
    if set.files.len() > FILES_MAX {
        return Err(FileFault::Malformed(format!(
            "{} files, at most {FILES_MAX}",
            set.files.len()
        )));
    }
    let mut files = Vec::with_capacity(set.files.len());
    let mut signers = BTreeSet::new();
    for file in &set.files {
        signers.insert(verify(&file.signer_serial, &file.signed, &file.signature)?);
        let content = MigrationFileContent::decode(file.signed.clone())
            .map_err(|error| FileFault::Malformed(error.to_string()))?;
        if content.recipient != recipient {
            return Err(FileFault::WrongRecipient {
                expected: recipient.to_owned(),
                found: content.recipient,
            });
        }
        files.push(content);
    }
    let found: Vec<MigrationFileKind> = files.iter().map(MigrationFileContent::kind).collect();
    if found != expected {
        return Err(FileFault::Kinds {
            expected: names(expected),
            found: names(&found),
        });
    }
    let header = files.first().and_then(|file| file.header.clone());
    let header = header.ok_or_else(|| FileFault::Malformed("no header".into()))?;
    if files.iter().any(|file| file.header.as_ref() != Some(&header)) {
        return Err(FileFault::HeaderDiffers);
    }
    if header.schema_version != SCHEMA_VERSION || header.group_id.is_empty() {
        return Err(FileFault::Malformed(format!(
            "schema version {}",
            header.schema_version
        )));
    }
    if signers.iter().any(|signer| signer.0 != header.producer) {
        return Err(FileFault::SignerUnknown(format!(
            "of files that {} says it made",
            Eui64(header.producer)
        )));
    }
    Ok(OpenedSet { header, files })
}

/// Proves files that only `signer` may have made. `check` says to whom the certificate of a serial number belongs, and
/// whether the signature over the octets is that certificate's; none when there is no such certificate.
pub fn only<'c>(
    signer: Eui64,
    check: impl Fn(&str, &[u8], &[u8]) -> Option<(Eui64, bool)> + 'c,
) -> impl FnMut(&str, &[u8], &[u8]) -> Result<Eui64, FileFault> + 'c {
    move |serial, octets, signature| match check(serial, octets, signature) {
        Some((owner, true)) if owner == signer => Ok(signer),
        Some((owner, false)) if owner == signer => Err(FileFault::SignatureBad("file".into())),
        _ => Err(FileFault::SignerUnknown(serial.to_owned())),
    }
}

/// The secrets of one installation by device, each with the epoch it belongs to. One that has not its length is left out.
#[must_use]
pub fn secrets_by_device(
    secrets: &MigrationGroupSecrets,
    installation_id: &str,
) -> BTreeMap<Eui64, (u32, HandOverSecret)> {
    let of = secrets.installations.iter();
    let of = of.filter(|secrets| secrets.installation_id == installation_id);
    of.flat_map(|secrets| &secrets.devices)
        .filter_map(|secret| {
            let octets: [u8; 32] = secret.secret.as_ref().try_into().ok()?;
            Some((Eui64(secret.device), (secret.epoch, HandOverSecret::new(octets))))
        })
        .collect()
}

impl OpenedSet {
    /// SHA-256 over the files' payloads.
    fn digest(&self) -> bytes::Bytes {
        let mut digest = Sha256::new();
        self.files.iter().for_each(|file| digest.update(&file.payload));
        digest.finalize().to_vec().into()
    }

    /// The installations, after the validation file has proved them whole.
    ///
    /// # Errors
    /// [`FileFault::DigestDiffers`] or [`FileFault::Malformed`].
    pub fn installations(&self) -> Result<Vec<InstallationRecord>, FileFault> {
        let payload = self.payload(MigrationFileKind::Common)?;
        let common: MigrationCommonFile = decode(payload)?;
        let validation: MigrationCommonValidationFile = decode(self.payload(MigrationFileKind::CommonValidation)?)?;
        if common.installations.len() > GROUP_MAX {
            return Err(FileFault::Malformed(format!(
                "{} installations, at most {GROUP_MAX}",
                common.installations.len()
            )));
        }
        let devices = common.installations.iter().map(|record| record.devices.len()).sum();
        if validation.common_sha256 != digest(payload) {
            return Err(FileFault::DigestDiffers("digest of the file".into()));
        }
        if validation.installations != count(common.installations.len()) || validation.devices != count(devices) {
            return Err(FileFault::DigestDiffers("counts".into()));
        }
        let records: Vec<RecordDigest> = common.installations.iter().map(record_digest).collect();
        if records != validation.records {
            return Err(FileFault::DigestDiffers("digests of installations".into()));
        }
        let mut names = BTreeSet::new();
        if !common
            .installations
            .iter()
            .all(|record| names.insert(&record.installation_id))
        {
            return Err(FileFault::Malformed("an installation stands here twice".into()));
        }
        Ok(common.installations)
    }

    /// The secrets, opened.
    ///
    /// # Errors
    /// [`FileFault::CannotDecrypt`] or [`FileFault::Malformed`].
    pub fn secrets(&self, key: &OpeningKey) -> Result<MigrationGroupSecrets, FileFault> {
        let sealed: Sealed = decode(self.payload(MigrationFileKind::GroupEncrypted)?)?;
        let plain = key
            .open(&sealed, &self.header.encode_to_vec())
            .map_err(|_| FileFault::CannotDecrypt)?;
        decode(&plain)
    }

    /// The payload of one kind of file.
    ///
    /// # Errors
    /// [`FileFault::Malformed`] when the set has no such file.
    pub fn payload(&self, kind: MigrationFileKind) -> Result<&[u8], FileFault> {
        let file = self.files.iter().find(|file| file.kind() == kind);
        file.map(|file| file.payload.as_ref())
            .ok_or_else(|| FileFault::Malformed(format!("the set has no {}", names(&[kind]))))
    }

    /// The devices of one installation that this attempt moves and that have secrets of their own.
    pub fn devices_in_scope(record: &InstallationRecord) -> impl Iterator<Item = &DeviceRecord> {
        record.devices.iter().filter(|device| device.in_scope)
    }
}

impl Taken {
    /// Marks a set as taken, that came under this reference.
    ///
    /// # Errors
    /// As [`Taken::admit`]; also for a set that comes again.
    pub fn take(&mut self, reference: &str, opened: &OpenedSet) -> Result<(), FileFault> {
        let header = &opened.header;
        if self.admit(reference, opened)? == Admission::Again {
            return Err(replayed(header));
        }
        let last = Last {
            sequence: header.sequence,
            reference: reference.to_owned(),
            digest: opened.digest(),
        };
        self.groups.insert((header.producer, header.group_id.clone()), last);
        self.sequences.insert((header.producer, header.sequence));
        Ok(())
    }

    /// An attempt of an installation is over: what sets of it, or of an earlier one, say of it is not taken any more.
    pub fn end(&mut self, installation_id: &str, attempt: u32) {
        let last = self.ended.entry(installation_id.to_owned()).or_default();
        *last = attempt.max(*last);
    }

    /// What keeps an installation from being taken from a set: that the attempt which the set is of is over.
    ///
    /// # Errors
    /// The condition.
    pub fn admit_installation(&self, record: &InstallationRecord) -> Result<(), Condition> {
        let ended = self.ended.get(&record.installation_id);
        match ended.filter(|ended| record.attempt <= **ended) {
            None => Ok(()),
            Some(ended) => Err(Condition {
                kind: "attempt-over".into(),
                installation_id: record.installation_id.clone(),
                device: record.hub,
                detail: format!(
                    "the files are of attempt {}, and attempt {ended} is over",
                    record.attempt
                ),
            }),
        }
    }

    /// As [`Taken::admit_installation`], for a set of nobody else than such installations: it is not taken at all.
    ///
    /// # Errors
    /// The condition of the first.
    pub fn admit_any(&self, records: &[InstallationRecord]) -> Result<(), Condition> {
        let mut all = records.iter().map(|record| self.admit_installation(record));
        match all.next() {
            Some(Err(first)) if all.all(|other| other.is_err()) => Err(first),
            _ => Ok(()),
        }
    }

    /// Whether a set may be taken, that came under this reference. One that comes again under the reference under which it
    /// was taken may be answered again, and does nothing anew.
    ///
    /// # Errors
    /// [`FileFault::Replayed`] when its number was taken before, or a later set of its group.
    pub fn admit(&self, reference: &str, opened: &OpenedSet) -> Result<Admission, FileFault> {
        let header = &opened.header;
        let last = self.groups.get(&(header.producer, header.group_id.clone()));
        let again = |last: &Last| {
            last.sequence == header.sequence && last.reference == reference && last.digest == opened.digest()
        };
        if last.is_some_and(again) {
            return Ok(Admission::Again);
        }
        let outdated = last.is_some_and(|last| last.sequence >= header.sequence);
        if outdated || self.sequences.contains(&(header.producer, header.sequence)) {
            return Err(replayed(header));
        }
        Ok(Admission::New)
    }
}

fn replayed(header: &MigrationHeader) -> FileFault {
    FileFault::Replayed {
        group: header.group_id.clone(),
        producer: Eui64(header.producer),
        sequence: header.sequence,
    }
}

fn decode<M: Message + Default>(octets: &[u8]) -> Result<M, FileFault> {
    M::decode(octets).map_err(|error| FileFault::Malformed(error.to_string()))
}

fn record_digest(record: &InstallationRecord) -> RecordDigest {
    RecordDigest {
        installation_id: record.installation_id.clone(),
        sha256: digest(&record.encode_to_vec()),
    }
}

fn digest(octets: &[u8]) -> bytes::Bytes {
    Sha256::digest(octets).to_vec().into()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn names(kinds: &[MigrationFileKind]) -> String {
    let name = |kind: &MigrationFileKind| {
        let name = kind.as_str_name().trim_start_matches("MIGRATION_FILE_KIND_");
        name.to_lowercase().replace('_', " ")
    };
    kinds.iter().map(name).collect::<Vec<_>>().join(", ")
}
