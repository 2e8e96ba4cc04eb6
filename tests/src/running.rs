//! The built program, and a lab that it runs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::PATIENCE_S;

/// The `s1lab` program beside the running test. `cargo test --workspace` builds it, as it builds every program whose
/// package has integration tests.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn program() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    let folder = here.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let program = folder.join(format!("s1lab{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "{} is not built: run `cargo test --workspace`, or `cargo build -p s1lab` first",
        program.display()
    );
    program
}

/// What a command said.
#[derive(Debug)]
pub struct Answer {
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started.
pub fn run(command: &mut Command) -> anyhow::Result<Answer> {
    let output = command
        .output()
        .with_context(|| format!("start {}", command.get_program().to_string_lossy()))?;
    Ok(Answer {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A port that was free a moment ago, for addresses that must be the same after a restart.
///
/// # Errors
/// When there is none.
pub fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// What the arguments leave open, on ports that the system chooses.
fn free_ports(arguments: &[&str]) -> Vec<&'static str> {
    let open = |name: &&'static str| !arguments.contains(name);
    let options = ["--duis", "--control", "--lookup"].into_iter().filter(open);
    options.flat_map(|name| [name, "127.0.0.1:0"]).collect()
}

/// `s1lab up` in a process of its own, with free ports and its state in a folder of the test's. It is killed when dropped.
pub struct RunningLab {
    child: Child,
    state: PathBuf,
    addresses: BTreeMap<String, String>,
    said: Receiver<String>,
    reader: Option<JoinHandle<()>>,
}

impl RunningLab {
    /// Starts one with its state in `state` and further arguments of `s1lab up`; waits until it listens.
    ///
    /// # Errors
    /// When it does not start; with all it said.
    pub fn start(state: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(program())
            .arg("up")
            .arg("--state")
            .arg(state)
            .args(arguments)
            .args(free_ports(arguments))
            .env_remove("S1LAB_LAB")
            .env_remove("S1LAB_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start s1lab up")?;
        let stderr = child.stderr.take().context("standard error of s1lab up")?;
        let (sender, said) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Whatever is said after the start is for whoever looks; a test may have stopped looking.
                drop(sender.send(line));
            }
        });
        let mut lab = Self {
            child,
            state: state.to_owned(),
            addresses: BTreeMap::new(),
            said,
            reader: Some(reader),
        };
        lab.wait_until_it_listens()?;
        Ok(lab)
    }

    fn wait_until_it_listens(&mut self) -> anyhow::Result<()> {
        let mut heard = Vec::new();
        loop {
            let Ok(line) = self.said.recv_timeout(Duration::from_secs(PATIENCE_S)) else {
                bail!("s1lab up did not start: {heard:#?}");
            };
            if line.contains("interrupt to stop") {
                return Ok(());
            }
            if let [name, address] = line.split_whitespace().collect::<Vec<_>>()[..] {
                self.addresses.insert(name.to_owned(), address.to_owned());
            }
            heard.push(line);
        }
    }

    /// Where one of its listeners is bound: `duis`, `control`.
    ///
    /// # Errors
    /// When it printed no such address.
    pub fn address(&self, name: &str) -> anyhow::Result<&str> {
        let address = self.addresses.get(name);
        Ok(address.with_context(|| format!("no address {name} in {:?}", self.addresses))?)
    }

    /// Runs another command against it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<Answer> {
        run(Command::new(program())
            .env_remove("S1LAB_LAB")
            .env_remove("S1LAB_CONFIG")
            // What a test keeps beside the state folder can be named without a path.
            .current_dir(self.state.parent().unwrap_or(&self.state))
            .arg("--state")
            .arg(&self.state)
            .args(arguments))
    }

    /// Runs a command that must succeed, with `--json`, and reads what it prints.
    ///
    /// # Errors
    /// When it fails or prints no JSON.
    pub fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let answer = self.command(&[&["--json"], arguments].concat())?;
        ensure!(answer.code == Some(0), "{arguments:?}: {answer:?}");
        serde_json::from_str(&answer.out).with_context(|| format!("{arguments:?}: {}", answer.out))
    }

    /// The first device of a kind that the S1SP operates.
    ///
    /// # Errors
    /// When there is none.
    pub fn device(&self, kind: &str) -> anyhow::Result<String> {
        let devices = self.json(&["device", "list"])?;
        let found = devices
            .as_array()
            .into_iter()
            .flatten()
            .find(|device| device["kind"] == kind && device["enrolled"] == true);
        let id = found.and_then(|device| device["device"].as_str());
        Ok(id.with_context(|| format!("no {kind} in {devices}"))?.to_owned())
    }

    /// Its state folder.
    #[must_use]
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Asks it to end, as `kill` does, and gives its exit code.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn terminate(mut self) -> anyhow::Result<Option<i32>> {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status()?;
        ensure!(asked.success(), "kill -TERM {pid}");
        Ok(self.child.wait()?.code())
    }

    /// Ends it at once, as `kill -9` does.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for RunningLab {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}
