//! `s1lab duis send`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use lab::listen::Listener;
use lab::user_http::{self, Files, Inbox};

use super::super::{client, config, runtime};
use crate::args::{Global, SendOver};
use crate::failure::Failure;
use crate::output;

/// How long to pause between two looks at what waits for the user, in milliseconds.
const FETCH_PAUSE_MS: u64 = 250;
/// Deliveries fetched at once.
const FETCH_MAX: u32 = 100;

/// Has a running lab send it as one of its users.
pub(crate) fn by_the_lab(global: &Global, xml: Vec<u8>, wait: u64) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let mut client = client(global).await?;
        let reply = client
            .send(xml, "", wait.saturating_mul(1000))
            .await
            .map_err(Failure::input)?;
        eprintln!("{} answered with HTTP {}", reply.request_id, reply.http_status);
        if reply.outcome_xml.is_empty() {
            output::octets(&reply.acknowledgement_xml)?;
        } else {
            output::octets(&reply.outcome_xml)?;
        }
        output::line("");
        if reply.timed_out {
            eprintln!("no outcome within {wait} s; look at: s1lab audit {}", reply.request_id);
            return Err(Failure::Checks);
        }
        Ok(())
    })
}

/// Posts it to a front door as a user outside the lab, and waits for the outcome by call-back or by fetching.
pub(crate) fn over_http(global: &Global, xml: &[u8], wait: u64, to: &str, over: &SendOver) -> Result<(), Failure> {
    let files = files(global, to, over)?;
    runtime()?.block_on(async {
        let stop = super::super::up::on_interrupt()?;
        let (user, inbox, task) = user_http::user_of(&files).map_err(Failure::input)?;
        let running = tokio::spawn(task.run(stop.clone()));
        let listening = match over.bind {
            Some(address) => Some(tokio::spawn(
                listen(address, &over.path, inbox.clone()).await?.run(stop.clone()),
            )),
            None => None,
        };
        let asked = user_http::ask(&user, xml, wait.saturating_mul(1000));
        let own = user.eui().to_string();
        let exchange = tokio::select! {
            biased;
            exchange = asked => exchange,
            failure = fetch(global, &own, &inbox), if listening.is_none() => {
                return Err(failure);
            }
        };
        stop.cancel();
        let _ = running.await;
        if let Some(listening) = listening {
            let _ = listening.await;
        }
        let exchange = exchange.map_err(Failure::input)?;
        eprintln!("{} ended with {}", exchange.id, exchange.code());
        let document = exchange
            .outcome
            .as_ref()
            .map_or(&exchange.reply.xml, |outcome| &outcome.xml);
        output::octets(document)?;
        output::line("");
        Ok(())
    })
}

fn files(global: &Global, to: &str, over: &SendOver) -> Result<Files, Failure> {
    let text = |path: &Option<PathBuf>| path.as_ref().map(|path| output::read_text(path)).transpose();
    let needed = |path: &Option<PathBuf>, name: &str| {
        text(path)?.ok_or_else(|| Failure::Input(anyhow::anyhow!("--to needs {name} FILE: the user signs for itself")))
    };
    let mut trusted = BTreeMap::new();
    for path in &over.trust {
        trusted.insert(path.display().to_string(), output::read_text(path)?);
    }
    Ok(Files {
        front_door: to.to_owned(),
        dcc: config(global)?.dcc.eui.to_string(),
        key: needed(&over.key, "--key")?,
        certificate: needed(&over.cert, "--cert")?,
        trusted,
        tls: text(&over.tls_cert)?.zip(text(&over.tls_key)?),
        authorities: text(&over.authority)?,
    })
}

async fn listen(address: SocketAddr, path: &str, inbox: Inbox) -> Result<Listener, Failure> {
    let (listener, _) = Listener::for_user(address, path, inbox).await.map_err(Failure::start)?;
    let bound = listener.address().map_err(Failure::start)?;
    eprintln!("listening on http://{bound}{path}");
    Ok(listener)
}

/// Gives the client what waits for the user at the lab, until the request has ended. Ends only by a failure.
async fn fetch(global: &Global, user: &str, inbox: &Inbox) -> Failure {
    let mut lab = match client(global).await {
        Ok(lab) => lab,
        // Without a lab to fetch from there may still be an answer in the same exchange.
        Err(_) => std::future::pending().await,
    };
    loop {
        let waiting = match lab.fetch(user, FETCH_MAX).await {
            Ok(waiting) => waiting,
            Err(error) => return Failure::input(error),
        };
        let mut taken = Vec::new();
        for one in waiting {
            if inbox.take(one.xml).await == 204 {
                taken.push(one.delivery_id);
            }
        }
        if !taken.is_empty()
            && let Err(error) = lab.fetched(user, taken).await
        {
            return Failure::input(error);
        }
        user_http::pause(FETCH_PAUSE_MS).await;
    }
}
