//! The report as one HTML page for people who decide: nothing is loaded from elsewhere, and it can be printed.

use std::fmt::Write;

use tidegate_translate::verdict::Report;

use super::replay::Outcome;
use super::table::word;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
h1{font-size:1.6rem}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}table{border-collapse:collapse;width:100%}\
td,th{border-top:1px solid #d8dee4;padding:.35rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
code{font:13px ui-monospace,monospace}b{border-radius:.3rem;padding:.1rem .4rem;font-weight:600}\
.same{background:#d8f3dc}.different{background:#fff0c2}.refused{background:#ffd9d6}\
@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr{break-inside:avoid}\
b{border:1px solid #57606a}}";

/// The whole page.
pub(crate) fn page(report: &Report, outcome: Option<&Outcome>) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n\
         <title>Migration from ingress-nginx</title>\n<style>{STYLE}</style>\n\
         <h1>Migration from ingress-nginx to Tidegate</h1>\n"
    );
    let counts = report.counts;
    let _ = writeln!(
        page,
        "<p>{} {} objects, {} {}, {} {}</p>",
        mark("same"),
        counts.same,
        mark("different"),
        counts.different,
        mark("refused"),
        counts.refused
    );
    for object in &report.objects {
        let name = match object.namespace.as_str() {
            "" => object.name.clone(),
            namespace => format!("{namespace}/{}", object.name),
        };
        let _ = writeln!(
            page,
            "<h2>{} <code>{}</code> {}</h2>",
            object.kind,
            escape(&name),
            mark(word(object.verdict))
        );
        if object.findings.is_empty() {
            continue;
        }
        page.push_str("<table><tr><th><th>field<th>value<th>what\n");
        for finding in &object.findings {
            let _ = writeln!(
                page,
                "<tr><td>{}<td><code>{}</code><td><code>{}</code><td>{}",
                mark(word(finding.verdict)),
                escape(&finding.field),
                escape(finding.value.as_deref().unwrap_or_default()),
                escape(&finding.why)
            );
        }
        page.push_str("</table>\n");
    }
    if !report.notes.is_empty() {
        page.push_str("<h2>Notes</h2>\n<ul>\n");
        for note in &report.notes {
            let _ = writeln!(page, "<li>{}", escape(note));
        }
        page.push_str("</ul>\n");
    }
    if let Some(outcome) = outcome {
        replay(&mut page, outcome);
    }
    page
}

fn replay(page: &mut String, outcome: &Outcome) {
    let _ = writeln!(
        page,
        "<h2>Replay</h2>\n<p>{}</p>",
        escape(&outcome.summary())
    );
    let different = outcome
        .exchanges
        .iter()
        .filter(|exchange| !exchange.differences.is_empty());
    for exchange in different {
        let _ = writeln!(page, "<h2><code>{}</code></h2>", escape(&exchange.request));
        page.push_str("<table><tr><th><th>from<th>to\n");
        for difference in &exchange.differences {
            let _ = writeln!(
                page,
                "<tr><td>{}<td><code>{}</code><td><code>{}</code>",
                escape(&difference.what),
                escape(&difference.from),
                escape(&difference.to)
            );
        }
        page.push_str("</table>\n");
    }
}

fn mark(word: &str) -> String {
    format!("<b class=\"{word}\">{word}</b>")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tidegate_translate::verdict::{Manifests, judge};

    #[test]
    fn objects_cannot_write_html() {
        let mut manifests = Manifests::default();
        let ingress = json!({
            "kind": "Ingress", "apiVersion": "networking.k8s.io/v1",
            "metadata": { "name": "<script>", "annotations": {
                "nginx.ingress.kubernetes.io/no-such\"thing": "<img src=x onerror='alert(1)'>",
            } },
            "spec": { "ingressClassName": "nginx" },
        });
        manifests.take(ingress, None).unwrap();
        let page = page(&judge(&manifests, "nginx"), None);
        assert!(
            !page.contains("<script>") && !page.contains("<img"),
            "{page}"
        );
        assert!(
            page.contains("&lt;script&gt;") && page.contains("no-such&quot;thing"),
            "{page}"
        );
        assert!(
            !page.contains("http://") && !page.contains("https://"),
            "nothing is loaded: {page}"
        );
    }
}
