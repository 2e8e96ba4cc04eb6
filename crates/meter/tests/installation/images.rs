//! Firmware images: blocks, checks, activations.

use super::*;
use domain::Refusal;
use domain::image::{self, ImageHead, ImagePart};
use domain::operation::{ImageFault, ImageHash, ImageState, ImageStatus, Octets};

const NEW: &str = "as300p@LAB-NEW";

fn head() -> ImageHead {
    ImageHead {
        profile: NEW.parse().expect("a profile"),
        manufacturer: "LAB".into(),
        model: "LAB-0000".into(),
        firmware: "LAB-NEW".into(),
        part: ImagePart::Application,
        from: Vec::new(),
    }
}

fn home(change: impl FnOnce([&mut Profile; 4])) -> Home {
    Home::with("2019-05-02T08:00:00Z", config(), change)
}

fn status(home: &mut Home, slot: DeviceKind) -> ImageStatus {
    match home.finished(slot, S1SP, &Operation::Read(DataItem::ImageStatus), None) {
        Ok(Answer::Value(Value::Image(status))) => status,
        other => panic!("{other:?}"),
    }
}

fn begin(image: &[u8], device: Option<Eui64>) -> Operation {
    Operation::BeginImage {
        octets: u32::try_from(image.len()).expect("short"),
        hash: image::hash(image),
        device,
    }
}

/// Sends the blocks of an image that `wanted` lets through, in their order.
fn send(home: &mut Home, slot: DeviceKind, image: &[u8], wanted: impl Fn(u32) -> bool) -> Vec<Outcome> {
    let size = usize::from(status(home, slot).block_octets);
    let blocks = (0u32..).zip(image.chunks(size)).filter(|(number, _)| wanted(*number));
    let blocks: Vec<_> = blocks
        .map(|(number, block)| Operation::ImageBlock {
            number,
            octets: Octets(block.to_vec()),
        })
        .collect();
    let mut outcomes = Vec::new();
    for block in blocks {
        outcomes.push(home.finished(slot, S1SP, &block, None));
    }
    outcomes
}

fn ask(home: &mut Home, slot: DeviceKind, operation: &Operation) -> Outcome {
    home.finished(slot, S1SP, operation, None)
}

/// Brings an image to a device that is then checking it.
fn bring(home: &mut Home, slot: DeviceKind, device: Option<Eui64>, image: &[u8]) {
    assert_eq!(ask(home, slot, &begin(image, device)), Ok(Answer::Done));
    send(home, slot, image, |_| true);
    assert_eq!(ask(home, slot, &Operation::VerifyImage), Ok(Answer::Done));
}

fn activate(image: &[u8]) -> Operation {
    Operation::ActivateImage {
        hash: image::hash(image),
    }
}

fn new_firmware(home: &mut Home) -> Option<(DeviceKind, String)> {
    let became = home.installation.take_new_firmware();
    became.map(|(slot, profile)| (slot, profile.to_string()))
}

#[test]
fn blocks_may_be_lost_doubled_and_out_of_order_and_go_on_after_a_restart() {
    let mut home = home(|[_, esme, ..]| esme.image.block_max = 64);
    let slot = DeviceKind::Esme;
    let image = head().image(64 * 20 + 7);
    let blocks = 21;
    let not_begun = Err(Refusal::Image(ImageFault::NotBegun));
    assert_eq!(ask(&mut home, slot, &Operation::VerifyImage), not_begun);
    assert_eq!(send(&mut home, slot, &image, |number| number == 0), [not_begun]);
    ask(&mut home, slot, &begin(&image, None)).expect("begun");
    send(&mut home, slot, &image, |number| number < 5 || number % 2 == 0);
    let at = status(&mut home, slot);
    assert_eq!(
        (at.state, at.first_missing, at.block_octets),
        (ImageState::Receiving, 5, 64)
    );
    let incomplete = Err(Refusal::Image(ImageFault::Incomplete));
    assert_eq!(ask(&mut home, slot, &Operation::VerifyImage), incomplete);
    // A block of another length, one beyond the end, one that is there already.
    for (number, length, expected) in [
        (6, 63, Err(Refusal::Image(ImageFault::Block))),
        (blocks, 7, Err(Refusal::Image(ImageFault::Block))),
        (2, 64, Ok(Answer::Done)),
    ] {
        let block = Operation::ImageBlock {
            number,
            octets: Octets(vec![0; length]),
        };
        assert_eq!(ask(&mut home, slot, &block), expected, "{number}");
    }
    send(&mut home, slot, &image, |number| number == 5);
    assert_eq!(status(&mut home, slot).first_missing, 7, "and what came early after it");

    let octets = home.installation.durable();
    home.installation = home.act(|_, context| Installation::restore(&config(), context, &octets).expect("ours"));
    assert_eq!(status(&mut home, slot).first_missing, 7);
    // Beginning again what has begun changes nothing.
    ask(&mut home, slot, &begin(&image, None)).expect("goes on");
    send(&mut home, slot, &image, |number| number >= 7);
    assert_eq!(status(&mut home, slot).first_missing, blocks);
    ask(&mut home, slot, &Operation::VerifyImage).expect("complete");
    ask(&mut home, slot, &Operation::VerifyImage).expect("asked again");
    home.run(SimDuration::from_secs(29));
    assert_eq!(status(&mut home, slot).state, ImageState::Verifying);
    home.run(SimDuration::from_secs(1));
    let done = status(&mut home, slot);
    assert_eq!((done.state, done.verified), (ImageState::Verified, image::hash(&image)));
}

