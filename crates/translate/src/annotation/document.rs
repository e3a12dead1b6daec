//! The reference of annotations as people read it, written from the one table.

use super::State;
use super::table::{Group, Row, Scope, Spelling, Text, groups};
use std::fmt::Write;

/// A language of the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The variants are the languages' names.
pub enum Language {
    English,
    Chinese,
}

/// The reference in Markdown: every annotation with its value, default, meaning, scope and state.
pub fn annotations(language: Language) -> String {
    let mut text = head(language).to_owned();
    for group in groups() {
        section(&mut text, group, language);
    }
    text
}

fn head(language: Language) -> &'static str {
    match language {
        Language::English => {
            "# Annotations\n\n\
            <!-- Made by `cargo xtask docs` from crates/translate/src/annotation/table: change the rows there. -->\n\n\
            Every annotation of ingress-nginx and of the original system, and what it does here.\n\n\
            Write them with the prefix `nginx.ingress.kubernetes.io/`, `mse.ingress.kubernetes.io/` or `tidegate.io/`, in \
            this order of precedence; those marked * only with the latter two. A value that does not fit is an Event that says \
            what would, and is ignored alone; where it guards routes they answer 503 instead of being open.\n\n\
            * **works**: as the row says. **≠** says where that differs from ingress-nginx or the original.\n\
            * **not yet**: recognised, reported, without effect. **closed**: the same, but it guards the routes, so they \
            answer 503.\n\
            * **not needed**: without effect, and nothing is lost. **refused**: never used; the row says what to do instead.\n\n\
            [`tidegate migrate ingress-nginx`](migrate.md) says the same of manifests of yours.\n"
        }
        Language::Chinese => {
            "# 注解\n\n\
            <!-- 由 `cargo xtask docs` 从 crates/translate/src/annotation/table 生成：请修改那里的行。 -->\n\n\
            ingress-nginx 与原系统的全部注解及其在此处的作用。\n\n\
            前缀为 `nginx.ingress.kubernetes.io/`、`mse.ingress.kubernetes.io/` 或 `tidegate.io/`，优先级依此顺序；带 * 的只能用后两种。\
            不合适的值会产生一个 Event，说明什么值合适，并且只忽略它自己；若它保护路由，则路由回答 503，而不是敞开。\n\n\
            * **有效**：如该行所述；**≠** 说明与 ingress-nginx 或原系统的差别。\n\
            * **尚未**：能识别、会报告，但没有作用。**关闭**：同上，但它保护路由，因此路由回答 503。\n\
            * **不需要**：没有作用，也不损失什么。**拒绝**：从不使用；该行说明应改用什么。\n\n\
            [`tidegate migrate ingress-nginx`](migrate.md) 对您自己的清单给出同样的结论。\n"
        }
    }
}

fn section(text: &mut String, group: &Group, language: Language) {
    let columns = match language {
        Language::English => "| annotation | value | default | meaning | of | state |",
        Language::Chinese => "| 注解 | 值 | 默认 | 含义 | 属于 | 状态 |",
    };
    let title = pick(group.title, language);
    let _ = write!(
        text,
        "\n## {title}\n\n{columns}\n|---|---|---|---|---|---|\n"
    );
    for row in group.rows {
        line(text, row, language);
    }
}

fn line(text: &mut String, row: &Row, language: Language) {
    let own = match row.spelling {
        Spelling::Both => "",
        Spelling::Own => "\\*",
    };
    let (en, zh) = row.kind.describe();
    let value = match language {
        Language::English => en,
        Language::Chinese => zh,
    };
    let default = match row.default {
        "" => String::new(),
        default => format!("`{default}`"),
    };
    let meaning = pick(row.meaning, language);
    let differs = row.differs.map(|differs| pick(differs, language));
    let differs = match (differs, row.state) {
        (None, _) => String::new(),
        (Some(text), State::Works(_)) => format!(". **≠** {text}"),
        (Some(text), _) => format!(". {text}"),
    };
    let scope = match (row.scope, language) {
        (Scope::Ingress, _) => "Ingress",
        (Scope::Service, _) => "Service",
        (Scope::Domain, Language::English) => "host",
        (Scope::Domain, Language::Chinese) => "主机",
    };
    let state = match (row.state, language) {
        (State::Works(_), Language::English) => "works",
        (State::NotYet, Language::English) => "not yet",
        (State::Guards, Language::English) => "closed",
        (State::Needless, Language::English) => "not needed",
        (State::Refused, Language::English) => "refused",
        (State::Works(_), Language::Chinese) => "有效",
        (State::NotYet, Language::Chinese) => "尚未",
        (State::Guards, Language::Chinese) => "关闭",
        (State::Needless, Language::Chinese) => "不需要",
        (State::Refused, Language::Chinese) => "拒绝",
    };
    let name = row.name;
    let _ = writeln!(
        text,
        "| `{name}`{own} | {value} | {default} | {meaning}{differs} | {scope} | {state} |"
    );
}

fn pick(text: Text, language: Language) -> &'static str {
    match language {
        Language::English => text.en,
        Language::Chinese => text.zh,
    }
}
