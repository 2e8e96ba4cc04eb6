//! Firmware by the image transfer object (class 18): what both ends read and write.
//!
//! Attributes and methods are those of the standard. Ours is the identifier: the SHA-256 of the image, and, of an image
//! that a hub holds for another device, that device's identity behind it. An activation that names a hash has no standard
//! form and goes through the queue object; method 4 runs the image that was found right last.

use cosem::{AccessResult, Data, write};
use domain::operation::{ImageHash, ImageState, ImageStatus, Octets};
use domain::{Eui64, Operation};

/// Attributes that together are an [`ImageStatus`], in the order in which they are read.
pub(crate) const STATUS: [i8; 4] = [2, 4, 6, 7];

pub(crate) const INITIATE: i8 = 1;
pub(crate) const BLOCK: i8 = 2;
pub(crate) const VERIFY: i8 = 3;
pub(crate) const ACTIVATE: i8 = 4;

/// States of the standard's list, by what they are here. Six, an activation that succeeded, is none of ours: the device
/// is then another one.
const STATES: [(ImageState, u8); 7] = [
    (ImageState::Idle, 0),
    (ImageState::Receiving, 1),
    (ImageState::Verifying, 2),
    (ImageState::Verified, 3),
    (ImageState::Wrong, 4),
    (ImageState::Activating, 5),
    (ImageState::ActivationFailed, 7),
];

/// Method and parameter that carry an operation; `None` where the object cannot express it.
pub(crate) fn method(operation: &Operation) -> Option<(i8, Data)> {
    Some(match operation {
        Operation::BeginImage { octets, hash, device } => {
            let mut identifier = hash.0.to_vec();
            identifier.extend(device.iter().flat_map(|device| device.to_bytes()));
            let parts = vec![Data::OctetString(identifier), Data::UInt32(*octets)];
            (INITIATE, Data::Structure(parts))
        }
        Operation::ImageBlock { number, octets } => {
            let parts = vec![Data::UInt32(*number), Data::OctetString(octets.0.clone())];
            (BLOCK, Data::Structure(parts))
        }
        Operation::VerifyImage => (VERIFY, Data::Int8(0)),
        _ => return None,
    })
}

/// The operation that a method stands for on a device with this status.
///
/// # Errors
/// A parameter of another type than the method takes, or no such method.
pub(crate) fn operation(index: i8, parameter: &Data, status: &ImageStatus) -> Result<Operation, AccessResult> {
    let wrong = AccessResult::TypeUnmatched;
    match (index, parameter.as_list()) {
        (INITIATE, Some([identifier, octets])) => {
            let (hash, device) = identity(identifier.as_octets().ok_or(wrong)?);
            let octets = number(octets).ok_or(wrong)?;
            Ok(Operation::BeginImage { octets, hash, device })
        }
        (BLOCK, Some([number_of, octets])) => Ok(Operation::ImageBlock {
            number: number(number_of).ok_or(wrong)?,
            octets: Octets(octets.as_octets().ok_or(wrong)?.to_vec()),
        }),
        (VERIFY, None) => Ok(Operation::VerifyImage),
        (ACTIVATE, None) => Ok(Operation::ActivateImage { hash: status.verified }),
        (INITIATE..=ACTIVATE, _) => Err(wrong),
        _ => Err(AccessResult::ObjectUndefined),
    }
}

/// Hash and device of an identifier. Whoever calls an image something else announces no hash.
fn identity(octets: &[u8]) -> (ImageHash, Option<Eui64>) {
    match (octets.first_chunk::<32>(), octets.get(32..)) {
        (Some(hash), Some([])) => (ImageHash(*hash), None),
        (Some(hash), Some(device)) if device.len() == 8 => {
            let device = device.try_into().ok().map(Eui64::from_bytes);
            (ImageHash(*hash), device)
        }
        _ => (ImageHash::default(), None),
    }
}

fn number(data: &Data) -> Option<u32> {
    u32::try_from(data.as_i64()?).ok()
}