#[test]
fn an_image_that_is_wrong_or_for_another_device_is_never_run() {
    let other = |change: fn(&mut ImageHead)| {
        let mut head = head();
        change(&mut head);
        head.image(2_000)
    };
    let mut damaged = head().image(2_000);
    damaged[1_500] ^= 1;
    let right = head().image(2_000);
    for (what, announced, sent) in [
        ("damaged on the way", &right, &damaged),
        (
            "another model's",
            &other(|head| head.model = "E470".into()),
            &other(|head| head.model = "E470".into()),
        ),
        (
            "not from here",
            &other(|head| head.from = vec!["LAB-OLD".into()]),
            &other(|head| head.from = vec!["LAB-OLD".into()]),
        ),
        (
            "for a metrology that is not apart",
            &other(|head| head.part = ImagePart::Metrology),
            &other(|head| head.part = ImagePart::Metrology),
        ),
        ("none of the lab's", &vec![7; 2_000], &vec![7; 2_000]),
    ] {
        let mut home = home(|_| {});
        let slot = DeviceKind::Esme;
        ask(&mut home, slot, &begin(announced, None)).expect("begun");
        send(&mut home, slot, sent, |_| true);
        ask(&mut home, slot, &Operation::VerifyImage).expect("complete");
        home.run(SimDuration::from_mins(1));
        let found = status(&mut home, slot);
        assert_eq!(
            (found.state, found.verified),
            (ImageState::Wrong, ImageHash::default()),
            "{what}"
        );
        let refused = ask(&mut home, slot, &activate(announced));
        assert_eq!(refused, Err(Refusal::Image(ImageFault::NotBegun)), "{what}");
        // A right one may follow.
        bring(&mut home, slot, None, &right);
        home.run(SimDuration::from_mins(1));
        assert_eq!(status(&mut home, slot).state, ImageState::Verified, "{what}");
        assert_eq!(ask(&mut home, slot, &activate(sent)).is_ok(), *sent == right, "{what}");
    }
    let mut small = home(|[_, esme, ..]| esme.image.size_max = 1_999);
    assert_eq!(
        ask(&mut small, DeviceKind::Esme, &begin(&right, None)),
        Err(Refusal::OutOfRange)
    );
}

#[test]
fn a_device_restarts_and_is_another_or_stays_what_it_was() {
    for fails in [false, true] {
        let mut home = home(|[_, esme, ..]| esme.image.fails_permille = if fails { 1_000 } else { 0 });
        let slot = DeviceKind::Esme;
        let image = head().image(3_000);
        bring(&mut home, slot, None, &image);
        home.run(SimDuration::from_mins(1));
        assert_eq!(
            ask(&mut home, slot, &activate(&image)),
            Ok(Answer::Done),
            "the answer leaves first"
        );
        assert!(home.installation.take_hub_restart(), "the hub goes down with the meter");
        let unreachable = Err(Refusal::Unreachable);
        let read = Operation::Read(DataItem::FirmwareVersion);
        assert_eq!(ask(&mut home, slot, &read), unreachable);
        home.run(SimDuration::from_secs(59));
        assert_eq!(ask(&mut home, slot, &read), unreachable);
        assert_eq!(new_firmware(&mut home), None);
        home.run(SimDuration::from_secs(1));
        assert!(ask(&mut home, slot, &read).is_ok());
        let state = status(&mut home, slot).state;
        if fails {
            assert_eq!((new_firmware(&mut home), state), (None, ImageState::ActivationFailed));
            // It is still there to be tried once more.
            assert_eq!(ask(&mut home, slot, &activate(&image)), Ok(Answer::Done));
        } else {
            let expected = Some((slot, NEW.to_owned()));
            assert_eq!((new_firmware(&mut home), state), (expected, ImageState::Idle));
            assert_eq!(new_firmware(&mut home), None, "told once");
            home.act(|installation, context| installation.roll_back(context, slot));
            assert_eq!(status(&mut home, slot).state, ImageState::ActivationFailed);
        }
    }
}

