//! The canonical view: decoded messages without what differs between two runs of the same seed.

use bytes::Bytes;
use domain::SimInstant;
use memchr::memchr;
use proto::{
    ApprovalReply, ApprovalRequest, Countersigned, CountersignedServiceRequest, DcoMigrationOutcome, DuisDelivery,
    DuisReply, DuisRequest, Envelope, FileDelivery, Kind, Message, MigrationFile, MigrationFileContent,
    MigrationFileKind, S1spAlert, S1spMigrationCommand, S1spResponse, Sealed, SmsoMigrationCommand,
    SmsoMigrationOutcome, WanData, WanSms, approval_reply, s1sp_migration_command, smso_migration_command,
};
use sha2::{Digest, Sha256};

use super::TapeRecord;
use crate::fault::Verdict;
use crate::link::LinkName;

/// Elements whose text is left out, by local name: signatures, certificates and their hashes. Serial numbers and issuers
/// stay: they come from the seed.
const LEFT_OUT: [&[u8]; 10] = [
    b"Certificate",
    b"CertificateHash",
    b"DigestValue",
    b"DigitalSigningCertificate",
    b"ExistingCertificateHash",
    b"KeyAgreementCertificate",
    b"KeyAgreementTopUpCertificate",
    b"NewCertificateHash",
    b"SignatureValue",
    b"X509Certificate",
];

/// Octets of the MAC at the end of an approval.
const APPROVAL_MAC: usize = 16;

/// The hash of one record's canonical view: when, where, what became of it, and the message.
pub(super) fn record_hash(record: &TapeRecord) -> [u8; 32] {
    let read = Envelope::decode(record.octets.clone());
    let read = read.as_ref().map_err(|_| &record.octets);
    hash(record.world, record.at, &record.link, record.verdict, read)
}

/// [`record_hash`] of what is not on a tape yet: with the envelope, or with octets that are none.
pub(super) fn hash(
    world: u32,
    at: SimInstant,
    link: &LinkName,
    verdict: Verdict,
    read: Result<&Envelope, &Bytes>,
) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut part = |octets: &[u8]| {
        hasher.update((octets.len() as u64).to_be_bytes());
        hasher.update(octets);
    };
    part(&at.0.to_be_bytes());
    part(&world.to_be_bytes());
    part(link.from.as_bytes());
    part(link.to.as_bytes());
    let (verdict, delay_ms) = match verdict {
        Verdict::Pass => (0u8, 0),
        Verdict::Drop => (1, 0),
        Verdict::Delay(span) => (2, span.0),
        Verdict::Duplicate => (3, 0),
        Verdict::Replace => (4, 0),
    };
    part(&[verdict]);
    part(&delay_ms.to_be_bytes());
    match read {
        Ok(envelope) => {
            part(envelope.trace_id.as_bytes());
            part(&envelope.kind.to_be_bytes());
            part(&envelope.id.to_be_bytes());
            part(&envelope.in_reply_to.to_be_bytes());
            part(&canonical_body(envelope.kind(), &envelope.body));
        }
        Err(octets) => part(octets),
    }
    hasher.finalize().into()
}

/// The body of a message without signature values, the digest values that cover them, certificates, MACs of approvals
/// and, of what crosses the WAN, the octets themselves (they are ciphertext): only their length counts.
///
/// Octets that do not decode are kept as they are.
fn canonical_body(kind: Kind, body: &Bytes) -> Bytes {
    match cleaned(kind, body.clone()) {
        Ok(Some(cleaned)) => cleaned.into(),
        Ok(None) | Err(_) => body.clone(),
    }
}

