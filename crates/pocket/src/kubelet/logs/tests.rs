use std::io::Write;

use futures::TryStreamExt;

use super::*;

fn id(run: u32) -> RunId {
    RunId {
        uid: "u1".to_owned(),
        container: "c".to_owned(),
        run,
    }
}

fn request(
    run: Run,
    tail_lines: Option<u64>,
    limit_bytes: Option<u64>,
    follow: Follow,
) -> LogRequest {
    LogRequest {
        namespace: "n".to_owned(),
        pod: "p".to_owned(),
        uid: "u1".to_owned(),
        container: "c".to_owned(),
        follow,
        run,
        tail_lines,
        since_seconds: None,
        limit_bytes,
    }
}

async fn read(logs: &Logs, request: LogRequest) -> Result<String, String> {
    let stream = logs
        .open(request)
        .await
        .map_err(|error| error.to_string())?;
    let pieces: Vec<Bytes> = stream
        .try_collect()
        .await
        .map_err(|error| error.to_string())?;
    String::from_utf8(pieces.concat()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn reads_runs_tails_and_limits() {
    let dir = tempfile::tempdir().expect("dir");
    let logs = Logs::new(dir.path().to_owned());
    let whole = request(Run::Current, None, None, Follow::No);
    assert!(
        read(&logs, whole.clone())
            .await
            .expect_err("none")
            .contains("waiting to start")
    );
    for run in 0..4 {
        writeln!(logs.begin(&id(run)).expect("log"), "run {run}\nmore").expect("write");
        logs.end(&id(run));
    }
    assert_eq!(read(&logs, whole).await.expect("log"), "run 3\nmore\n");
    assert_eq!(
        read(&logs, request(Run::Previous, None, None, Follow::No))
            .await
            .expect("log"),
        "run 2\nmore\n"
    );
    assert!(!logs.path(&id(1)).exists(), "only the last two are kept");
    for (lines, expect) in [
        (0, ""),
        (1, "more\n"),
        (2, "run 3\nmore\n"),
        (9, "run 3\nmore\n"),
    ] {
        assert_eq!(
            read(&logs, request(Run::Current, Some(lines), None, Follow::No))
                .await
                .expect("log"),
            expect
        );
    }
    assert_eq!(
        read(&logs, request(Run::Current, None, Some(3), Follow::No))
            .await
            .expect("log"),
        "run"
    );
    logs.forget("u1");
    assert!(!dir.path().join("u1").exists());
}

#[tokio::test]
async fn following_ends_with_the_run() {
    let dir = tempfile::tempdir().expect("dir");
    let logs = Logs::new(dir.path().to_owned());
    let mut file = logs.begin(&id(0)).expect("log");
    writeln!(file, "first").expect("write");
    let mut stream = logs
        .open(request(Run::Current, None, None, Follow::Yes))
        .await
        .expect("opens");
    assert_eq!(
        stream.try_next().await.expect("read").as_deref(),
        Some(&b"first\n"[..])
    );
    writeln!(file, "second").expect("write");
    logs.end(&id(0));
    assert_eq!(
        stream.try_next().await.expect("read").as_deref(),
        Some(&b"second\n"[..])
    );
    assert_eq!(stream.try_next().await.expect("read"), None);
}

#[tokio::test]
async fn a_log_that_grew_too_large_is_emptied() {
    let dir = tempfile::tempdir().expect("dir");
    let logs = Logs::new(dir.path().to_owned());
    let mut file = logs.begin(&id(0)).expect("log");
    file.set_len(SIZE_MAX + 1).expect("grow");
    logs.trim();
    writeln!(file, "after").expect("write");
    assert_eq!(
        read(&logs, request(Run::Current, None, None, Follow::No))
            .await
            .expect("log"),
        "after\n"
    );
}
