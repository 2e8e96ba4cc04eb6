//! A set of migration files is taken whole or not at all.

use domain::Eui64;
use proto::{
    DeviceRecord, DeviceSecret, InstallationRecord, InstallationSecrets, Message, MigrationCommonFile, MigrationFile,
    MigrationFileContent, MigrationFileKind, MigrationFileSet, MigrationGroupSecrets, MigrationHeader,
};
use world::file_set::{self, FileFault, REQUIRED, Taken};
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

#[test]
fn a_set_is_taken_once() {
    let mut taken = Taken::default();
    assert_eq!(taken.take(&header(1)), Ok(()));
    assert_eq!(taken.take(&header(1)).expect_err("twice").condition(), "replayed");
    let renamed = MigrationHeader {
        group_id: "LAB-OTHER".into(),
        ..header(1)
    };
    assert_eq!(taken.take(&renamed).expect_err("same number").condition(), "replayed");
    assert_eq!(taken.take(&header(2)), Ok(()));
}