/// None where nothing in messages of this kind is left out.
fn cleaned(kind: Kind, body: Bytes) -> Result<Option<Vec<u8>>, prost::DecodeError> {
    Ok(Some(match kind {
        Kind::DuisRequest => {
            let message = DuisRequest::decode(body)?;
            DuisRequest {
                xml: clean_xml(&message.xml),
                ..message
            }
            .encode_to_vec()
        }
        Kind::DuisReply => {
            let message = DuisReply::decode(body)?;
            DuisReply {
                xml: clean_xml(&message.xml),
                ..message
            }
            .encode_to_vec()
        }
        Kind::DuisDelivery => {
            let message = DuisDelivery::decode(body)?;
            DuisDelivery {
                xml: clean_xml(&message.xml),
                ..message
            }
            .encode_to_vec()
        }
        Kind::CountersignedRequest => clean_countersigned(CountersignedServiceRequest::decode(body)?)?.encode_to_vec(),
        Kind::ApprovalRequest => {
            let message = ApprovalRequest::decode(body)?;
            let request = message.request.map(clean_countersigned).transpose()?;
            ApprovalRequest { request, ..message }.encode_to_vec()
        }
        Kind::ApprovalReply => {
            let mut message = ApprovalReply::decode(body)?;
            if let Some(approval_reply::Result::Approval(approval)) = &mut message.result {
                clean_approval(approval);
            }
            message.encode_to_vec()
        }
        Kind::S1spResponse => {
            let message = S1spResponse::decode(body)?;
            let signed_response_xml = clean_xml(&message.signed_response_xml);
            S1spResponse {
                signed_response_xml,
                ..message
            }
            .encode_to_vec()
        }
        Kind::S1spAlert => {
            let message = S1spAlert::decode(body)?;
            S1spAlert {
                signed_xml: clean_xml(&message.signed_xml),
                ..message
            }
            .encode_to_vec()
        }
        Kind::WanSms => {
            let message = WanSms::decode(body)?;
            WanSms {
                payload: length_of(&message.payload),
                ..message
            }
            .encode_to_vec()
        }
        Kind::WanData => {
            let message = WanData::decode(body)?;
            WanData {
                payload: length_of(&message.payload),
                ..message
            }
            .encode_to_vec()
        }
        Kind::FileDelivery => {
            let mut message = FileDelivery::decode(body)?;
            for file in message.set.iter_mut().flat_map(|set| &mut set.files) {
                clean_file(file)?;
            }
            message.encode_to_vec()
        }
        Kind::SmsoMigrationCommand => {
            let mut message = SmsoMigrationCommand::decode(body)?;
            if let Some(smso_migration_command::Act::StageKeys(stage)) = &mut message.act {
                stage.seal_to = Bytes::new();
            }
            message.encode_to_vec()
        }
        Kind::SmsoMigrationOutcome => {
            let mut message = SmsoMigrationOutcome::decode(body)?;
            message.secrets = message.secrets.as_ref().map(clean_sealed);
            message.encode_to_vec()
        }
        Kind::S1spMigrationCommand => {
            let mut message = S1spMigrationCommand::decode(body)?;
            match &mut message.act {
                Some(s1sp_migration_command::Act::Probe(probe)) => clean_approval(&mut probe.approval),
                Some(s1sp_migration_command::Act::Rotate(rotate)) => clean_approval(&mut rotate.approval),
                _ => {}
            }
            message.encode_to_vec()
        }
        Kind::DcoMigrationOutcome => {
            let mut message = DcoMigrationOutcome::decode(body)?;
            clean_approval(&mut message.approval);
            message.encode_to_vec()
        }
        _ => return Ok(None),
    }))
}

/// A file without its signature and without its ciphertext.
fn clean_file(file: &mut MigrationFile) -> Result<(), prost::DecodeError> {
    file.signature = Bytes::new();
    let mut content = MigrationFileContent::decode(file.signed.clone())?;
    if content.kind() == MigrationFileKind::GroupEncrypted {
        let sealed = Sealed::decode(content.payload)?;
        content.payload = clean_sealed(&sealed).encode_to_vec().into();
        file.signed = content.encode_to_vec().into();
    }
    Ok(())
}

fn clean_sealed(sealed: &Sealed) -> Sealed {
    Sealed {
        ephemeral_key: Bytes::new(),
        ciphertext: length_of(&sealed.ciphertext),
    }
}

fn clean_approval(approval: &mut Bytes) {
    approval.truncate(approval.len().saturating_sub(APPROVAL_MAC));
}

fn clean_countersigned(
    message: CountersignedServiceRequest,
) -> Result<CountersignedServiceRequest, prost::DecodeError> {
    let inner = Countersigned::decode(message.countersigned.clone())?;
    let mut inner = Countersigned {
        request_xml: clean_xml(&inner.request_xml),
        ..inner
    };
    let credentials = inner.target.as_mut().and_then(|target| target.credentials.as_mut());
    for party in credentials
        .into_iter()
        .flat_map(|all| [&mut all.supplier, &mut all.network_operator])
    {
        for certificate in party
            .iter_mut()
            .flat_map(|party| [&mut party.critical, &mut party.non_critical])
            .flatten()
        {
            certificate.fingerprint = Bytes::new();
        }
    }
    let countersigned = inner.encode_to_vec().into();
    Ok(CountersignedServiceRequest {
        countersigned,
        signature: Bytes::new(),
        ..message
    })
}

fn clean_xml(xml: &Bytes) -> Bytes {
    canonical_xml(xml).into()
}

fn length_of(octets: &Bytes) -> Bytes {
    Bytes::copy_from_slice(&(octets.len() as u64).to_be_bytes())
}

/// XML octets without the text of signature values, digest values and certificates; everything else unchanged.
///
/// It reads tags only and takes any octets: what is no XML comes out with little or nothing left out.
#[must_use]
pub fn canonical_xml(xml: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(xml.len());
    let mut rest = xml;
    while let Some(at) = memchr(b'<', rest) {
        let tag = rest.get(at..).unwrap_or_default();
        let end = memchr(b'>', tag).map_or(rest.len(), |length| at + length + 1);
        let (kept, after) = rest.split_at(end);
        out.extend_from_slice(kept);
        rest = after;
        if leaves_out(kept.get(at..).unwrap_or_default()) {
            let text = memchr(b'<', rest).unwrap_or(rest.len());
            rest = rest.get(text..).unwrap_or_default();
        }
    }
    out.extend_from_slice(rest);
    out
}

/// Whether this tag opens an element whose text is left out.
fn leaves_out(tag: &[u8]) -> bool {
    let name = tag.strip_prefix(b"<").unwrap_or_default();
    let end = name
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>'));
    let name = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
    let local = name
        .iter()
        .position(|byte| *byte == b':')
        .and_then(|colon| name.get(colon + 1..))
        .unwrap_or(name);
    !tag.ends_with(b"/>") && LEFT_OUT.contains(&local)
}
