//! HDLC framing and connections: published octets, damage of every kind, and both ends against each other.

use cosem::hdlc::{
    Address, Control, FRAME_MAX, Frame, FrameError, Framer, LinkError, Parameters, Primary, PrimaryEvent, Secondary,
    SecondaryEvent, Unnumbered, crc16, put_unnumbered,
};
use proptest::prelude::*;

const APDU_MAX: usize = 4096;

/// Segmentation, destination, source, control and information of a frame.
type Read = Result<(bool, Address, Address, Control, Vec<u8>), FrameError>;

fn frames(octets: &[u8]) -> Vec<Read> {
    let mut framer = Framer::new(FRAME_MAX);
    framer.push(octets);
    let mut all = Vec::new();
    loop {
        match framer.frame() {
            Ok(None) => return all,
            Ok(Some(frame)) => all.push(Ok((
                frame.segmented,
                frame.destination,
                frame.source,
                frame.control,
                frame.information.to_vec(),
            ))),
            Err(error) => all.push(Err(error)),
        }
    }
}

#[test]
fn check_sequence_has_the_published_check_value() {
    assert_eq!(crc16(b"123456789"), 0x906E);
}

#[test]
fn known_frames_read_and_write_as_published() {
    // An SNRM and its UA as DLMS clients print them: server 1, client 16, sizes and windows of 128 and 1.
    let known = [
        ("7EA0070321930F017E", Control::Snrm { poll: true }),
        (
            "7EA01E210373C37A81801205018006018007040000000108040000000153 3B7E",
            Control::Ua { poll: true },
        ),
    ];
    for (text, control) in known {
        let octets = hex::decode(text.replace(' ', "")).expect("hex");
        let read = frames(&octets);
        let [Ok((false, destination, source, found, information))] = read.as_slice() else {
            panic!("{text}: {read:?}");
        };
        assert_eq!(*found, control);
        let mut again = Vec::new();
        Frame {
            segmented: false,
            destination: *destination,
            source: *source,
            control,
            information,
        }
        .encode(&mut again);
        assert_eq!(hex::encode(again), hex::encode(&octets));
    }
}

#[test]
fn addresses_of_all_lengths_keep_their_parts() {
    let addresses = [
        Address::new(1, None),
        Address::new(0x7F, None),
        Address::new(1, Some(0x11)),
        Address::new(1, Some(0x1234)),
        Address::four(1, 2),
        Address::four(0x3FFF, 0x3FFF),
    ];
    for server in addresses {
        let mut octets = Vec::new();
        Frame {
            segmented: true,
            destination: server,
            source: Address::new(16, None),
            control: Control::Unnumbered { poll: false },
            information: &[1, 2, 3],
        }
        .encode(&mut octets);
        let read = frames(&octets);
        assert!(
            matches!(read.as_slice(), [Ok((true, destination, ..))] if *destination == server),
            "{server:?}: {read:?}"
        );
    }
    assert!(Address::new(1, None).reaches(17) && Address::four(1, 0x3FFF).reaches(17));
    assert!(Address::new(1, Some(17)).reaches(17) && !Address::new(1, Some(18)).reaches(17));
}

#[test]
fn noise_and_damage_cost_no_more_than_the_frame_they_hit() {
    let mut good = Vec::new();
    Frame {
        segmented: false,
        destination: Address::new(1, None),
        source: Address::new(16, None),
        control: Control::ReceiveReady { receive: 3, poll: true },
        information: &[],
    }
    .encode(&mut good);
    let mut damaged = good.clone();
    damaged[5] ^= 0x40;
    let stream = [b"/?!\r\n".as_slice(), &damaged, &good, &good[1..], &[0x7E; 3], &good].concat();
    let read = frames(&stream);
    let good: Vec<bool> = read.iter().map(Result::is_ok).collect();
    assert_eq!(good, [false, false, true, true, true], "{read:?}");
    assert!(matches!(read[0], Err(FrameError::Noise(5))));
    assert!(matches!(read[1], Err(FrameError::Check("frame"))));
}

/// Both ends of a connection, with a link between them that loses what `lost` says.
struct Line {
    primary: Primary,
    secondary: Secondary,
    to_server: Framer,
    to_client: Framer,
    lost: Vec<bool>,
    sent: usize,
    longest: usize,
}

impl Line {
    fn new(proposal: Parameters, limits: Parameters, lost: Vec<bool>) -> Self {
        let (client, server) = (Address::new(1, None), Address::four(1, 17));
        Self {
            primary: Primary::new(client, server, proposal, APDU_MAX),
            secondary: Secondary::new(server, client, limits, APDU_MAX),
            to_server: Framer::new(FRAME_MAX),
            to_client: Framer::new(FRAME_MAX),
            lost,
            sent: 0,
            longest: 0,
        }
    }

