use super::{Address, Control, Frame, LLC_FROM_SERVER, LinkError};

/// Appends an APDU that a server says unasked, outside any connection, in information fields of up to `size` octets.
///
/// The standard knows such frames; that a long one goes on in the next frame, marked by the segmentation bit, is how we
/// read it.
pub fn put_unnumbered(server: Address, client: Address, apdu: &[u8], size: u16, out: &mut Vec<u8>) {
    let message = [&LLC_FROM_SERVER, apdu].concat();
    let size = usize::from(size).max(1);
    let total = message.len().div_ceil(size);
    for (index, piece) in message.chunks(size).enumerate() {
        Frame {
            segmented: index + 1 < total,
            destination: client,
            source: server,
            control: Control::Unnumbered { poll: false },
            information: piece,
        }
        .encode(out);
    }
}

/// Puts together what servers say unasked.
#[derive(Debug)]
pub struct Unnumbered {
    apdu_max: usize,
    from: Option<(Address, Address)>,
    message: Vec<u8>,
}

impl Unnumbered {
    /// Takes APDUs of up to `apdu_max` octets.
    #[must_use]
    pub fn new(apdu_max: usize) -> Self {
        Self {
            apdu_max,
            from: None,
            message: Vec::new(),
        }
    }

    /// Takes an unnumbered frame; gives the APDU that it completes. The beginning of a message that another one interrupts
    /// is dropped.
    ///
    /// # Errors
    /// [`LinkError::Oversized`] or [`LinkError::LogicalLink`]: the message is dropped.
    pub fn input(&mut self, frame: &Frame<'_>) -> Result<Option<Vec<u8>>, LinkError> {
        let from = Some((frame.source, frame.destination));
        if self.from != from {
            self.message.clear();
            self.from = from;
        }
        if self.message.len() + frame.information.len() > self.apdu_max.saturating_add(LLC_FROM_SERVER.len()) {
            self.message.clear();
            self.from = None;
            return Err(LinkError::Oversized(self.apdu_max));
        }
        self.message.extend_from_slice(frame.information);
        if frame.segmented {
            return Ok(None);
        }
        self.from = None;
        let message = std::mem::take(&mut self.message);
        let apdu = message.strip_prefix(&LLC_FROM_SERVER).ok_or(LinkError::LogicalLink)?;
        Ok(Some(apdu.to_vec()))
    }
}