/// Appends an attribute; false where the object has no such one.
pub(crate) fn attribute(status: &ImageStatus, index: i8, out: &mut Vec<u8>) -> bool {
    match index {
        2 => write::u32(out, status.block_octets.into()),
        3 => {
            // Blocks before the first missing one; what came early is not shown.
            let bits = usize::try_from(status.first_missing).unwrap_or(0);
            let mut octets = vec![0xFF; bits / 8];
            if !bits.is_multiple_of(8) {
                octets.push(0xFFu8 << (8 - bits % 8));
            }
            out.extend(Data::BitString(bits, octets).to_bytes());
        }
        4 => write::u32(out, status.first_missing),
        5 => write::boolean(out, true),
        6 => {
            let found = STATES.iter().find(|(state, _)| *state == status.state);
            write::enumerated(out, found.map_or(0, |(_, code)| *code));
        }
        7 if status.verified == ImageHash::default() => write::array(out, 0),
        7 => {
            write::array(out, 1);
            write::structure(out, 3);
            // Its octets are not kept, nor is their number.
            write::u32(out, 0);
            write::octet_string(out, &status.verified.0);
            write::octet_string(out, &status.verified.0);
        }
        _ => return false,
    }
    true
}

/// Takes one attribute of [`STATUS`] into a status; `None` for data of another shape.
pub(crate) fn take(status: &mut ImageStatus, index: i8, data: &Data) -> Option<()> {
    match index {
        2 => status.block_octets = u16::try_from(data.as_i64()?).ok()?,
        4 => status.first_missing = number(data)?,
        6 => {
            let code = u8::try_from(data.as_i64()?).ok()?;
            let found = STATES.iter().find(|(_, known)| *known == code);
            status.state = found.map_or(ImageState::Idle, |(state, _)| *state);
        }
        7 => {
            status.verified = match data.as_list()? {
                [] => ImageHash::default(),
                [first, ..] => match first.as_list()? {
                    [_, _, signature] => ImageHash(signature.as_octets()?.try_into().ok()?),
                    _ => return None,
                },
            };
        }
        _ => return None,
    }
    Some(())
}

/// A status of which nothing is known yet.
pub(crate) fn unknown() -> ImageStatus {
    ImageStatus {
        state: ImageState::Idle,
        first_missing: 0,
        block_octets: 0,
        verified: ImageHash::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_end_writes_the_other_reads() {
        let hash = ImageHash([7; 32]);
        let status = ImageStatus {
            state: ImageState::Verified,
            first_missing: 21,
            block_octets: 512,
            verified: hash,
        };
        let mut read = unknown();
        for index in STATUS {
            let mut octets = Vec::new();
            assert!(attribute(&status, index, &mut octets));
            take(&mut read, index, &Data::decode_all(&octets).expect("data")).expect("its shape");
        }
        assert_eq!(read, status);
        let mut bitmap = Vec::new();
        assert!(attribute(&status, 3, &mut bitmap));
        let expected = Data::BitString(21, vec![0xFF, 0xFF, 0xF8]);
        assert_eq!(Data::decode_all(&bitmap), Ok(expected));
        for wanted in [
            Operation::BeginImage {
                octets: 70_000,
                hash,
                device: None,
            },
            Operation::BeginImage {
                octets: 70_000,
                hash,
                device: Some(Eui64(9)),
            },
            Operation::ImageBlock {
                number: 70_000,
                octets: Octets(vec![1, 2, 3]),
            },
            Operation::VerifyImage,
        ] {
            let (index, parameter) = method(&wanted).expect("it has a form");
            assert_eq!(operation(index, &parameter, &status), Ok(wanted));
        }
        let activate = operation(ACTIVATE, &Data::Int8(0), &status);
        assert_eq!(activate, Ok(Operation::ActivateImage { hash }));
        let named = Data::Structure(vec![Data::OctetString(b"FW-1".to_vec()), Data::UInt32(9)]);
        let begin = operation(INITIATE, &named, &status);
        assert!(matches!(begin, Ok(Operation::BeginImage { hash, .. }) if hash == ImageHash::default()));
        assert_eq!(
            operation(BLOCK, &Data::Int8(0), &status),
            Err(AccessResult::TypeUnmatched)
        );
    }
}
