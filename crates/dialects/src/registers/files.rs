//! Files of a device: surveys, whose records are rows of a log, and the two files of ours that carry operations.

use cosem::codec::Reader;
use domain::{DeviceKind, Refusal};

use super::meter::{Device, Error, Remembered, code, end};
use super::survey::{Channel, Survey, log_of, record_len};
use super::table;
use super::value::{put_time, take_time};
use super::{FILE, LAB_REPLY, LAB_SUBMISSION, RECORDS_MAX, SLOTS, SUBMISSION_MAX, base};
use crate::Host;

impl Device {
    pub(super) fn file(&mut self, reader: &mut Reader<'_>, host: &mut dyn Host) -> Result<Vec<u8>, Error> {
        let length = |_| Error::of(Error::LENGTH);
        let command = reader.u8().map_err(length)?;
        let register = reader.u32().map_err(length)?;
        if register & 0xFFFF != FILE {
            return Err(Error::of(Error::NO_REGISTER));
        }
        let file = u16::try_from(register >> 16).unwrap_or(0);
        let mut out = [&[b'F', command], register.to_be_bytes().as_slice()].concat();
        if let Some((slot, file)) = lab_file(file) {
            self.access(slot, host)?;
            let remembered = self.remembered.entry(slot).or_default();
            lab_file_access(remembered, file, command, reader, &mut out)?;
            return Ok(out);
        }
        let found = SLOTS
            .into_iter()
            .find_map(|slot| log_of(slot, file).map(|(log, name)| (slot, log, name)));
        let (slot, log, name) = found.ok_or(Error::of(Error::NO_REGISTER))?;
        let survey = Survey {
            slot,
            log,
            access: self.access(slot, host)?,
            face: &self.face,
        };
        let refused = |refusal: Refusal| Error::of(code(&refusal));
        match command {
            b'I' => {
                end(reader)?;
                let (first, count) = survey.extent(host).map_err(refused)?;
                let channels = survey.channels(host).map_err(refused)?;
                out.extend_from_slice(&first.to_be_bytes());
                out.extend_from_slice(&count.to_be_bytes());
                out.extend_from_slice(&u16::try_from(record_len(&channels)).unwrap_or(0).to_be_bytes());
                out.push(b'T');
                out.extend_from_slice(name.as_bytes());
                out.push(0);
            }
            b'S' => {
                reader.u32().map_err(length)?;
                let at: [u8; 6] = reader.array().map_err(length)?;
                let direction = reader.u8().map_err(length)?;
                end(reader)?;
                let at = take_time(&at, &self.face).ok_or(Error::of(Error::RANGE))?;
                let (record, at, result) = survey.search(at, direction != 0, host).map_err(refused)?;
                out.extend_from_slice(&record.to_be_bytes());
                out.extend_from_slice(&put_time(at, &self.face));
                out.push(result);
            }
            b'R' => {
                let first = i32::from_be_bytes(reader.array().map_err(length)?);
                let count = reader.u16().map_err(length)?;
                let (offset, size) = (reader.u16().map_err(length)?, reader.u16().map_err(length)?);
                end(reader)?;
                let channels = survey.channels(host).map_err(refused)?;
                let len = record_len(&channels);
                if offset != 0 || usize::from(size) != len {
                    return Err(Error::of(Error::RANGE));
                }
                let count = usize::from(count).min((RECORDS_MAX / len).max(1));
                let (given, records) = survey.read(first, count, host).map_err(refused)?;
                out.extend_from_slice(&first.to_be_bytes());
                out.extend_from_slice(&given.to_be_bytes());
                out.extend_from_slice(&offset.to_be_bytes());
                out.extend_from_slice(&size.to_be_bytes());
                out.extend_from_slice(&records);
            }
            b'W' => return Err(Error::of(Error::CANNOT_WRITE)),
            _ => return Err(Error::of(Error::UNIMPLEMENTED)),
        }
        Ok(out)
    }

    /// What describes a survey: interval, channels, and each channel.
    pub(super) fn survey_register(
        &self,
        slot: DeviceKind,
        file: u16,
        within: u16,
        host: &mut dyn Host,
    ) -> Result<Vec<u8>, Error> {
        let (log, _) = log_of(slot, file).ok_or(Error::of(Error::NO_REGISTER))?;
        let survey = Survey {
            slot,
            log,
            access: self.access(slot, host)?,
            face: &self.face,
        };
        let channels = survey.channels(host).map_err(|refusal| Error::of(code(&refusal)))?;
        let [family, index] = within.to_be_bytes();
        // The date-time is channel 0.
        let channel = match (family, index.checked_sub(1)) {
            (0xE2..=0xE8, Some(index)) => Some(*channels.get(usize::from(index)).ok_or(Error::of(Error::NO_REGISTER))?),
            _ => None,
        };
        Ok(match (within, family) {
            (0xF014, _) => {
                let interval: u32 = match crate::dlms::half_hourly(slot, log) {
                    Some(_) => 1800,
                    None => 0,
                };
                interval.to_be_bytes().to_vec()
            }
            // One less than there are.
            (0xF012, _) => vec![u8::try_from(channels.len()).unwrap_or(u8::MAX)],
            (_, 0xE2) => vec![channel.map_or(b'T', Channel::letter)],
            (_, 0xE3) => vec![channel.map_or(b'N', |channel| unit_letter(slot, channel))],
            (_, 0xE4) => {
                let name = channel.map_or_else(|| "DATETIME".into(), Channel::name);
                [name.as_bytes(), &[0]].concat()
            }
            (_, 0xE6) => vec![0],
            (_, 0xE8) => 1f32.to_be_bytes().to_vec(),
            _ => return Err(Error::of(Error::NO_REGISTER)),
        })
    }
}

