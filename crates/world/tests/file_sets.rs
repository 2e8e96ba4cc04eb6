//! A set of migration files is taken whole or not at all.

use domain::Eui64;
use proto::{
    DeviceRecord, DeviceSecret, InstallationRecord, InstallationSecrets, Message, MigrationCommonFile, MigrationFile,
    MigrationFileContent, MigrationFileKind, MigrationFileSet, MigrationGroupSecrets, MigrationHeader,
};
use world::file_set::{self, Admission, FileFault, OpenedSet, REQUIRED, Taken};
use world::sealed::OpeningKey;

const RP: Eui64 = Eui64(0x90B3_D51F_3000_0004);

/// Stands for a signature: the sum of the octets.
fn sum(octets: &[u8]) -> [u8; 64] {
    [octets
        .iter()
        .fold(0u8, |sum, octet| sum.wrapping_mul(31).wrapping_add(*octet)); 64]
}

fn verify(serial: &str, octets: &[u8], signature: &[u8]) -> Result<Eui64, FileFault> {
    if serial != "7" {
        return Err(FileFault::SignerUnknown(serial.into()));
    }
    if signature == sum(octets) {
        Ok(RP)
    } else {
        Err(FileFault::SignatureBad("file".into()))
    }
}

fn header(sequence: u64) -> MigrationHeader {
    MigrationHeader {
        group_id: format!("LAB-G{sequence}"),
        schema_version: 1,
        created_ms: 1,
        producer: RP.0,
        sequence,
    }
}

fn common() -> MigrationCommonFile {
    let device = DeviceRecord {
        device: 5,
        kind: "ESME".into(),
        in_scope: true,
        ..DeviceRecord::default()
    };
    let record = InstallationRecord {
        installation_id: "I1".into(),
        attempt: 1,
        devices: vec![device],
        ..Default::default()
    };
    MigrationCommonFile {
        installations: vec![record],
    }
}

fn signed(kind: MigrationFileKind, header: &MigrationHeader, payload: Vec<u8>) -> MigrationFile {
    let content = MigrationFileContent {
        header: Some(header.clone()),
        kind: kind.into(),
        recipient: "dco".into(),
        payload: payload.into(),
    };
    file_set::file(&content, |octets| Ok::<_, ()>(("7".to_owned(), sum(octets)))).expect("signing does not fail")
}

fn set(key: &OpeningKey) -> MigrationFileSet {
    let header = header(1);
    let secrets = MigrationGroupSecrets {
        installations: vec![InstallationSecrets {
            installation_id: "I1".into(),
            devices: vec![DeviceSecret {
                device: 5,
                epoch: 2,
                secret: vec![9; 32].into(),
            }],
        }],
    };
    let (payload, validation) = file_set::common_payloads(&common());
    let sealed = file_set::group_payload(&secrets, &key.public_key(), &header).expect("sealed");
    MigrationFileSet {
        files: [payload, validation, sealed]
            .into_iter()
            .zip(REQUIRED)
            .map(|(payload, kind)| signed(kind, &header, payload))
            .collect(),
    }
}

fn fault(set: &MigrationFileSet) -> &'static str {
    match file_set::read(set, "dco", &REQUIRED, &mut verify).and_then(|set| set.installations()) {
        Ok(_) => "taken",
        Err(fault) => fault.condition(),
    }
}

#[test]
fn a_good_set_is_read_and_its_secrets_open_for_its_recipient_only() {
    let key = OpeningKey::generate().expect("a key");
    let opened = file_set::read(&set(&key), "dco", &REQUIRED, &mut verify).expect("a good set");
    assert_eq!(opened.installations(), Ok(common().installations));
    assert_eq!(
        opened.secrets(&key).expect("opens").installations[0].devices[0].epoch,
        2
    );
    let other = OpeningKey::generate().expect("a key");
    assert_eq!(opened.secrets(&other), Err(FileFault::CannotDecrypt));
}