    /// Carries one way's octets frame by frame.
    fn carry(octets: &[u8], to: &mut Framer, lost: &[bool], sent: &mut usize, longest: &mut usize) {
        let mut cut = Framer::new(FRAME_MAX);
        cut.push(octets);
        while let Some(frame) = cut.frame().expect("our own frames") {
            *longest = (*longest).max(frame.information.len());
            if !lost.get(*sent).copied().unwrap_or(false) {
                let mut octets = Vec::new();
                frame.encode(&mut octets);
                to.push(&octets);
            }
            *sent += 1;
        }
    }

    /// Runs until the client hears something, polling when nothing moves.
    fn run(&mut self, mut out: Vec<u8>, answer: &[u8]) -> Result<PrimaryEvent, LinkError> {
        for _ in 0..200 {
            if out.is_empty() {
                self.primary.poll(&mut out);
            }
            Self::carry(&out, &mut self.to_server, &self.lost, &mut self.sent, &mut self.longest);
            let mut back = Vec::new();
            while let Some(frame) = self.to_server.frame().expect("whole frames") {
                if let Some(SecondaryEvent::Apdu(_)) = self.secondary.input(&frame, &mut back) {
                    self.secondary.respond(answer, &mut back);
                }
            }
            Self::carry(
                &back,
                &mut self.to_client,
                &self.lost,
                &mut self.sent,
                &mut self.longest,
            );
            out = Vec::new();
            while let Some(frame) = self.to_client.frame().expect("whole frames") {
                if let Some(event) = self.primary.input(&frame, &mut out)? {
                    return Ok(event);
                }
            }
        }
        panic!("nothing came through");
    }

    fn connect(&mut self) -> Parameters {
        let mut out = Vec::new();
        self.primary.connect(&mut out);
        match self.run(out, &[]) {
            Ok(PrimaryEvent::Connected(agreed)) => agreed,
            other => panic!("{other:?}"),
        }
    }

