//! What was acknowledged is answered once, whatever dies in between.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use domain::{DeviceKind, SimDuration, UserRole};
use lab::{Config, Lab, Role};
use s1lab_tests::{Listener, RunningLab, element, free_address, post, program, request, run};
use users::orders;

const USER: &str = "90-B3-D5-1F-30-01-00-00";

#[tokio::test(start_paused = true)]
async fn a_dcc_that_dies_between_acknowledgement_and_outcome_answers_once() {
    // Before the hub has connected, while the device works, and about when the answer comes.
    for seconds in [1, 8, 20] {
        let mut lab = Lab::start(Config::default()).expect("started");
        let devices = lab.devices();
        let meter = devices
            .values()
            .flatten()
            .find(|device| device.kind == DeviceKind::Esme);
        let meter = meter.expect("a meter").device;
        let supplier = lab.user_in(UserRole::ImportSupplier).expect("a supplier").clone();
        let clock = lab.world().clock.clone();
        let order = orders::disable_supply(meter);
        let die = async {
            clock.sleep(SimDuration::from_secs(seconds)).await;
            lab.restart(Role::Dcc).await
        };
        let (exchange, restarted) = tokio::join!(supplier.request(&order, SimDuration::from_hours(3)), die);
        restarted.expect("started again");
        let exchange = exchange.unwrap_or_else(|error| panic!("after {seconds} s: {error}"));
        assert!(exchange.reply.is_acknowledgement(), "after {seconds} s");
        assert!(exchange.outcome.is_some(), "after {seconds} s");
        // Long enough for every retry that could deliver it twice.
        clock.sleep(SimDuration::from_hours(4)).await;
        let trail = lab.audit(exchange.id).await.expect("audited");
        let count = |event: &str| {
            let of_dcc = trail.iter().filter(|entry| entry.role == "dcc" && entry.event == event);
            of_dcc.count()
        };
        assert_eq!(count("outcome"), 1, "after {seconds} s: {trail:?}");
        lab.stop().await;
    }
}

#[test]
fn a_lab_killed_after_the_acknowledgement_delivers_one_outcome_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (state, listener) = (folder.join("state"), Listener::start().unwrap());
    let config = folder.join("lab.toml");
    // The outcome limit is what answers where a device no longer knows of the request: short, so that the test is.
    std::fs::write(
        &config,
        format!(
            "[dcc]\noutcome_limit_s = 600\n\n[[user]]\nname = \"Example Energy\"\neui = \"{USER}\"\n\
             roles = [\"IS\", \"GS\"]\nlistener = \"{}\"\n",
            listener.url()
        ),
    )
    .unwrap();
    let front_door = free_address().unwrap();
    // Text messages that take long: the lab dies while the hub sleeps.
    let arguments = [
        "--config",
        config.to_str().unwrap(),
        "--duis",
        &front_door,
        "--clock",
        "x60",
        "--latency",
        "x1",
    ];
    let lab = RunningLab::start(&state, &arguments).unwrap();
    let id = format!("{USER}:{}:1000", lab.device("ESME").unwrap());
    let unsigned = folder.join("request.xml");
    let body = "<sr:ReadInstantaneousImportRegisters/>";
    std::fs::write(&unsigned, request(&id, "4.1", "4.1.1", body)).unwrap();
    let key = |kind: &str| state.join("pki").join(format!("user-{USER}.{kind}.pem"));
    let signed = run(std::process::Command::new(program())
        .args(["duis", "sign"])
        .arg(&unsigned)
        .arg("--key")
        .arg(key("key"))
        .arg("--cert")
        .arg(key("crt")))
    .unwrap();
    assert_eq!(signed.code, Some(0), "{signed:?}");
    let (status, acknowledgement) = post(&front_door, "/api/v1/serviceS", signed.out.trim().as_bytes()).unwrap();
    assert_eq!(status, 200, "{acknowledgement}");
    assert_eq!(element(&acknowledgement, "ResponseCode").unwrap(), "I99");
    lab.kill().unwrap();

    let lab = RunningLab::start(&state, &arguments).unwrap();
    let mut outcomes = vec![listener.next().unwrap()];
    assert_eq!(element(&outcomes[0], "RequestID").unwrap(), id, "{outcomes:?}");
    assert_ne!(element(&outcomes[0], "ResponseCode").unwrap(), "I99");
    // The next request is served as ever; by its answer, a second outcome of the first would have come.
    std::fs::write(&unsigned, request(&id.replace(":1000", ":1001"), "4.1", "4.1.1", body)).unwrap();
    let sent = lab.command(&["duis", "send", unsigned.to_str().unwrap()]).unwrap();
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(element(&sent.out, "ResponseCode").unwrap(), "I0", "{sent:?}");
    let trail = lab.json(&["audit", &id]).unwrap();
    let trail: Vec<_> = trail.as_array().unwrap().iter().map(|entry| &entry["event"]).collect();
    assert_eq!(
        trail.iter().filter(|event| **event == "outcome").count(),
        1,
        "{trail:?}"
    );
    assert_eq!(lab.terminate().unwrap(), Some(0));
    outcomes.extend(listener.rest());
    let of_first = outcomes.iter().filter(|outcome| outcome.contains(&format!(">{id}<")));
    assert_eq!(of_first.count(), 1, "{outcomes:#?}");
}