#[test]
fn whatever_is_wrong_with_one_file_the_set_is_not_taken() {
    let key = OpeningKey::generate().expect("a key");
    let good = set(&key);
    assert_eq!(fault(&good), "taken");
    let mut bad = good.clone();
    bad.files[2] = signed(MigrationFileKind::GroupEncrypted, &header(2), vec![]);
    assert_eq!(fault(&bad), "header-differs");
    let mut bad = good.clone();
    bad.files.swap(0, 1);
    assert_eq!(fault(&bad), "malformed");
    let mut bad = good.clone();
    bad.files.truncate(2);
    assert_eq!(fault(&bad), "malformed");
    let mut bad = good.clone();
    bad.files[1].signature = vec![0; 64].into();
    assert_eq!(fault(&bad), "signature-bad");
    let mut bad = good.clone();
    bad.files[1].signer_serial = "8".into();
    assert_eq!(fault(&bad), "signer-unknown");
    let mut other = common();
    other.installations[0].vulnerable = true;
    let mut bad = good.clone();
    bad.files[0] = signed(MigrationFileKind::Common, &header(1), other.encode_to_vec());
    assert_eq!(fault(&bad), "digest-differs");
    let wrong = file_set::read(&good, "s1sp", &REQUIRED, &mut verify).expect_err("for the DCO");
    assert_eq!(wrong.condition(), "wrong-recipient");
}

/// A set of a group, as its receiver opened it.
fn opened(group: &str, sequence: u64, payload: &[u8]) -> OpenedSet {
    OpenedSet {
        header: MigrationHeader {
            group_id: group.into(),
            ..header(sequence)
        },
        files: vec![MigrationFileContent {
            payload: payload.to_vec().into(),
            ..MigrationFileContent::default()
        }],
    }
}

#[test]
fn a_set_is_taken_once() {
    let mut taken = Taken::default();
    let first = opened("LAB-G1", 1, b"first");
    assert_eq!(taken.take("r1", &first), Ok(()));
    let refused = |taken: &mut Taken, reference, set: &OpenedSet| {
        taken.take(reference, set).expect_err("taken before").condition()
    };
    assert_eq!(refused(&mut taken, "r1", &first), "replayed");
    assert_eq!(refused(&mut taken, "r2", &first), "replayed");
    let renamed = opened("LAB-OTHER", 1, b"first");
    assert_eq!(refused(&mut taken, "r1", &renamed), "replayed", "the same number");
    assert_eq!(taken.take("r2", &opened("LAB-G2", 2, b"first")), Ok(()));
}

#[test]
fn a_set_that_comes_again_under_its_reference_is_known_and_no_other_is() {
    let mut taken = Taken::default();
    let first = opened("LAB-G1", 1, b"first");
    assert_eq!(taken.admit("r1", &first), Ok(Admission::New));
    taken.take("r1", &first).expect("it is new");
    assert_eq!(taken.admit("r1", &first), Ok(Admission::Again));
    for (reference, other) in [
        ("r2", first.clone()),
        ("r1", opened("LAB-G1", 1, b"other")),
        ("r1", opened("LAB-G9", 1, b"first")),
    ] {
        let fault = taken.admit(reference, &other).expect_err("not that delivery");
        assert_eq!(fault.condition(), "replayed", "{reference} {:?}", other.header);
    }
}

#[test]
fn what_was_made_before_the_last_set_of_its_group_is_not_taken_any_more() {
    let mut taken = Taken::default();
    let lost = opened("LAB-G1", 1, b"lost on its way");
    let elsewhere = opened("LAB-G2", 2, b"of another group");
    taken.take("r2", &opened("LAB-G1", 3, b"made anew")).expect("it is new");
    assert_eq!(taken.take("r1", &lost).expect_err("outdated").condition(), "replayed");
    assert_eq!(
        taken.take("r3", &elsewhere),
        Ok(()),
        "groups do not wait for each other"
    );
}

#[test]
fn only_the_one_who_may_sign_is_let_through() {
    let check = |serial: &str, octets: &[u8], signature: &[u8]| {
        let owner = match serial {
            "7" => RP,
            "8" => Eui64(8),
            _ => return None,
        };
        Some((owner, signature == sum(octets)))
    };
    let mut prove = file_set::only(RP, check);
    assert_eq!(prove("7", b"octets", &sum(b"octets")), Ok(RP));
    let word = |result: Result<Eui64, FileFault>| result.expect_err("not let through").condition();
    assert_eq!(word(prove("7", b"octets", &[0; 64])), "signature-bad");
    assert_eq!(word(prove("8", b"octets", &sum(b"octets"))), "signer-unknown");
    assert_eq!(word(prove("9", b"octets", &sum(b"octets"))), "signer-unknown");
}
