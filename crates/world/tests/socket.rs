//! A role that dies and starts again on the same link.

use domain::{Seed, SimInstant};
use proto::{Envelope, Kind};
use world::{LinkEnd, World};

async fn say(end: &LinkEnd, text: &str) -> u64 {
    let envelope = Envelope {
        trace_id: text.into(),
        ..Envelope::default()
    };
    end.send(envelope, Kind::Accepted, b"").await.expect("open")
}

#[tokio::test(start_paused = true)]
async fn the_other_role_never_sees_the_link_close() {
    let world = World::virtual_at(SimInstant(0), Seed::root(1));
    let (mut dcc, mut s1sp) = world.link("dcc", "s1sp");
    let socket = dcc.socket();
    assert!(socket.attach().is_none(), "still held");
    assert_eq!(say(&dcc, "before").await, 1);
    drop(dcc);
    say(&s1sp, "lost").await;
    let mut dcc = socket.attach().expect("given back");
    say(&s1sp, "after").await;
    assert_eq!(dcc.recv().await.expect("open").trace_id, "after");
    assert_eq!(say(&dcc, "again").await, 2);
    assert_eq!(s1sp.recv().await.expect("open").trace_id, "before");
    assert_eq!(s1sp.recv().await.expect("open").trace_id, "again");
}
