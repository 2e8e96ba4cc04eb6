//! A program outside that provides the face of a connection, at this end of it.

use dialects::external::{End, FromFace, Line};
use tokio::sync::mpsc;

use crate::hub::{Event, Fault, HubTask, Link};
use crate::job::{Failure, FailureKind};

/// Words of an attached program that wait for a hub's task; one that says more at once is given up.
const FACE_WORDS: usize = 256;

/// The program of one connection.
pub(crate) struct ToProgram {
    line: Box<dyn Line>,
    /// What it says; `None` when it has gone.
    said: mpsc::Receiver<Option<FromFace>>,
}

impl HubTask {
    /// A line to the program under this name, where one is attached.
    pub(crate) fn line(&self, name: &str) -> Option<ToProgram> {
        let faces = self.shared.options.faces.as_ref()?;
        let (says, said) = mpsc::channel(FACE_WORDS);
        let back = move |message| says.try_send(message).is_ok();
        let line = faces.open(name, End::HeadEnd, Box::new(back))?;
        Some(ToProgram { line, said })
    }

    /// Passes on to an attached program what it is to be told.
    pub(crate) fn tell_face(&mut self) {
        let Some(link) = &mut self.link else { return };
        for message in link.face.take_told() {
            if let Some(program) = &link.line {
                // One that does not keep up says as its last word that it has gone.
                let _ = program.line.tell(message);
            }
        }
    }

    /// Does what an attached program says.
    pub(crate) async fn face_said(&mut self, message: Option<FromFace>) {
        match message {
            Some(message) => {
                let happened = self.with_face(|face, keys| face.said(keys, message));
                self.happened(happened).await;
            }
            None => {
                self.close("the program that speaks to these devices has gone").await;
                let reason = format!("hub {}: the program attached for its face has gone", self.site.hub);
                let failure = Failure::after(FailureKind::SessionFailed, reason);
                self.events.push_back(Event::Failed(Fault::Again(failure)));
            }
        }
    }
}

/// The next thing that the program attached for this connection says; never, where there is none.
pub(crate) async fn said_by(link: &mut Option<Link>) -> Option<FromFace> {
    let line = link.as_mut().and_then(|link| link.line.as_mut());
    match line {
        Some(program) => program.said.recv().await.flatten(),
        None => std::future::pending().await,
    }
}