/// The device and the number of a file that carries operations.
fn lab_file(file: u16) -> Option<(DeviceKind, u16)> {
    SLOTS.into_iter().find_map(|slot| {
        let (_, above) = base(slot)?;
        let number = file.checked_sub(above)?;
        matches!(number, LAB_SUBMISSION | LAB_REPLY).then_some((slot, number))
    })
}

fn lab_file_access(
    remembered: &mut Remembered,
    file: u16,
    command: u8,
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let length = |_| Error::of(Error::LENGTH);
    if command == b'I' {
        end(reader)?;
        let octets = if file == LAB_REPLY {
            remembered.reply.len()
        } else {
            remembered.submission.len()
        };
        out.extend_from_slice(&0u32.to_be_bytes());
        out.extend_from_slice(&u32::try_from(octets).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(&[0, 1, b'C']);
        out.extend_from_slice(b"LAB\0");
        return Ok(());
    }
    let at = usize::try_from(reader.u32().map_err(length)?).unwrap_or(usize::MAX);
    let count = usize::from(reader.u16().map_err(length)?);
    let (offset, size) = (reader.u16().map_err(length)?, reader.u16().map_err(length)?);
    if (offset, size) != (0, 1) {
        return Err(Error::of(Error::RANGE));
    }
    let head = |count: usize| {
        let mut head = u32::try_from(at).unwrap_or(0).to_be_bytes().to_vec();
        head.extend_from_slice(&u16::try_from(count).unwrap_or(0).to_be_bytes());
        head.extend_from_slice(&[0, 0, 0, 1]);
        head
    };
    match (command, file) {
        (b'W', LAB_SUBMISSION) => {
            let octets = reader.rest();
            if octets.len() != count {
                return Err(Error::of(Error::LENGTH));
            }
            // From the first octet on it is another submission.
            if at > remembered.submission.len() || at + count > SUBMISSION_MAX {
                return Err(Error::of(Error::RANGE));
            }
            remembered.submission.truncate(at);
            remembered.submission.extend_from_slice(octets);
            out.extend(head(count));
        }
        (b'R', LAB_REPLY) => {
            end(reader)?;
            let rest = remembered.reply.get(at..).unwrap_or_default();
            let given = rest.get(..count.min(RECORDS_MAX)).unwrap_or(rest);
            out.extend(head(given.len()));
            out.extend_from_slice(given);
        }
        _ => return Err(Error::of(Error::DENIED)),
    }
    Ok(())
}

/// Device, survey and register of a register that describes a survey.
pub(super) fn survey_register(register: u32) -> Option<(DeviceKind, u16, u16)> {
    let file = u16::try_from(register >> 16).ok()?;
    let within = u16::try_from(register & 0xFFFF).ok()?;
    let slot = SLOTS.into_iter().find(|slot| log_of(*slot, file).is_some())?;
    Some((slot, file, within))
}

fn unit_letter(slot: DeviceKind, channel: Channel) -> u8 {
    use domain::Unit;
    let unit = match channel {
        Channel::Code => None,
        Channel::Item(item) => table::of_item(slot, item).and_then(|register| register.form.unit()),
    };
    match unit {
        Some(Unit::WattHour) => b'X',
        Some(Unit::VarHour) => b'Y',
        Some(Unit::Litre) => b'L',
        Some(Unit::Watt) => b'W',
        Some(Unit::HundredthPercent) => b'P',
        Some(Unit::Minute) => b'M',
        _ => b'N',
    }
}

#[cfg(test)]
mod tests {
    use super::super::place;
    use super::*;

    #[test]
    fn registers_of_surveys_are_told_apart_from_those_of_devices() {
        assert_eq!(survey_register(0x0305_F014), Some((DeviceKind::Esme, 0x0305, 0xF014)));
        assert_eq!(survey_register(0x0705_E201), Some((DeviceKind::Gpf, 0x0705, 0xE201)));
        assert_eq!(survey_register(0x0050_0069), None);
        assert_eq!(place(0x0050_0069), Some((DeviceKind::Gpf, 0x0069)));
        assert_eq!(place(0x0001_0000), None);
    }
}
