//! What values of annotations are, for people.

use super::table::Text;

/// What the value of an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    Bool,
    OnOff,
    /// A whole number from the first to the second.
    Integer(u32, u32),
    Seconds,
    /// Bytes, with a unit of nginx.
    Size,
    OneOf(&'static [&'static str]),
    /// Addresses and networks between commas.
    Ranges,
    /// One status.
    Code,
    /// Statuses between commas.
    Codes,
    RedirectCode,
    HeaderName,
    /// Header names between commas.
    Names,
    /// A word of RFC 9110 5.6.2: the name of a cookie, a parameter, a method.
    Token,
    Methods,
    Regex,
    Path,
    Url,
    Host,
    /// Hosts between commas.
    Hosts,
    /// A Service of the same namespace.
    Service,
    /// A Secret or a ConfigMap, as `name` or `namespace/name`.
    Object,
    Text,
    /// Texts between commas.
    Texts,
    /// One `name value` a line.
    Lines,
    /// Free text in another program's language.
    Snippet,
}

impl ValueKind {
    /// What fits, in a few words; those with choices list them.
    pub(crate) fn describe(self) -> (String, String) {
        let fixed = |en: &'static str, zh: &'static str| Text { en, zh };
        let text = match self {
            Self::Integer(low, high) => {
                let range = format!("{low}..{high}");
                return (format!("whole number, {range}"), format!("整数，{range}"));
            }
            Self::OneOf(choices) => {
                let list: Vec<String> = choices.iter().map(|word| format!("`{word}`")).collect();
                return (list.join(", "), list.join("、"));
            }
            Self::Bool => fixed("`true` or `false`", "`true` 或 `false`"),
            Self::OnOff => fixed("`on` or `off`", "`on` 或 `off`"),
            Self::Seconds => fixed("seconds", "秒数"),
            Self::Size => fixed("bytes, or with `k`, `m`, `g`", "字节数，可带 `k`、`m`、`g`"),
            Self::Ranges => fixed("addresses and CIDRs, by commas", "地址与 CIDR，逗号分隔"),
            Self::Code => fixed("HTTP status", "HTTP 状态码"),
            Self::Codes => fixed("HTTP statuses, by commas", "HTTP 状态码，逗号分隔"),
            Self::RedirectCode => fixed("status of a redirect", "重定向状态码"),
            Self::HeaderName => fixed("header name", "头的名字"),
            Self::Names => fixed("header names, by commas", "头的名字，逗号分隔"),
            Self::Token => fixed("one word", "一个词"),
            Self::Methods => fixed("HTTP methods", "HTTP 方法"),
            Self::Regex => fixed("regular expression", "正则表达式"),
            Self::Path => fixed("path", "路径"),
            Self::Url => fixed("URL", "URL"),
            Self::Host => fixed("host name", "主机名"),
            Self::Hosts => fixed("host names, by commas", "主机名，逗号分隔"),
            Self::Service => fixed("name of a Service", "Service 的名字"),
            Self::Object => fixed("`name` or `namespace/name`", "`name` 或 `namespace/name`"),
            Self::Text => fixed("text", "文本"),
            Self::Texts => fixed("texts, by commas", "文本，逗号分隔"),
            Self::Lines => fixed("one `name value` a line", "每行一个 `name value`"),
            Self::Snippet => fixed("free text", "自由文本"),
        };
        (text.en.to_owned(), text.zh.to_owned())
    }
}
