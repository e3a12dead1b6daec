//! `tidegate demo fail` and `heal`: one JSON line each way, over a socket in the demo's directory.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

use crate::values::Fault;

/// A request is a few dozen bytes.
const REQUEST_MAX: u64 = 1024;

/// Healing restarts a cluster; more than this means that the demo hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// What a second terminal may ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Request {
    /// Break a cluster.
    Fail {
        /// Which.
        cluster: String,
        /// How.
        fault: Fault,
    },
    /// Take it back.
    Heal {
        /// Which.
        cluster: String,
    },
}

/// What came of it: a sentence either way.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Answer {
    /// Done.
    Done(String),
    /// Not done.
    Refused(String),
}

/// A request and where its answer goes.
pub(crate) type Asked = (Request, oneshot::Sender<Answer>);

/// Serves the socket until the runtime ends.
///
/// # Errors
/// When the socket cannot be made.
pub(crate) fn serve(dir: &Path) -> anyhow::Result<mpsc::Receiver<Asked>> {
    let path = socket(dir);
    // Under the directory's lock nobody else listens here: what is left is a dead demo's.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).with_context(|| {
        format!("making the socket {} (its path may have about 100 characters: a shorter --data-dir helps)", path.display())
    })?;
    let (sender, receiver) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, sender.clone()));
        }
    });
    Ok(receiver)
}

async fn converse(stream: tokio::net::UnixStream, asked: mpsc::Sender<Asked>) {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(reader.take(REQUEST_MAX));
    let answer = match reader
        .read_line(&mut line)
        .await
        .map(|_| serde_json::from_str(&line))
    {
        Ok(Ok(request)) => {
            let (reply, answer) = oneshot::channel();
            if asked.send((request, reply)).await.is_err() {
                return;
            }
            answer
                .await
                .unwrap_or_else(|_| Answer::Refused("the demo is ending".to_owned()))
        }
        Ok(Err(error)) => Answer::Refused(format!("not understood: {error}")),
        Err(_) => return,
    };
    let mut json = serde_json::to_vec(&answer).unwrap_or_default();
    json.push(b'\n');
    // Whoever asked may be gone; the deed is done all the same.
    let _ = writer.write_all(&json).await;
}

/// Asks the demo that runs in `dir`.
///
/// # Errors
/// When none runs there, or it refuses.
pub(crate) fn ask(dir: &Path, request: &Request) -> anyhow::Result<ExitCode> {
    let path = socket(dir);
    let mut stream = UnixStream::connect(&path).with_context(|| {
        format!(
            "no demo runs in {}; start one with `tidegate demo`, or name its --data-dir",
            dir.display()
        )
    })?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    let mut json = serde_json::to_vec(request)?;
    json.push(b'\n');
    stream.write_all(&json).context("asking the demo")?;
    let mut line = String::new();
    BufReader::new(stream)
        .read_line(&mut line)
        .context("waiting for the demo's answer")?;
    match serde_json::from_str(&line).context("the demo ended before it answered")? {
        Answer::Done(text) => {
            println!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        Answer::Refused(text) => bail!(text),
    }
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}
