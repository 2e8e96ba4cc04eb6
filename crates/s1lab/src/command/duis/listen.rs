//! `s1lab duis listen`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use lab::listen::{Listener, Manner};
use serde_json::json;

use crate::args::Global;
use crate::failure::Failure;
use crate::output;

/// What the command line asks for.
pub(crate) struct Wanted {
    pub(crate) bind: SocketAddr,
    pub(crate) path: String,
    pub(crate) cert: Vec<PathBuf>,
    pub(crate) status: Option<u16>,
    pub(crate) boxed: bool,
    pub(crate) xml: bool,
}

pub(crate) fn run(global: &Global, wanted: &Wanted) -> Result<(), Failure> {
    let manner = match (wanted.status, wanted.boxed) {
        (Some(status), _) => Manner::Always(status),
        (None, true) => Manner::DccBoxed,
        (None, false) => Manner::Strict,
    };
    if !wanted.path.starts_with('/') {
        return Err(Failure::Input(anyhow::anyhow!(
            "--path: expected a path such as /smartdcc/duis, found {:?}",
            wanted.path
        )));
    }
    let mut certificates = BTreeMap::new();
    for path in &wanted.cert {
        certificates.insert(path.display().to_string(), output::read_text(path)?);
    }
    super::super::runtime()?.block_on(async {
        let shutdown = super::super::up::on_interrupt()?;
        let dcc = super::super::config(global)?.dcc.eui;
        let (listener, mut heard) = Listener::bind(wanted.bind, &wanted.path, manner, dcc, certificates)
            .await
            .map_err(Failure::start)?;
        let address = listener.address().map_err(Failure::start)?;
        eprintln!("listening on http://{address}{}; interrupt to stop", wanted.path);
        let print = async {
            while let Some(received) = heard.recv().await {
                if global.json {
                    output::line(
                        json!({
                            "status": received.status, "words": received.words,
                            "xml": String::from_utf8_lossy(&received.xml),
                        })
                        .to_string(),
                    );
                    continue;
                }
                output::line(format!("{}  {}", received.status, received.words));
                if wanted.xml {
                    output::line(String::from_utf8_lossy(&received.xml));
                }
            }
        };
        let (served, ()) = tokio::join!(listener.run(shutdown), print);
        served.map_err(Failure::start)
    })
}
