//! `s1lab vend`.

use control::messages::VendRequest;
use serde_json::json;

use crate::args::{Global, Vend};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(global: &Global, args: &Vend) -> Result<(), Failure> {
    let pence = pence(&args.pounds)?;
    super::runtime()?.block_on(async {
        let mut client = super::client(global).await?;
        let user = match &args.user {
            Some(user) => user.clone(),
            None => {
                let status = client.status().await.map_err(Failure::input)?;
                let first = status.users.into_iter().next();
                first.map(|user| user.eui).unwrap_or_default()
            }
        };
        let request = VendRequest {
            user,
            device: args.device.clone(),
            pence,
            for_the_keys: args.keypad,
            wait_ms: args.wait.saturating_mul(1_000),
        };
        let vended = client.vend(request).await.map_err(Failure::input)?;
        if global.json {
            output::json(&json!({ "request_id": vended.request_id, "code": vended.utrn }));
        } else if vended.utrn.is_empty() {
            eprintln!(
                "no code was told within {} s; the vend is {}",
                args.wait, vended.request_id
            );
        } else {
            output::line(vended.utrn);
            eprintln!("audit it with: s1lab audit {}", vended.request_id);
        }
        Ok(())
    })
}

/// Pounds with at most two decimals, as pence.
fn pence(text: &str) -> Result<u32, Failure> {
    let (pounds, pence) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    let read = (digits(pounds) && digits(pence) && pence.len() <= 2).then(|| {
        let scale = if pence.len() == 1 { 10 } else { 1 };
        let pence = pence.parse::<u32>().ok()?.checked_mul(scale)?;
        pounds.parse::<u32>().ok()?.checked_mul(100)?.checked_add(pence)
    });
    read.flatten().ok_or_else(|| {
        Failure::Input(anyhow::anyhow!(
            "expected an amount in pounds such as 10 or 12.50, found {text:?}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_to_the_penny() {
        for (text, expected) in [
            ("10", Some(1_000)),
            ("12.50", Some(1_250)),
            ("12.5", Some(1_250)),
            ("0.05", Some(5)),
            ("1.005", None),
            ("-1", None),
            ("99999999999", None),
            ("", None),
        ] {
            assert_eq!(pence(text).ok(), expected, "{text}");
        }
    }
}
