//! Label selectors.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

type Labels = BTreeMap<String, String>;

/// Whether `labels` satisfy `selector`. An empty selector, or one with an unknown operator, matches nothing:
/// a controller must not take over what nobody clearly gave it.
pub(crate) fn matches(selector: &LabelSelector, labels: Option<&Labels>) -> bool {
    let none = Labels::new();
    let labels = labels.unwrap_or(&none);
    let pairs = selector.match_labels.as_ref();
    let expressions = selector.match_expressions.as_deref().unwrap_or_default();
    if pairs.is_none_or(BTreeMap::is_empty) && expressions.is_empty() {
        return false;
    }
    pairs.is_none_or(|pairs| matches_pairs(pairs, labels))
        && expressions.iter().all(|expression| {
            let value = labels.get(&expression.key);
            let listed = |value: &String| expression.values.iter().flatten().any(|v| v == value);
            match expression.operator.as_str() {
                "In" => value.is_some_and(listed),
                "NotIn" => !value.is_some_and(listed),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

/// Whether `labels` contain every pair.
pub(crate) fn matches_pairs(pairs: &Labels, labels: &Labels) -> bool {
    pairs
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

    use super::*;

    fn check(operator: &str, values: &[&str], expect: bool) {
        let labels = Labels::from([("app".to_owned(), "shop".to_owned())]);
        let selector = LabelSelector {
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: "app".to_owned(),
                operator: operator.to_owned(),
                values: Some(values.iter().map(|v| (*v).to_owned()).collect()),
            }]),
            match_labels: None,
        };
        assert_eq!(
            matches(&selector, Some(&labels)),
            expect,
            "{operator} {values:?}"
        );
    }

    #[test]
    fn operators() {
        check("In", &["shop", "other"], true);
        check("In", &["other"], false);
        check("NotIn", &["other"], true);
        check("NotIn", &["shop"], false);
        check("Exists", &[], true);
        check("DoesNotExist", &[], false);
        check("Unheard", &[], false);
        assert!(
            !matches(&LabelSelector::default(), None),
            "empty selects nothing"
        );
    }
}
