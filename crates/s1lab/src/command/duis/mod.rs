//! `s1lab duis`.

mod deliveries;
mod exercise;
mod listen;
mod make;
mod plan;
mod quarantine;
mod send;

use lab::messages;
use serde_json::json;

use crate::args::{Duis, Global};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(global: &Global, args: Duis) -> Result<(), Failure> {
    match args {
        Duis::Templates { write } => make::templates(global, write.as_deref()),
        Duis::New {
            srv,
            device,
            user,
            with,
        } => make::new(
            global,
            &lab::drafting::Asked {
                srv,
                device,
                user,
                with,
            },
        ),
        Duis::Explain { word } => plan::explain(global, &word),
        Duis::Listen {
            bind,
            path,
            cert,
            status,
            boxed,
            xml,
        } => listen::run(
            global,
            &listen::Wanted {
                bind,
                path,
                cert,
                status,
                boxed,
                xml,
            },
        ),
        Duis::Quarantine { release, delete } => quarantine::run(global, release, delete),
        Duis::Sign { file, key, cert } => {
            let signed = messages::sign(
                &output::read(&file)?,
                &output::read_text(&key)?,
                &output::read_text(&cert)?,
            );
            output::octets(&signed.map_err(Failure::input)?)
        }
        Duis::Verify { file, cert } => {
            let mut certificates = Vec::with_capacity(cert.len());
            for path in &cert {
                certificates.push((path.display().to_string(), output::read_text(path)?));
            }
            verify(global, &output::read(&file)?, &certificates)
        }
        Duis::Plan {
            request,
            profile,
            shelf,
        } => plan::run(global, &request, profile.as_deref(), &shelf),
        Duis::DeadLetters => deliveries::dead_letters(global),
        Duis::DeliverAgain { user, delivery, since } => deliveries::again(global, &user, delivery, since.as_deref()),
        Duis::Fetch { user, write, keep, max } => deliveries::fetch(global, &user, write.as_deref(), keep, max),
        Duis::ResetCounters { user } => super::runtime()?.block_on(async {
            super::client(global)
                .await?
                .reset_counters(&user)
                .await
                .map_err(Failure::input)
        }),
        Duis::Exercise {
            folder,
            made,
            expect,
            write,
        } => exercise::run(
            global,
            &exercise::Wanted {
                folder,
                made,
                expect,
                write,
            },
        ),
        Duis::Send { file, wait, to, over } => {
            let xml = output::read(&file)?;
            match to {
                Some(to) => send::over_http(global, &xml, wait, &to, &over),
                None => send::by_the_lab(global, xml, wait),
            }
        }
    }
}

fn verify(global: &Global, xml: &[u8], certificates: &[(String, String)]) -> Result<(), Failure> {
    let judged = match messages::verify(xml, certificates) {
        Ok(judged) => judged,
        Err(error @ (messages::Error::Signature { .. } | messages::Error::Message(_))) => {
            // The message was judged, and found wanting: that is a failed check, not bad usage.
            Failure::input(error).print();
            return Err(Failure::Checks);
        }
        Err(error) => return Err(Failure::input(error)),
    };
    if global.json {
        let signers = judged
            .signers
            .iter()
            .map(|(which, eui, serial)| json!({ "signature": which, "signer": eui.to_string(), "serial": serial }));
        output::json(
            &json!({ "message": format!("{:?}", judged.root), "about": judged.about, "signatures": signers.collect::<Vec<_>>() }),
        );
    } else {
        output::line(format!("{:?} {}", judged.root, judged.about));
        for (which, eui, serial) in &judged.signers {
            output::line(format!("{which} signature good: {eui}, certificate {serial}"));
        }
    }
    Ok(())
}
