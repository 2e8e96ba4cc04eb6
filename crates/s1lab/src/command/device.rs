//! `s1lab device`.

use std::path::Path;

use control::messages::{
    AddDevicesRequest, DeviceEntry, DeviceState, Faults, KeyInReply, PatchDeviceRequest, ShowDeviceReply,
};
use serde_json::{Value, json};

use crate::args::{Device, Global};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(global: &Global, args: Device) -> Result<(), Failure> {
    super::runtime()?.block_on(async {
        let mut client = super::client(global).await?;
        match args {
            Device::List => {
                let devices = client.devices().await.map_err(Failure::input)?;
                list(global, &devices);
            }
            Device::Show { id, secrets } => {
                let shown = client.device(&id, secrets).await.map_err(Failure::input)?;
                show(global, &shown);
            }
            Device::KeyIn { id, code, meter } => {
                let entered = client.key_in(&id, &code, &meter.unwrap_or_default()).await;
                let KeyInReply { refusal, waits } = entered.map_err(Failure::input)?;
                if global.json {
                    output::json(
                        &json!({ "device": id, "taken": refusal.is_empty(), "refusal": refusal, "waits": waits }),
                    );
                } else if waits {
                    output::line("entered: the gas meter hears of it when it wakes");
                } else if refusal.is_empty() {
                    output::line("taken");
                } else {
                    output::line(format!("not taken: {refusal}"));
                }
                if !refusal.is_empty() {
                    return Err(Failure::Checks);
                }
            }
            Device::Add { devices, registration } => {
                let request = AddDevicesRequest {
                    devices_file: devices.display().to_string(),
                    devices_csv: lab::files::read_text(&devices).map_err(Failure::input)?,
                    registration_file: named(registration.as_deref()),
                    registration_csv: registration
                        .as_deref()
                        .map(lab::files::read_text)
                        .transpose()
                        .map_err(Failure::input)?
                        .unwrap_or_default(),
                };
                let added = client.add_devices(request).await.map_err(Failure::input)?;
                list(global, &added);
            }
            Device::Remove { id } => {
                let gone = client.remove_device(&id).await.map_err(Failure::input)?;
                list(global, &gone);
            }
            Device::Patch {
                id,
                profile,
                payment_mode,
                supplier,
                faults,
            } => {
                let faults = faults.map(|mut names| {
                    names.retain(|name| name != "none");
                    Faults { names }
                });
                let request = PatchDeviceRequest {
                    device: id,
                    profile,
                    payment_mode,
                    supplier,
                    faults,
                };
                let patched = client.patch_device(request).await.map_err(Failure::input)?;
                list(global, &[patched]);
            }
            Device::Expose { id, listen } => {
                let address = client.expose(&id, &listen.to_string()).await.map_err(Failure::input)?;
                if global.json {
                    output::json(&json!({ "device": id, "address": address }));
                } else {
                    output::line(address);
                    eprintln!("a plain TCP port of the running lab, open until the lab stops; keys: s1lab device show {id} --secrets");
                }
            }
        }
        Ok(())
    })
}