    fn ask(&mut self, apdu: &[u8], answer: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.primary.send(apdu, &mut out).expect("connected and idle");
        match self.run(out, answer) {
            Ok(PrimaryEvent::Apdu(apdu)) => apdu,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn each_end_keeps_to_what_the_other_takes() {
    let small = Parameters {
        information_rx: 64,
        window_rx: 1,
        ..Parameters::symmetric(200, 4)
    };
    let mut line = Line::new(small, Parameters::symmetric(1000, 7), Vec::new());
    let agreed = line.connect();
    assert_eq!((agreed.information_tx, agreed.information_rx), (200, 64));
    assert_eq!((agreed.window_tx, agreed.window_rx), (4, 1));
    let answer = vec![7; 1000];
    assert_eq!(line.ask(&[1; 30], &answer), answer);
    assert_eq!(line.longest, 64, "the server's information fields");
}

#[test]
fn a_connection_ends_when_asked_and_answers_nothing_afterwards() {
    let mut line = Line::new(Parameters::default(), Parameters::default(), Vec::new());
    line.connect();
    let mut out = Vec::new();
    line.primary.disconnect(&mut out);
    assert_eq!(line.run(out, &[]), Ok(PrimaryEvent::Disconnected));
    assert!(!line.primary.is_connected() && !line.secondary.is_connected());
    assert_eq!(line.primary.send(&[1], &mut Vec::new()), Err(LinkError::State));
    let mut back = Vec::new();
    let ready = Frame {
        segmented: false,
        destination: Address::four(1, 17),
        source: Address::new(1, None),
        control: Control::ReceiveReady { receive: 0, poll: true },
        information: &[],
    };
    assert_eq!(line.secondary.input(&ready, &mut back), None);
    assert!(matches!(
        frames(&back).as_slice(),
        [Ok((.., Control::Dm { poll: true }, _))]
    ));
}

#[test]
fn a_client_that_breaks_the_rules_is_told_so() {
    let information = |information: &'static [u8], receive| Frame {
        segmented: false,
        destination: Address::four(1, 17),
        source: Address::new(1, None),
        control: Control::Information {
            send: 0,
            receive,
            poll: true,
        },
        information,
    };
    let cases = [
        (
            information(&[0xE6, 0xE6, 0, 1], 5),
            LinkError::Acknowledgement { received: 5 },
        ),
        (information(&[1, 2, 3, 4], 0), LinkError::LogicalLink),
        (information(&[0; 600], 0), LinkError::Oversized(100 + 3)),
    ];
    for (frame, fault) in cases {
        let mut line = Line::new(Parameters::default(), Parameters::symmetric(1000, 1), Vec::new());
        line.secondary = Secondary::new(
            Address::four(1, 17),
            Address::new(1, None),
            Parameters::symmetric(1000, 1),
            100,
        );
        line.connect();
        let mut back = Vec::new();
        assert_eq!(
            line.secondary.input(&frame, &mut back),
            Some(SecondaryEvent::Rejected(fault))
        );
        line.to_client.push(&back);
        let told = line.to_client.frame().expect("a frame").expect("a frame");
        assert_eq!(
            line.primary.input(&told, &mut Vec::new()),
            Ok(Some(PrimaryEvent::Rejected))
        );
    }
}

#[test]
fn unasked_messages_are_put_together_and_interrupted_ones_dropped() {
    let (meter, hub, client) = (Address::new(1, None), Address::new(4, None), Address::new(3, None));
    let mut octets = Vec::new();
    put_unnumbered(meter, client, &[1; 100], 40, &mut octets);
    let mut assembler = Unnumbered::new(1000);
    let mut framer = Framer::new(FRAME_MAX);
    framer.push(&octets);
    let first = framer.frame().expect("whole").expect("a frame");
    assert_eq!(assembler.input(&first), Ok(None));
    let mut other = Vec::new();
    put_unnumbered(hub, client, &[2; 200], 40, &mut other);
    let mut framer = Framer::new(FRAME_MAX);
    framer.push(&other);
    let mut got = Vec::new();
    while let Some(frame) = framer.frame().expect("whole") {
        got.extend(assembler.input(&frame).expect("within limits"));
    }
    assert_eq!(got, [vec![2; 200]]);
    let mut small = Unnumbered::new(50);
    let mut framer = Framer::new(FRAME_MAX);
    framer.push(&other);
    let mut last = Ok(None);
    while let (Ok(None), Some(frame)) = (&last, framer.frame().expect("whole")) {
        last = small.input(&frame);
    }
    assert_eq!(last, Err(LinkError::Oversized(50)));
}

fn control() -> impl Strategy<Value = Control> {
    any::<u8>().prop_filter_map("a control field", Control::of)
}

fn address() -> impl Strategy<Value = Address> {
    (any::<u16>(), proptest::option::of(any::<u16>()), any::<bool>()).prop_map(|(upper, lower, four)| match lower {
        Some(lower) if four => Address::four(upper, lower),
        lower => Address::new(upper, lower),
    })
}

proptest! {
    #[test]
    fn a_frame_reads_as_it_writes_and_every_prefix_waits(
        segmented: bool,
        destination in address(),
        source in address(),
        control in control(),
        information in proptest::collection::vec(any::<u8>(), 0..200),
        cut in 0usize..1000,
    ) {
        let frame = Frame { segmented, destination, source, control, information: &information };
        let mut octets = Vec::new();
        frame.encode(&mut octets);
        let mut framer = Framer::new(FRAME_MAX);
        let cut = cut % octets.len();
        framer.push(&octets[..cut]);
        prop_assert_eq!(framer.frame(), Ok(None));
        framer.push(&octets[cut..]);
        prop_assert_eq!(framer.frame(), Ok(Some(frame)));
        prop_assert_eq!(framer.frame(), Ok(None));
    }

    #[test]
    fn a_damaged_octet_never_passes_for_the_frame(
        control in control(),
        information in proptest::collection::vec(any::<u8>(), 0..60),
        at in 0usize..1000,
        damage in 1u8..=255,
    ) {
        let (destination, source) = (Address::new(1, None), Address::new(16, None));
        let frame = Frame { segmented: false, destination, source, control, information: &information };
        let mut octets = Vec::new();
        frame.encode(&mut octets);
        let at = at % octets.len();
        octets[at] ^= damage;
        octets.resize(octets.len() + FRAME_MAX, 0);
        let mut framer = Framer::new(FRAME_MAX);
        framer.push(&octets);
        for _ in 0..octets.len() {
            match framer.frame() {
                Ok(Some(found)) => prop_assert_ne!(found, frame),
                Ok(None) => break,
                Err(_) => {}
            }
        }
    }

    #[test]
    fn any_octets_are_taken_calmly(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..20)) {
        let mut framer = Framer::new(100);
        let mut secondary = Secondary::new(Address::new(1, None), Address::new(1, None), Parameters::default(), 100);
        let mut primary = Primary::new(Address::new(1, None), Address::new(1, None), Parameters::default(), 100);
        let mut out = Vec::new();
        primary.connect(&mut out);
        for piece in pieces {
            framer.push(&piece);
            for _ in 0..=piece.len() + 1 {
                match framer.frame() {
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        let _ = secondary.input(&frame, &mut out);
                        let _ = primary.input(&frame, &mut out);
                    }
                    Err(_) => {}
                }
            }
        }
    }

    #[test]
    fn messages_come_through_whole_whatever_frames_are_lost(
        tx in 32u16..200, rx in 32u16..200, window_client in 1u8..=7, window_server in 1u8..=7,
        request in proptest::collection::vec(any::<u8>(), 1..1500),
        answer in proptest::collection::vec(any::<u8>(), 1..1500),
        lost in proptest::collection::vec(proptest::bool::weighted(0.15), 0..60),
    ) {
        let mut line = Line::new(Parameters::symmetric(tx, window_client), Parameters::symmetric(rx, window_server), lost);
        line.connect();
        prop_assert_eq!(line.ask(&request, &answer), answer.clone());
        prop_assert_eq!(line.ask(&answer, &request), request);
    }
}