#[test]
fn only_the_last_image_can_be_run_unless_the_profile_says_otherwise() {
    for only_latest in [true, false] {
        let mut home = home(|[_, esme, ..]| esme.image.only_latest = only_latest);
        let slot = DeviceKind::Esme;
        let [first, second] = [2_000, 3_000].map(|octets| head().image(octets));
        for image in [&first, &second] {
            bring(&mut home, slot, None, image);
            home.run(SimDuration::from_mins(1));
        }
        let outcome = ask(&mut home, slot, &activate(&first));
        if only_latest {
            assert_eq!(outcome, Err(Refusal::Image(ImageFault::Hash)));
            assert_eq!(ask(&mut home, slot, &activate(&second)), Ok(Answer::Done));
        } else {
            assert_eq!(outcome, Ok(Answer::Done));
        }
    }
}

#[test]
fn a_gas_meter_gets_its_image_from_the_hub_when_it_wakes() {
    let mut home = home(|_| {});
    let (hub, gsme) = (DeviceKind::Chf, DeviceKind::Gsme);
    let image = head().image(5_000);
    let refused = ask(&mut home, hub, &begin(&image, Some(Eui64(9))));
    assert_eq!(refused, Err(Refusal::Image(ImageFault::NotForThisDevice)));
    let refused = ask(&mut home, DeviceKind::Esme, &begin(&image, Some(Eui64(0x60))));
    assert_eq!(refused, Err(Refusal::NotSupported), "only a hub holds images");
    let direct = home.execute(gsme, S1SP, &begin(&image, None), None);
    assert_eq!(direct, Execution::Finished(Err(Refusal::NotSupported)));

    home.run(SimDuration::from_mins(30));
    bring(&mut home, hub, Some(Eui64(0x60)), &image);
    let asked = home.now;
    home.run(SimDuration::from_secs(40));
    assert_eq!(status(&mut home, hub).state, ImageState::Verifying, "the meter sleeps");
    home.run(SimDuration::from_mins(31));
    assert_eq!(status(&mut home, hub).state, ImageState::Verified);
    assert_eq!(status(&mut home, hub).verified, image::hash(&image));
    assert!(home.now.since(asked) > SimDuration::from_mins(30));
    assert!(matches!(
        home.execute(gsme, S1SP, &activate(&image), None),
        Execution::Queued(_)
    ));
    home.run(SimDuration::from_mins(32));
    assert_eq!(new_firmware(&mut home), Some((gsme, NEW.to_owned())));
    assert!(!home.installation.take_hub_restart(), "the hub did not restart");
}

#[test]
fn a_hub_runs_what_it_has_found_right_and_everything_behind_it_is_away_meanwhile() {
    let mut home = home(|_| {});
    let image = head().image(4_000);
    bring(&mut home, DeviceKind::Chf, None, &image);
    home.run(SimDuration::from_secs(31));
    assert!(home.installation.hub_is_restarting() && home.installation.take_hub_restart());
    let read = Operation::Read(DataItem::FirmwareVersion);
    assert_eq!(ask(&mut home, DeviceKind::Esme, &read), Err(Refusal::Unreachable));
    let told = ask(&mut home, DeviceKind::Chf, &activate(&image));
    assert_eq!(told, Err(Refusal::Unreachable));
    home.run(SimDuration::from_mins(1));
    assert_eq!(new_firmware(&mut home), Some((DeviceKind::Chf, NEW.to_owned())));
    assert!(!home.installation.hub_is_restarting());
    assert!(ask(&mut home, DeviceKind::Esme, &read).is_ok());
}

#[test]
fn where_the_hub_stages_images_the_meter_takes_none_itself() {
    let mut home = home(|[chf, ..]| chf.image.staged_in_hub = true);
    let image = head().image(4_000);
    let esme = DeviceKind::Esme;
    assert_eq!(ask(&mut home, esme, &begin(&image, None)), Err(Refusal::NotSupported));
    bring(&mut home, DeviceKind::Chf, Some(Eui64(0xE0)), &image);
    home.run(SimDuration::from_mins(1));
    assert_eq!(status(&mut home, esme).verified, image::hash(&image));
    assert_eq!(ask(&mut home, esme, &activate(&image)), Ok(Answer::Done));
    let mut plain = self::home(|_| {});
    let refused = ask(&mut plain, DeviceKind::Chf, &begin(&image, Some(Eui64(0xE0))));
    assert_eq!(refused, Err(Refusal::Image(ImageFault::NotForThisDevice)));
}

#[test]
fn metrology_that_is_apart_changes_without_the_version_that_is_shown() {
    let mut home = home(|[_, esme, ..]| esme.image.split = true);
    let mut metrology = head();
    metrology.part = ImagePart::Metrology;
    let image = metrology.image(2_000);
    bring(&mut home, DeviceKind::Esme, None, &image);
    home.run(SimDuration::from_mins(1));
    assert_eq!(ask(&mut home, DeviceKind::Esme, &activate(&image)), Ok(Answer::Done));
    home.run(SimDuration::from_mins(2));
    assert_eq!(new_firmware(&mut home), None);
    assert_eq!(status(&mut home, DeviceKind::Esme).state, ImageState::Idle);
}
