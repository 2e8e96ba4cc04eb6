//! A campaign while it runs, asked and acted in as the commands do.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use control::messages::{ActOnExceptionsRequest, WhichExceptions};
use control::{CampaignClient, CampaignServer, StateFile};
use domain::SimInstant;
use runs::campaign::{self, Live, Options, Progress, Which};
use tokio_util::sync::CancellationToken;

/// A street where some installations' files have a wrong shape until somebody has them tried again.
fn campaign_file(folder: &Path) -> PathBuf {
    let estate = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/estates/street.toml");
    let text = format!(
        "[campaign]\nname = \"queue\"\nsource = \"invented\"\nstart = \"2019-06-03T05:00:00Z\"\nuntil = \"2019-06-14\"\n\
         worlds = 2\nestate = \"{}\"\n\n[[authorisation]]\nweek = \"2019-06-10\"\nat = \"2019-06-04T09:00:00Z\"\n\n\
         [[fault]]\nerror = \"LAB-DV-03\"\nshare_percent = 60\nattempts = 1\n",
        estate.display()
    );
    let path = folder.join("queue.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// The campaign stands still at an instant until somebody lets it go on.
struct Stop {
    at: SimInstant,
    stands: mpsc::Sender<SimInstant>,
    go_on: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Stop {
    fn told(&self, progress: &Progress) {
        if progress.now >= self.at
            && let Some(go_on) = self.go_on.lock().unwrap().take()
        {
            self.stands.send(progress.now).unwrap();
            // Nobody says so any more when the test has failed.
            let _told = go_on.recv();
        }
    }
}

#[test]
fn people_see_a_campaign_and_act_in_it_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let live = Live::default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime
        .block_on(CampaignServer::bind(([127, 0, 0, 1], 0).into(), live.clone()))
        .unwrap();
    let note = StateFile::write(&state, server.address()).unwrap();
    let stop = CancellationToken::new();
    let serving = runtime.spawn(server.run(stop.clone()));
    let (stands, standing) = mpsc::channel();
    let (go, go_on) = mpsc::channel();
    let pause = Stop {
        at: SimInstant::from_utc(2019, 6, 11, 4, 0, 0).unwrap(),
        stands,
        go_on: Mutex::new(Some(go_on)),
    };
    let options = Options {
        state: Some(state.clone()),
        progress: Some(Arc::new(move |progress: &Progress| pause.told(progress))),
        live: Some(live),
        ..Options::new(campaign_file(folder.path()))
    };
    let running = std::thread::spawn(move || campaign::run(&options));
    let now = standing.recv().unwrap();

    let mut client = runtime
        .block_on(CampaignClient::find(None, &state))
        .unwrap()
        .expect("it runs");
    let progress = runtime.block_on(client.progress()).unwrap();
    assert_eq!((progress.now_ms, progress.states.values().sum::<u64>()), (now.0, 8));
    let open = runtime.block_on(client.exceptions(&Which::default(), false)).unwrap();
    assert!(open.len() > 1, "{open:?}");
    assert!(open.iter().all(|one| one.case.record.code == "LAB-DV-03"), "{open:?}");

    // A point of one that waits: its history leads to where it stands.
    let mpxns = ["9901000000008", "9901000000016", "9901000000024"];
    let statuses = mpxns.map(|mpxn| runtime.block_on(client.status(mpxn)));
    assert!(statuses.iter().flatten().count() > 0, "{statuses:?}");
    for status in statuses.iter().flatten() {
        assert!(status.history.len() > 3, "{status:?}");
        assert!(status.text().contains(status.state.as_str()), "{status:?}");
    }
    let unknown = runtime.block_on(client.status("1200000000000")).unwrap_err();
    assert!(unknown.to_string().contains("no metering point"), "{unknown}");

    let act = |client: &mut CampaignClient, numbers: Vec<u64>, code: &str, deed: &str, by: &str, text: &str| {
        runtime.block_on(client.act(ActOnExceptionsRequest {
            which: Some(WhichExceptions {
                numbers,
                code: code.into(),
                ..WhichExceptions::default()
            }),
            deed: deed.into(),
            to: String::new(),
            text: text.into(),
            by: by.into(),
            r#as: "MCC".into(),
        }))
    };
    let nobody = act(&mut client, vec![1], "", "claim", "", "").unwrap_err();
    assert!(nobody.to_string().contains("who acts"), "{nobody}");
    let all = act(&mut client, Vec::new(), "", "claim", "ann", "").unwrap_err();
    assert!(all.to_string().contains("which cases"), "{all}");
    let strange = act(&mut client, vec![1], "", "cliam", "ann", "").unwrap_err();
    assert!(strange.to_string().contains("there are assign, claim"), "{strange}");
    let missing = act(&mut client, vec![99], "", "claim", "ann", "").unwrap();
    assert!(missing[0].1.is_err(), "{missing:?}");
    let claimed = act(&mut client, vec![open[0].number], "", "claim", "ann", "").unwrap();
    assert_eq!(claimed, [(open[0].number, Ok(()))]);
    for (deed, text) in [("retry", ""), ("resolve", "data corrected")] {
        let done = act(&mut client, Vec::new(), "LAB-DV-03", deed, "ann", text).unwrap();
        assert_eq!(done.len(), open.len(), "{deed}");
        assert!(done.iter().all(|(_, result)| result.is_ok()), "{deed}: {done:?}");
    }
    let resolved = runtime.block_on(client.exceptions(&Which::default(), true)).unwrap();
    let first = resolved.iter().find(|one| one.number == open[0].number).unwrap();
    let words: Vec<&str> = first.case.history.iter().map(|(_, _, what)| what.as_str()).collect();
    assert_eq!(words, ["claimed", "retried", "resolved: data corrected"]);
    assert_eq!(first.case.claimed_by.as_deref(), Some("ann"));

    go.send(()).unwrap();
    let run = running.join().unwrap().unwrap();
    drop(note);
    stop.cancel();
    runtime.block_on(serving).unwrap().unwrap();
    for (id, _) in open.iter().filter_map(|one| one.installation.as_ref()) {
        let outcomes = run.outcomes();
        let line = outcomes.iter().find(|line| line.starts_with(id)).unwrap();
        assert!(
            line.contains(" Migrated "),
            "what was tried again by hand migrates: {line}"
        );
    }
    // After its end the journals are read instead.
    assert!(runtime.block_on(CampaignClient::find(None, &state)).unwrap().is_none());
    let again = campaign::exceptions(&state, &Which::default(), true).unwrap();
    assert!(again.len() >= resolved.len(), "{again:?}");
}