fn named(path: Option<&Path>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

fn list(global: &Global, devices: &[DeviceEntry]) {
    if global.json {
        output::json(&devices.iter().map(entry).collect());
        return;
    }
    output::line(format!(
        "{:24} {:5} {:24} {:22} {:14} operated by",
        "device", "kind", "hub", "profile", "MPxN"
    ));
    for d in devices {
        let by = if d.enrolled { "s1sp" } else { "smso" };
        output::line(format!(
            "{:24} {:5} {:24} {:22} {:14} {by}",
            d.device, d.kind, d.hub, d.profile, d.mpxn
        ));
    }
}

fn entry(d: &DeviceEntry) -> Value {
    json!({ "device": d.device, "kind": d.kind, "hub": d.hub, "profile": d.profile, "mpxn": d.mpxn, "enrolled": d.enrolled })
}

fn show(global: &Global, shown: &ShowDeviceReply) {
    let associations = |with: fn(&control::messages::DeviceAssociation) -> Value| {
        shown.associations.iter().map(with).collect::<Vec<_>>()
    };
    if global.json {
        let mut value = shown.entry.as_ref().map_or_else(|| json!({}), entry);
        value["manufacturer"] = json!(shown.manufacturer);
        value["model"] = json!(shown.model);
        value["firmware"] = json!(shown.firmware);
        value["family"] = json!(shown.family);
        value["confidence"] = json!(shown.confidence);
        value["approval_key"] = json!(shown.approval_key);
        value["associations"] = json!(associations(|a| {
            json!({
                "name": a.name, "client_sap": a.client_sap, "server_sap": a.server_sap, "authentication": a.authentication,
                "party": a.party, "password": a.password, "authentication_key": a.authentication_key,
                "encryption_key": a.encryption_key,
            })
        }));
        let rules = shown.rules.iter().map(|r| {
            json!({ "id": r.id, "side": r.side, "text": r.text, "confidence": r.confidence, "source": r.source, "clause": r.clause })
        });
        value["rules"] = rules.collect();
        value["state"] = shown.state.as_ref().map_or(Value::Null, state);
        output::json(&value);
        return;
    }
    if let Some(d) = &shown.entry {
        output::line(format!("{} {} {}", d.device, d.kind, d.profile));
        output::line(format!(
            "hub {}  MPxN {}  operated by {}",
            d.hub,
            d.mpxn,
            if d.enrolled { "s1sp" } else { "smso" }
        ));
    }
    output::line(format!(
        "{} {} firmware {}  family {}  weakest confidence {}",
        shown.manufacturer, shown.model, shown.firmware, shown.family, shown.confidence
    ));
    if let Some(state) = &shown.state {
        show_state(state);
    }
    output::line("\nassociations");
    for a in &shown.associations {
        let keys = [
            ("password", &a.password),
            ("authentication key", &a.authentication_key),
            ("encryption key", &a.encryption_key),
        ];
        let keys: Vec<String> = keys
            .iter()
            .filter(|(_, key)| !key.is_empty())
            .map(|(name, key)| format!("{name} {key}"))
            .collect();
        output::line(format!(
            "  {:11} client {:3} server {:2}  {:9} {:5} {}",
            a.name,
            a.client_sap,
            a.server_sap,
            a.authentication,
            a.party,
            keys.join("  ")
        ));
    }
    if !shown.approval_key.is_empty() {
        output::line(format!("  approval key of the DCO: {}", shown.approval_key));
    }
    output::line("\nrules");
    for r in &shown.rules {
        output::line(format!(
            "  {:28} {:6} {:9} {}\n{:31}{}",
            r.id, r.side, r.confidence, r.text, "", r.source
        ));
    }
}

fn state(state: &DeviceState) -> Value {
    let screen = state.screen.as_ref().map(|screen| {
        let items = screen.items.iter().map(|item| {
            json!({ "fuel": item.fuel, "item": item.item, "value": item.value, "at": lab::time_text(item.at_ms) })
        });
        let messages = screen.messages.iter().map(|message| {
            json!({ "at": lab::time_text(message.at_ms), "text": message.text, "acknowledged": message.acknowledged })
        });
        json!({
            "joined": screen.joined, "blocked": screen.blocked,
            "items": items.collect::<Vec<_>>(), "messages": messages.collect::<Vec<_>>(),
        })
    });
    json!({
        "party": state.party, "epoch": state.epoch, "connected_to": state.connected_to, "pending": state.pending,
        "screen": screen,
    })
}

fn show_state(state: &DeviceState) {
    let connected = if state.connected_to.is_empty() {
        "not connected".to_owned()
    } else {
        format!("connected to {}", state.connected_to)
    };
    output::line(format!(
        "keys of {} in epoch {}  hub {connected}, {} to tell",
        state.party, state.epoch, state.pending
    ));
    let Some(screen) = &state.screen else { return };
    output::line(match (screen.joined, screen.blocked) {
        (false, _) => "\nshows nothing: it does not take part in the home area network",
        (true, true) => "\nshows a message that nobody has acknowledged, and behind it",
        (true, false) => "\nshows",
    });
    for item in &screen.items {
        let at = lab::time_text(item.at_ms);
        output::line(format!("  {:11} {:22} {:>16}  {at}", item.fuel, item.item, item.value));
    }
    for message in &screen.messages {
        output::line(format!("  {}  {}", lab::time_text(message.at_ms), message.text));
    }
}
