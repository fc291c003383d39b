//! From the errors of the crates to failures: each kind of error has one exit code.

use std::io::ErrorKind;

use pgdl_experiment::ExperimentError;
use pgdl_measure::{MeasureError, RegistryError};
use pgdl_nc::NcError;
use pgdl_network::NetworkError;
use pgdl_report::ReportError;
use pgdl_run::RunError;
use pgdl_train::TrainError;
use pgdl_zoo::ZooError;

use crate::exit::{Exit, Failure, chain};

impl From<ZooError> for Failure {
    fn from(error: ZooError) -> Self {
        let exit = match &error {
            ZooError::Unknown { .. } | ZooError::Invalid(_) => Exit::Usage,
            // What a zoo should hold is not there, or is something else.
            ZooError::Io { source, .. }
                if matches!(
                    source.kind(),
                    ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
                ) || source.raw_os_error() == Some(libc::ELOOP) =>
            {
                Exit::Invalid
            }
            ZooError::Io { .. } | ZooError::Fetch { .. } | ZooError::Torch(_) => Exit::Unexpected,
            _ => Exit::Invalid,
        };
        Failure { exit, hint: error.hint(), message: chain(&error) }
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Self {
        let exit = match &error {
            NetworkError::Device { .. } => Exit::Device,
            _ => Exit::Unexpected,
        };
        Failure { exit, hint: error.hint(), message: chain(&error) }
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Failure { exit: Exit::Usage, hint: error.hint(), message: error.to_string() }
    }
}

impl From<MeasureError> for Failure {
    fn from(error: MeasureError) -> Self {
        Failure::new(Exit::Unexpected, error.to_string())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let exit = match error {
            RunError::Zoo(error) => return error.into(),
            RunError::Registry(error) => return error.into(),
            RunError::Device { .. } => Exit::Device,
            RunError::Shard { .. } | RunError::UnknownNetwork { .. } => Exit::Usage,
            RunError::NewerSchema { .. } | RunError::Data { .. } => Exit::Invalid,
            _ => Exit::Unexpected,
        };
        Failure { exit, hint: error.hint(), message: chain(&error) }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        let exit = match error {
            ReportError::Zoo(error) => return error.into(),
            ReportError::Unwritable { .. } => Exit::Unexpected,
            _ => Exit::Invalid,
        };
        Failure { exit, hint: error.hint(), message: chain(&error) }
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        let exit = match error {
            TrainError::Zoo(error) => return error.into(),
            TrainError::Network(error) => return error.into(),
            TrainError::Interrupted { .. } => Exit::Interrupted,
            TrainError::Syntax { .. }
            | TrainError::Value { .. }
            | TrainError::Recipe(_)
            | TrainError::NoSuchNetwork { .. } => Exit::Usage,
            _ => Exit::Unexpected,
        };
        Failure { exit, hint: error.hint(), message: chain(&error) }
    }
}

impl From<NcError> for Failure {
    fn from(error: NcError) -> Self {
        let exit = match error {
            NcError::Syntax { .. } | NcError::Value { .. } => Exit::Usage,
            NcError::File { .. } | NcError::OtherRecipe { .. } => Exit::Invalid,
            NcError::Interrupted { .. } => Exit::Interrupted,
            _ => Exit::Unexpected,
        };
        Failure { exit, hint: error.hint(), message: chain(&error) }
    }
}

impl From<ExperimentError> for Failure {
    fn from(error: ExperimentError) -> Self {
        let exit = match error {
            ExperimentError::Measure(error) => return error.into(),
            ExperimentError::Nc(error) => return error.into(),
            ExperimentError::Network(error) => return error.into(),
            ExperimentError::Report(error) => return error.into(),
            ExperimentError::Train(error) => return error.into(),
            ExperimentError::Zoo(error) => return error.into(),
            ExperimentError::Unknown { .. } | ExperimentError::Option { .. } => Exit::Usage,
            ExperimentError::OtherRun { .. } | ExperimentError::Damaged { .. } => Exit::Invalid,
            ExperimentError::Interrupted { .. } => Exit::Interrupted,
            _ => Exit::Unexpected,
        };
        Failure { exit, hint: error.hint(), message: chain(&error) }
    }
}

impl From<tch::TchError> for Failure {
    fn from(error: tch::TchError) -> Self {
        Failure::from(MeasureError::from(error))
    }
}
