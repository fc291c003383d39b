//! Why a program cannot be a measure.

/// What goes wrong before a program is evaluated at all, with a way out where there is one.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ExternalError {
    /// The thing and the cause.
    pub message: String,
    /// A way out.
    pub hint: Option<String>,
}

/// The crate's results.
pub type Result<T, E = ExternalError> = std::result::Result<T, E>;

impl ExternalError {
    /// An error without a hint.
    pub fn new(message: impl Into<String>) -> ExternalError {
        ExternalError { message: message.into(), hint: None }
    }

    /// Adds a way out.
    pub fn hint(self, hint: impl Into<String>) -> ExternalError {
        ExternalError { hint: Some(hint.into()), ..self }
    }
}
