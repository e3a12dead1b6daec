//! `docs/ingress-compat.md`: which cases there are and how they come out.

use crate::case::{Outcome, Suite, suites};
use std::fmt::Write;
use std::path::Path;

/// A page in one language.
struct Page {
    file: &'static str,
    head: &'static str,
    columns: &'static str,
    case: &'static str,
    words: [&'static str; 3],
}

const PAGES: [Page; 2] = [
    Page {
        file: "ingress-compat.md",
        head: "# Other controllers' suites\n\n\
               <!-- Made by `cargo xtask docs` from crates/cli/testdata/ingress-compat: change the cases there. -->\n\n\
               What the suites of other Ingress controllers ask over HTTP, asked of this one: each case is named after the upstream \
               case that it corresponds to, and is run by `cargo test -p tidegate-cli --test ingress_compat` or by the test \
               that it names. Cases that only look into nginx's configuration file have no counterpart.\n\n\
               **same**: what upstream asks for happens. **different**: it is otherwise on purpose, and the case shows how. \
               **refused**: it is not done, and whoever asks is told.\n",
        columns: "| suite | cases that ask over HTTP | looked at | same | different | refused |",
        case: "| case | comes out | why, or where |",
        words: ["same", "different", "refused"],
    },
    Page {
        file: "zh/ingress-compat.md",
        head: "# 其他控制器的测试集\n\n*[English](../ingress-compat.md)*\n\n\
               <!-- Made by `cargo xtask docs` from crates/cli/testdata/ingress-compat: change the cases there. -->\n\n\
               其他 Ingress 控制器的测试集经 HTTP 所要求的行为，在这里逐一验证：每个用例以对应的上游用例命名，由 \
               `cargo test -p tidegate-cli --test ingress_compat` 或其所指的测试运行。只检查 nginx 配置文件的用例没有对应。\n\n\
               **相同**：与上游要求一致。**不同**：有意为之，用例展示实际行为。**拒绝**：不支持，并告知使用者。\n",
        columns: "| 测试集 | 经 HTTP 的用例 | 已验证 | 相同 | 不同 | 拒绝 |",
        case: "| 用例 | 结果 | 原因或位置 |",
        words: ["相同", "不同", "拒绝"],
    },
];

#[test]
fn the_report_says_what_the_cases_do() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let suites = suites();
    for page in PAGES {
        let text = write(&page, &suites);
        let file = docs.join(page.file);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let known = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            known == text,
            "{}: cargo xtask docs writes it anew",
            page.file
        );
    }
}

fn write(page: &Page, suites: &[Suite]) -> String {
    let mut text = format!(
        "{}\n{}\n|---|---|---|---|---|---|\n",
        page.head, page.columns
    );
    for suite in suites {
        let count = |wanted| {
            suite
                .cases
                .iter()
                .filter(|case| kind(case.outcome().unwrap()) == wanted)
                .count()
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            suite.name,
            suite.upstream,
            suite.cases.len(),
            count(0),
            count(1),
            count(2)
        );
    }
    for suite in suites {
        let _ = write!(
            text,
            "\n## {}\n\n{}\n|---|---|---|\n",
            suite.name, page.case
        );
        for case in &suite.cases {
            let outcome = case.outcome().unwrap();
            let word = page.words[kind(outcome)];
            let why = match outcome {
                Outcome::Same => String::new(),
                Outcome::Elsewhere(test) => format!("`{test}`"),
                Outcome::Different(why) | Outcome::Refused(why) => why.to_owned(),
            };
            let _ = writeln!(
                text,
                "| {} | {word} | {why} |",
                case.upstream.replace('|', "\\|")
            );
        }
    }
    text
}

fn kind(outcome: Outcome<'_>) -> usize {
    match outcome {
        Outcome::Same | Outcome::Elsewhere(_) => 0,
        Outcome::Different(_) => 1,
        Outcome::Refused(_) => 2,
    }
}
