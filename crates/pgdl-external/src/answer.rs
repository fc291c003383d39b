//! From what a program printed to descriptions and values. Nothing of it is believed.

use pgdl_measure::{MeasureError, Measured};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::protocol::{Introduction, PROTOCOL, Reply, ReplyStatus};
use crate::words::tame;

/// Longest reason or text that is kept, in characters.
const LONGEST_TEXT: usize = 2_000;
/// Most layers or details that are kept.
const MOST_PARTS: usize = 10_000;

/// Reads what `describe` printed.
pub(crate) fn introduction(printed: &[u8]) -> Result<Introduction, String> {
    #[derive(Deserialize)]
    struct Envelope {
        protocol: u32,
    }
    let Envelope { protocol } = json(printed)?;
    if protocol != PROTOCOL {
        return Err(format!("it speaks protocol {protocol}, and this pgdl protocol {PROTOCOL}"));
    }
    let introduction: Introduction = json(printed)?;
    if introduction.measures.is_empty() {
        return Err("it names no measure".to_owned());
    }
    for measure in &introduction.measures {
        let Some(text) = [&measure.title, &measure.formula].into_iter().find(|text| text.trim().is_empty())
        else {
            continue;
        };
        let what = if std::ptr::eq(text, &measure.title) { "title" } else { "formula" };
        return Err(format!("its measure `{}` has no {what}", tame(&measure.id, 60)));
    }
    Ok(introduction)
}

/// Reads what `evaluate` printed.
pub(crate) fn measured(printed: &[u8]) -> Result<Measured, MeasureError> {
    let broken =
        |reason: String| MeasureError::Failed(format!("the program's answer cannot be used: {reason}"));
    let reply: Reply = json(printed).map_err(broken)?;
    let reason =
        reply.reason.as_deref().map(|reason| tame(reason, LONGEST_TEXT)).filter(|text| !text.is_empty());
    let without_value = |status: &str| match (&reason, reply.value) {
        (_, Some(_)) => Err(broken(format!("it gives a value with the status {status}"))),
        (None, None) => Err(broken(format!("it gives the status {status} without a reason"))),
        (Some(reason), None) => Ok(reason.clone()),
    };
    match reply.status {
        ReplyStatus::Undefined => return Err(MeasureError::Undefined(without_value("undefined")?)),
        ReplyStatus::Unavailable => return Err(MeasureError::Unavailable(without_value("unavailable")?)),
        ReplyStatus::Failed => return Err(MeasureError::Failed(without_value("failed")?)),
        ReplyStatus::Ok => {}
    }
    let value = reply.value.ok_or_else(|| broken("it holds no value and no status".to_owned()))?;
    if reply.standard_error.is_some_and(|error| error < 0.0) {
        return Err(broken("its standard error is negative".to_owned()));
    }
    if reply.layers.len() > MOST_PARTS || reply.details.len() > MOST_PARTS {
        return Err(broken(format!("it has more than {MOST_PARTS} layers or details")));
    }
    Ok(Measured { value, standard_error: reply.standard_error, layers: reply.layers, details: reply.details })
}

/// One JSON value and nothing else.
fn json<T: DeserializeOwned>(printed: &[u8]) -> Result<T, String> {
    if printed.iter().all(u8::is_ascii_whitespace) {
        return Err("it printed nothing".to_owned());
    }
    serde_json::from_slice(printed).map_err(|error| {
        let text = tame(&String::from_utf8_lossy(printed), 80);
        let mut message = format!("{error} in `{text}`");
        if ["NaN", "Infinity"].iter().any(|constant| text.contains(constant)) {
            message.push_str(
                "; NaN and infinities are no JSON: a formula without a value has the status undefined",
            );
        }
        message
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_alone_is_an_answer() {
        assert_eq!(measured(b"{\"value\": 0.1}\n").unwrap(), Measured::value(0.1));
        let full =
            br#"{"status":"ok","value":-2,"standard_error":0.5,"layers":[{"layer":"dense","value":1.0}],
            "details":{"draws":3,"variant":"as_coded"}}"#;
        let full = measured(full).unwrap();
        assert_eq!(
            (full.value, full.standard_error, full.layers.len(), full.details.len()),
            (-2.0, Some(0.5), 1, 2)
        );
    }

    #[test]
    fn statuses_come_with_their_reasons() {
        let error = |text: &str| measured(text.as_bytes()).unwrap_err();
        assert_eq!(
            error(r#"{"status":"undefined","reason":"log of 0\u001b[1m"}"#),
            MeasureError::Undefined("log of 0 [1m".to_owned())
        );
        assert_eq!(error(r#"{"status":"unavailable","reason":"x"}"#).status(), "unavailable");
        assert_eq!(error(r#"{"status":"failed","reason":"x"}"#).status(), "failed");
    }

    #[test]
    fn what_is_no_answer_is_a_failure_that_says_why() {
        for (printed, reason) in [
            ("", "printed nothing"),
            ("{}", "no value"),
            ("3", "invalid type"),
            ("hello", "expected value"),
            (r#"{"value":1}{"value":2}"#, "trailing characters"),
            (r#"{"value":NaN}"#, "no JSON"),
            (r#"{"value":-Infinity}"#, "no JSON"),
            (r#"{"value":1,"valeu":2}"#, "unknown field `valeu`"),
            (r#"{"value":1,"standard_error":-1}"#, "negative"),
            (r#"{"status":"undefined"}"#, "without a reason"),
            (r#"{"status":"undefined","value":1,"reason":"x"}"#, "gives a value"),
            (r#"{"status":"splendid","value":1}"#, "unknown variant"),
            (r#"{"value":1e999}"#, "number out of range"),
        ] {
            let error = measured(printed.as_bytes()).unwrap_err();
            assert!(
                matches!(&error, MeasureError::Failed(text) if text.contains(reason)),
                "{printed}: {error}"
            );
        }
        assert!(measured(b"\xff\xfe").is_err());
    }

    #[test]
    fn an_introduction_is_checked() {
        let good = r#"{"protocol":1,"measures":[{"id":"a","title":"t","formula":"f","stochastic":false}]}"#;
        assert_eq!(introduction(good.as_bytes()).unwrap().measures[0].id, "a");
        for (text, reason) in [
            (good.replace(":1", ":2"), "protocol 2"),
            (good.replace("\"t\"", "\" \""), "no title"),
            (good.replace("\"f\"", "\"\""), "no formula"),
            (good.replace("\"stochastic\"", "\"random\""), "unknown field"),
            (good.replace("false", "false,\"needs\":[\"true_gaps\"]"), "unknown variant `true_gaps`"),
            (r#"{"protocol":1,"measures":[]}"#.to_owned(), "no measure"),
        ] {
            let error = introduction(text.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
