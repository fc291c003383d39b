//! Every command and option, once: the parser, the help, the manual page and the completions derive from here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, FromArgMatches, Parser, Subcommand, ValueEnum};
use pgdl_run::{Shard, WorkerCommand};

/// Scores complexity measures by how well they rank trained networks by their generalization gap.
#[derive(Debug, Parser)]
#[command(name = "pgdl", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Start with: pgdl score --measure margin,l2_norm --zoo cifar_vgg")]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,

    /// When to colour the output
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,

    /// Also use the measures of a plugin: a folder with its crate, or a crate's name. It is compiled when needed
    #[arg(long, global = true, value_name = "DIR")]
    pub plugin: Vec<String>,

    /// Say less: no progress, no notes, only errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Evaluate measures on a zoo, score them against the true gaps, print the ranking
    Score(Box<ScoreArguments>),
    /// Evaluate measures on a zoo and keep the records, without scoring
    Eval(Box<EvalArguments>),
    /// Submit a plugin or a program to a competition that is held here: evaluate it under its rules, enter it into the
    /// leaderboard
    Submit(Box<SubmitArguments>),
    /// Measure what measures cost: passes, seconds and memory, each alone and all together
    Bench(BenchArguments),
    /// List the measures
    Measures(MeasuresArguments),
    /// Explain measures and composites: formula, paper, cost, invariances, parameters
    Explain {
        /// A measure's id, a list, or an expression over measures
        id: String,
        /// Print Markdown
        #[arg(long)]
        markdown: bool,
    },
    /// Print the leaderboard of several zoos, from the records of runs and results
    Board(BoardArguments),
    /// Evaluate and score what a manifest names, and compare with its committed results
    Reproduce(Box<ReproduceArguments>),
    /// Merge the records of runs, or write them as CSV, Parquet or JSON
    Merge(MergeArguments),
    /// Look at, check, build, import and export zoos
    #[command(subcommand)]
    Zoo(ZooCommand),
    /// List and fetch data sets
    #[command(subcommand)]
    Data(DataCommand),
    /// Make, check and keep measures of your own
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Compute a network's logits on given inputs
    Predict(PredictArguments),
    /// Make a page of runs: board, plots, slices, coverage, provenance
    Report(ReportArguments),
    /// Train one network of a recipe, to see what a setting or a regularizer does; `zoo build` trains and keeps them all
    #[command(name = "train")]
    Network(NetworkArguments),
    /// Train, evaluate and look at models of Neural Complexity
    #[command(subcommand)]
    Nc(NcCommand),
    /// Carry out an experiment of the literature: table, figures, published values beside the measured ones
    Experiment(ExperimentArguments),
    /// Check the installation: libtorch, devices, folders, data
    Doctor,
    /// Print the JSON schema of `score --format json`
    Schema,
    /// Print a shell's completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff), or with --dir write one page per command
    Man {
        /// Write all pages into this folder
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// A worker that evaluates measures for a parent process
    #[command(name = "__worker", hide = true)]
    Worker {
        /// The programs that are measures, as the parent has prepared them
        #[arg(long)]
        programs: Option<PathBuf>,
    },
    /// The keeper of a sandbox
    #[command(name = "__sandbox", hide = true)]
    Sandbox {
        /// What to run in it, and how
        order: String,
    },
    /// A program that is a measure: describes its measures, or evaluates a job
    #[command(name = "__serve", hide = true, subcommand)]
    Serve(ServeCommand),
    /// Lists the measures for a parent process, or checks the promises of one
    #[command(name = "__contract", hide = true)]
    Contract { id: Option<String> },
    /// A worker that trains one network for a parent process
    #[command(name = "__train", hide = true)]
    Train {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// What a program that is a measure is asked.
#[derive(Debug, Subcommand)]
pub enum ServeCommand {
    /// What are you?
    Describe,
    /// What is the value?
    Evaluate { job: PathBuf },
}

/// `pgdl zoo …`
#[derive(Debug, Subcommand)]
pub enum ZooCommand {
    /// List the zoos that can be named
    List {
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show a zoo's networks, hyperparameters and gaps
    Info {
        /// A zoo's name or folder
        zoo: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Verify structure, checksums, weights and grid, and recompute the listed accuracies
    Check {
        /// A zoo's name or folder
        zoo: String,
        /// Do not recompute accuracies
        #[arg(long)]
        no_accuracy: bool,
        #[command(flatten)]
        device: DeviceArguments,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Train a zoo from a recipe; resumes where it stopped
    Build {
        /// A recipe (TOML)
        recipe: PathBuf,
        /// The zoo's folder [default: the recipe's name in the user's zoo folder]
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// Networks trained side by side [default: one per core; on a GPU, one]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_WORKERS))]
        jobs: Option<u32>,
        #[command(flatten)]
        device: DeviceArguments,
    },
    /// Bring networks made elsewhere into a zoo
    #[command(subcommand)]
    Import(ImportCommand),
    /// Write a zoo as a complete competition directory, data shards included
    Export {
        /// A zoo's name or folder
        zoo: String,
        /// The folder to write
        to: PathBuf,
    },
}

/// `pgdl zoo import …`
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Keras models plus a table of hyperparameters and accuracies
    Keras {
        /// CSV with the columns `file`, `train_acc`, `test_acc`, optionally `id`, `weights_file` (where `file` is a
        /// model's JSON), `init_file`, `train_loss`, `test_loss`; every other column is a hyperparameter
        table: PathBuf,
        /// The zoo's folder
        to: PathBuf,
        /// Data of the zoo: a folder with `train` and `test` shards, or a data.json
        #[arg(long, value_name = "PATH")]
        data: Option<PathBuf>,
    },
    /// Competition archives as downloaded (zip files or folders)
    Competition {
        /// The archives
        #[arg(required = true)]
        archives: Vec<PathBuf>,
        /// The folder for the zoos [default: the user's zoo folder]
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
}

/// `pgdl data …`
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// List the data sets that have a name, and where they are
    List {
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Fetch a data set into the user's data directory and verify it
    Fetch {
        /// The data set's name
        name: String,
    },
}

/// `pgdl plugin …`
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Make a crate with one working measure, its tests and a CI workflow
    New {
        /// The measure's id, snake_case
        name: String,
        /// The crate's folder [default: the name]
        folder: Option<PathBuf>,
    },
    /// Write where this machine has pgdl and libtorch, for cargo run by hand in a plugin's folder
    Setup {
        /// The plugin's folder
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Check everything that is asked of a plugin: it builds, keeps the contract, runs on a zoo
    Check(PluginCheckArguments),
    /// Build a plugin and keep it: its measures are there in every later command
    Add {
        /// A folder, the address of a git repository, or a crate as in my_measures@0.2
        source: String,
        /// A branch or tag of the git repository
        #[arg(long, value_name = "NAME")]
        revision: Option<String>,
    },
    /// List the plugins that were added
    List {
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Forget a plugin that was added
    Remove {
        /// Its name
        name: String,
    },
}

/// `pgdl plugin check`
#[derive(Debug, Args)]
pub struct PluginCheckArguments {
    /// The plugin's folder
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// The zoo of the smoke run: the measures are evaluated on two of its networks
    #[arg(long, default_value = "cifar_vgg")]
    pub zoo: String,
    /// Leave out the run on a zoo
    #[arg(long)]
    pub no_smoke_run: bool,
    /// Time allowed: each measure for its contract, and on each network of the zoo
    #[arg(long, default_value = "300s", value_name = "TIME", value_parser = duration)]
    pub time_limit: Duration,
    #[command(flatten)]
    pub output: OutputArguments,
}

/// `pgdl predict`
#[derive(Debug, Args)]
pub struct PredictArguments {
    /// A competition model folder, a `.keras` file, a whole-model `.h5`, or a config `.json`
    #[arg(long, value_name = "PATH")]
    pub network: PathBuf,
    /// The weights, where --network is a config: `.hdf5`, `.h5` or `.weights.h5`
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Inputs [N, H, W, C]: FILE.npz:KEY, or FILE.npy
    #[arg(long, value_name = "FILE[:KEY]")]
    pub inputs: String,
    /// Where the logits [N, classes] go: FILE.npy
    #[arg(long, value_name = "FILE.npy")]
    pub output: PathBuf,
    /// Samples per forward pass
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: u32,
    #[command(flatten)]
    pub device: DeviceArguments,
}

/// `pgdl measures`
#[derive(Debug, Args)]
pub struct MeasuresArguments {
    /// Only these: all, family:NAME, or ids
    #[arg(default_value = "all")]
    pub measures: String,
    #[command(flatten)]
    pub output: OutputArguments,
}

/// `pgdl bench`
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// A zoo's name or folder
    #[arg(long, default_value = "cifar_vgg")]
    pub zoo: String,
    /// Networks of the zoo, by id [default: its first and its last]
    #[arg(long = "network", value_delimiter = ',', value_name = "IDS")]
    pub networks: Vec<u64>,
    /// In place of a zoo's networks a fresh one of this size, on drawn images
    #[arg(long, value_enum, conflicts_with_all = ["zoo", "networks"])]
    pub architecture: Option<BenchArchitecture>,
    /// Measures: all, family:NAME, or ids with parameters
    #[arg(long, short, default_value = "all", value_name = "LIST")]
    pub measure: String,
    /// Training samples the measures see [default: all; of drawn images 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub sample: Option<u64>,
    /// Samples per forward pass
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: u32,
    /// Floating-point type of weights and inputs
    #[arg(long, value_enum, default_value_t = Precision::Float32)]
    pub dtype: Precision,
    /// Seed of everything random
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    pub seed: u64,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_WORKERS))]
    pub threads: Option<u32>,
    /// Time after which a measure gives up, such as 300s, 5m or 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub limit: Option<Duration>,
    #[command(flatten)]
    pub device: DeviceArguments,
    #[command(flatten)]
    pub output: OutputArguments,
}

/// `--architecture`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchArchitecture {
    /// Task 1's: six convolutions, 128, 128, 256, 256, 512 and 512 wide, then Dense(128)
    Task1,
    /// Task 1's: two convolutions, 256 wide, then Dense(128)
    #[value(name = "task1_shallow")]
    Task1Shallow,
}

/// `pgdl eval`
#[derive(Debug, Args)]
pub struct EvalArguments {
    /// A zoo's name or folder
    #[arg(long)]
    pub zoo: String,
    /// Measures: all, family:NAME, ids with parameters, or expressions, as in margin:p=10,davies_bouldin * (1 -
    /// mixup_accuracy) [default: all; with --executable or
    /// --submission theirs]
    #[arg(long, short, value_name = "LIST")]
    pub measure: Option<String>,
    #[command(flatten)]
    pub external: ExternalArguments,
    #[command(flatten)]
    pub run: RunArguments,
    #[command(flatten)]
    pub output: OutputArguments,
}

/// `pgdl score`
#[derive(Debug, Args)]
pub struct ScoreArguments {
    /// A zoo's name or folder
    #[arg(long, required_unless_present = "table")]
    pub zoo: Option<String>,
    /// Measures: all, family:NAME, ids with parameters, or expressions, as in margin:p=10,davies_bouldin * (1 -
    /// mixup_accuracy) [default: all; with --executable or
    /// --submission theirs]
    #[arg(long, short, value_name = "LIST")]
    pub measure: Option<String>,
    /// Score values computed elsewhere: competition `.predict` files
    #[arg(long, num_args = 1.., value_name = "FILE", requires = "zoo", conflicts_with_all = ["measure", "table"])]
    pub predictions: Vec<PathBuf>,
    /// Score the columns of a table (CSV or Parquet)
    #[arg(long, value_name = "FILE", requires = "hyperparameters", conflicts_with = "zoo")]
    pub table: Option<PathBuf>,
    /// The table's hyperparameter columns
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS", requires = "table")]
    pub hyperparameters: Vec<String>,
    /// The table's column of repeated seeds
    #[arg(long, value_name = "COLUMN", requires = "table")]
    pub seed_column: Option<String>,
    /// The table's column of network ids
    #[arg(long, value_name = "COLUMN", requires = "table")]
    pub id_column: Option<String>,
    /// The table's column of training accuracies
    #[arg(long, value_name = "COLUMN", requires = "test_accuracy")]
    pub train_accuracy: Option<String>,
    /// The table's column of test accuracies
    #[arg(long, value_name = "COLUMN", requires = "train_accuracy")]
    pub test_accuracy: Option<String>,
    /// The table's column of gaps, in place of the two accuracies
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["train_accuracy", "test_accuracy"], requires = "table")]
    pub gap_column: Option<String>,
    /// What the measures are to predict
    #[arg(long, value_enum, default_value_t = GapChoice::Accuracy)]
    pub gap: GapChoice,
    /// Resamples behind each 95 % interval; 0 for none
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(..=MOST_RESAMPLES))]
    pub bootstrap: u32,
    /// Environments with a smaller effective sample size are left out of the sign error
    #[arg(long, default_value_t = 0.0, value_name = "ESS", value_parser = sample_size)]
    pub ess_floor: f64,
    /// Test examples behind each gap, for the weights of the sign error [default: as many as the zoo's test set has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub test_examples: Option<u64>,
    /// Also print the networks in the order each measure gives them, beside their true gaps
    #[arg(long)]
    pub ranking: bool,
    /// Also print the competition's own total (0 where any value is EXCEEDED)
    #[arg(long)]
    pub competition_total: bool,
    #[command(flatten)]
    pub external: ExternalArguments,
    #[command(flatten)]
    pub run: RunArguments,
    #[command(flatten)]
    pub output: OutputArguments,
}

/// `pgdl train`
#[derive(Debug, Args)]
pub struct NetworkArguments {
    /// A recipe (TOML)
    pub recipe: PathBuf,
    /// The network's number in the recipe's grid
    #[arg(long, default_value_t = 0, value_name = "ID")]
    pub network: u64,
    /// A regularizer instead of the recipe's
    #[arg(long, value_enum, value_name = "NAME")]
    pub regularizer: Option<RegularizerName>,
    /// For nc: the trained model, of form classification
    #[arg(long, value_name = "FILE", required_if_eq("regularizer", "nc"))]
    pub checkpoint: Option<PathBuf>,
    /// For nc: λ
    #[arg(long, default_value_t = 1.0, value_name = "NUMBER")]
    pub weight: f64,
    /// For nc: positions of the unlabelled inputs, which the network should not be trained on
    #[arg(long, value_name = "RANGES", required_if_eq("regularizer", "nc"))]
    pub queries: Option<String>,
    /// For nc: the half of the data set that these are positions in
    #[arg(long, value_enum, value_name = "HALF", default_value_t = Half::Train)]
    pub queries_from: Half,
    #[command(flatten)]
    pub device: DeviceArguments,
    /// Format of what is printed on standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// A half of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Half {
    /// The training half
    Train,
    /// The test half: the inputs that the network is tested on, without their labels
    Test,
}

/// What is added to the training loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum RegularizerName {
    /// Nothing but the recipe's weight decay and dropout
    None,
    /// Targets that give a tenth (or what the recipe says) of every label to all classes alike
    LabelSmoothing,
    /// Convex combinations of inputs and of their labels
    Mixup,
    /// Neural Complexity
    Nc,
}

/// `pgdl nc calibrate`
#[derive(Debug, Args)]
pub struct CalibrateArguments {
    /// A checkpoint of the form for classification
    pub checkpoint: PathBuf,
    /// The zoo
    #[arg(long, value_name = "ZOO")]
    pub zoo: String,
    /// The new checkpoint
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub run: RunArguments,
}

/// `pgdl nc …`
#[derive(Debug, Subcommand)]
pub enum NcCommand {
    /// Train a model from a recipe; resumes where it stopped
    Train {
        /// A recipe (TOML)
        recipe: PathBuf,
        /// The folder for checkpoint, curve and state [default: the recipe's name in the user's runs folder]
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// Threads [default: one per core]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_WORKERS))]
        threads: Option<u32>,
        #[command(flatten)]
        device: DeviceArguments,
    },
    /// Compare a model's estimates with the gaps of held-out tasks, and print the bound that follows
    Evaluate {
        /// A checkpoint
        checkpoint: PathBuf,
        /// Held-out tasks
        #[arg(long, default_value_t = 512, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
        tasks: u32,
        /// Seed of the tasks; not that of the model's training
        #[arg(long, default_value_t = 0, value_name = "SEED")]
        seed: u64,
        /// The bound's slack [default: the smallest that gives a probability of 0.9, or nine tenths of what N tasks permit]
        #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
        epsilon: Option<f64>,
        /// The chance that the bound does not hold
        #[arg(long, default_value_t = 0.05, value_name = "NUMBER")]
        delta: f64,
        #[command(flatten)]
        device: DeviceArguments,
        /// Format of what is printed on standard output
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Fit a checkpoint's estimates to the gaps of a zoo's networks, so that they are gaps of networks of that kind
    ///
    /// The order of estimates does not change. On the zoo's own networks, whose gaps it saw, the new checkpoint is
    /// unavailable.
    Calibrate(Box<CalibrateArguments>),
    /// Print what a checkpoint was trained on and how, as JSON
    Inspect {
        /// A checkpoint
        checkpoint: PathBuf,
    },
}

/// `pgdl experiment`
#[derive(Debug, Args)]
pub struct ExperimentArguments {
    /// The experiment's name
    #[arg(required_unless_present = "list")]
    pub name: Option<String>,
    /// List the experiments, with what they show
    #[arg(long)]
    pub list: bool,
    /// The quick setting, smaller than the paper's: minutes
    #[arg(long)]
    pub quick: bool,
    /// Seed of everything random
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    pub seed: u64,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_WORKERS))]
    pub threads: Option<u32>,
    /// The folder for journal, tables and figures; what its journal holds is not computed again [default: the name and
    /// setting in the user's runs folder]
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub options: ExperimentOptions,
    #[command(flatten)]
    pub device: DeviceArguments,
    /// Format of what is printed on standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// The options of single experiments, as their [`pgdl_experiment::ExperimentInfo`]s declare them.
#[derive(Debug, Default)]
pub struct ExperimentOptions(pub BTreeMap<String, String>);

impl ExperimentOptions {
    /// Name and meaning of every option; several experiments may have one of the same name.
    fn declared() -> BTreeMap<&'static str, String> {
        let mut declared: BTreeMap<&str, String> = BTreeMap::new();
        for info in pgdl_experiment::EXPERIMENTS.iter().map(|experiment| experiment.info()) {
            for option in info.options {
                let doc = declared.entry(option.name).or_default();
                let gap = if doc.is_empty() { "" } else { "; " };
                doc.push_str(&format!("{gap}{}: {}", info.name, option.doc));
            }
        }
        declared
    }
}

impl Args for ExperimentOptions {
    fn augment_args(command: clap::Command) -> clap::Command {
        Self::declared().into_iter().fold(command, |command, (name, doc)| {
            let option = clap::Arg::new(name).long(name).value_name("VALUE").help(doc);
            command.arg(option.help_heading("Options of single experiments"))
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ExperimentOptions {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let given = Self::declared()
            .into_keys()
            .filter_map(|name| Some((name.to_owned(), matches.get_one::<String>(name)?.clone())));
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// `pgdl report`
#[derive(Debug, Args)]
pub struct ReportArguments {
    /// Run folders, records files, manifests, or zoos whose default run is meant
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<String>,
    /// The page
    #[arg(long, short, default_value = "report.html", value_name = "FILE")]
    pub output: PathBuf,
    /// Also write every plot as SVG and PNG into this folder
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
    /// Also composites of the measures that have records: expressions, as in dbi = davies_bouldin * (1 - mixup_accuracy).
    /// Those of manifests are there already
    #[arg(long, value_name = "LIST")]
    pub composite: Option<String>,
    /// The zoo that the records are of, where it is no longer where it was
    #[arg(long, value_name = "ZOO")]
    pub zoo: Option<String>,
    /// What the measures are to predict
    #[arg(long, value_enum, default_value_t = GapChoice::Accuracy)]
    pub gap: GapChoice,
    /// Resamples behind each 95 % interval; 0 for none
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(..=MOST_RESAMPLES))]
    pub bootstrap: u32,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    pub seed: u64,
    /// Environments with a smaller effective sample size are left out of the sign error
    #[arg(long, default_value_t = 0.0, value_name = "ESS", value_parser = sample_size)]
    pub ess_floor: f64,
    /// Test examples behind each gap, for the weights of the sign error [default: as many as the zoo's test set has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub test_examples: Option<u64>,
}

/// How networks are evaluated.
/// `pgdl board`
#[derive(Debug, Args)]
pub struct BoardArguments {
    /// Run folders, records files, manifests, or folders with manifests
    #[arg(required_unless_present = "published", value_name = "RUN_OR_RESULTS")]
    pub inputs: Vec<PathBuf>,
    /// The statistic that a board of several zoos shows
    #[arg(long, default_value = "cmi_pgdl", value_name = "STATISTIC")]
    pub statistic: String,
    /// Also composites of the measures that have records: expressions, as in dbi = davies_bouldin * (1 - mixup_accuracy).
    /// Those of manifests are there already
    #[arg(long, value_name = "LIST")]
    pub composite: Option<String>,
    /// The competition's published leaderboard, with our scores beside it where they are of the same zoo
    #[arg(long)]
    pub published: bool,
    /// What the measures are to predict
    #[arg(long, value_enum, default_value_t = GapChoice::Accuracy)]
    pub gap: GapChoice,
    /// Resamples behind each 95 % interval; 0 for none
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(..=MOST_RESAMPLES))]
    pub bootstrap: u32,
    #[command(flatten)]
    pub output: OutputArguments,
}

/// `pgdl merge`
#[derive(Debug, Args)]
pub struct MergeArguments {
    /// Run folders or records files, compressed ones included
    #[arg(required = true, value_name = "RUN")]
    pub inputs: Vec<PathBuf>,
    /// The run folder that takes what it does not hold yet
    #[arg(long, value_name = "DIR", required_unless_present = "output")]
    pub into: Option<PathBuf>,
    /// A file to write: .jsonl or .jsonl.gz for records, .csv, .parquet or .json for other programs
    #[arg(long, short, value_name = "FILE", conflicts_with = "into")]
    pub output: Option<PathBuf>,
}

/// `pgdl reproduce`
#[derive(Debug, Args)]
pub struct ReproduceArguments {
    /// The manifest (TOML), such as results/cifar_vgg.toml
    #[arg(required_unless_present = "published")]
    pub manifest: Option<PathBuf>,
    /// Reproduce the competition's published figures on one of its tasks, such as task1_v4
    #[arg(long, value_name = "TASK", conflicts_with_all = ["manifest", "level", "update", "from_records", "executor"])]
    pub published: Option<String>,
    /// How much must agree [default: what the manifest says, else balanced]
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub level: Option<LevelChoice>,
    /// Write the tables and records anew, in place of the committed ones
    #[arg(long)]
    pub update: bool,
    /// Evaluate nothing: check that the committed records make the committed tables, byte for byte
    #[arg(long, conflicts_with_all = ["shard", "executor", "force", "retry_failed", "folder"])]
    pub from_records: bool,
    /// The folder of the runs, one in it for each zoo [default: one per manifest in the user's data folder]
    #[arg(long = "run", value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Device, in place of the manifest's
    #[arg(long)]
    pub device: Option<String>,
    /// Threads per worker, in place of the manifest's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_WORKERS))]
    pub threads: Option<u32>,
    /// Worker processes side by side [default: the cores divided by the threads; on a GPU, one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_WORKERS))]
    pub jobs: Option<u32>,
    /// Time allowed for each measure on each network, such as 300s, 5m or 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub budget: Option<Duration>,
    /// Only evaluate part I of N of the networks, counted from 1; nothing is compared
    #[arg(long, value_name = "I/N", conflicts_with_all = ["update", "executor"])]
    pub shard: Option<Shard>,
    #[command(flatten)]
    pub reuse: ReuseArguments,
    /// Who evaluates
    #[arg(long, value_enum, default_value_t = Executor::Local)]
    pub executor: Executor,
    /// Elements of the job array
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ELEMENTS))]
    pub shards: u32,
    /// Elements of the job array that may run at the same time [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ELEMENTS))]
    pub at_once: Option<u32>,
    /// A further option of sbatch, such as --sbatch=--partition=gpu; may be given several times
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub sbatch: Vec<String>,
    /// Print the scripts for SLURM, and submit nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub output: OutputArguments,
}

/// What becomes of evaluations that records hold already.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct ReuseArguments {
    /// Evaluate only what no valid record holds (the default)
    #[arg(long, conflicts_with_all = ["retry_failed", "force"])]
    pub only_missing: bool,
    /// Evaluate again what is not ok
    #[arg(long, conflicts_with = "force")]
    pub retry_failed: bool,
    /// Evaluate everything again
    #[arg(long)]
    pub force: bool,
}

/// How networks are evaluated.
#[derive(Clone, Debug, Args)]
pub struct RunArguments {
    #[command(flatten)]
    pub device: DeviceArguments,
    /// Seed of everything random
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    pub seed: u64,
    /// Training samples the measures see, from the front of the training set [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub sample: Option<u64>,
    /// Samples per forward pass; no value depends on it
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: u32,
    /// Floating-point type of weights and inputs
    #[arg(long, value_enum, default_value_t = Precision::Float32)]
    pub dtype: Precision,
    /// Time allowed, such as 300s, 5m or 1h: per --budget-per
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub budget: Option<Duration>,
    /// What the budget is counted over: each network, each measure on a network, or pooled over the
    /// zoo (the budget times the number of networks, as in the competition)
    #[arg(long, value_enum, default_value_t = BudgetPer::Network, value_name = "UNIT")]
    pub budget_per: BudgetPer,
    /// Worker processes side by side [default: one per core; on a GPU, one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_WORKERS))]
    pub jobs: Option<u32>,
    /// Threads per worker [default: the cores divided among the workers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_WORKERS))]
    pub threads: Option<u32>,
    /// Memory allowed per worker, in MiB
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub memory: Option<u64>,
    /// Only part I of N of the networks, counted from 1
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// The folder of the run's records [default: one per zoo in the user's data folder]
    #[arg(long = "run", value_name = "DIR")]
    pub folder: Option<PathBuf>,
    #[command(flatten)]
    pub reuse: ReuseArguments,
    /// How workers are started, where they have to know more than this program does
    #[arg(skip)]
    pub worker: Option<WorkerCommand>,
}

/// Programs that are measures.
#[derive(Debug, Default, Args)]
pub struct ExternalArguments {
    /// A program that is a measure: it speaks the protocol of docs/executables.md
    #[arg(long, value_name = "PROGRAM")]
    pub executable: Vec<PathBuf>,
    /// A submission of 2020: a folder with a complexity.py for Keras; it runs in a sandbox
    #[arg(long, value_name = "DIR")]
    pub submission: Vec<PathBuf>,
    /// Run programs in a sandbox, too: no network, no other process, bounded memory, and nothing to read but their job
    #[arg(long)]
    pub sandbox: bool,
    /// Run submissions without a sandbox, with all your rights
    #[arg(long, conflicts_with = "sandbox")]
    pub no_sandbox: bool,
    /// Memory allowed in a sandbox, in MiB [default: 8192]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub sandbox_memory: Option<u64>,
    /// A further file or folder that may be read in a sandbox
    #[arg(long, value_name = "PATH")]
    pub sandbox_read: Vec<PathBuf>,
    /// A Python with TensorFlow, for submissions [default: the one that scripts/interchange makes]
    #[arg(long, value_name = "PROGRAM")]
    pub python: Option<PathBuf>,
    /// The folder of a plugin crate that is to run as a program
    #[arg(skip)]
    pub plugin: Option<PathBuf>,
}

/// `pgdl submit`
#[derive(Debug, Args)]
pub struct SubmitArguments {
    /// A plugin crate, a submission folder with a complexity.py, or a program that speaks the protocol of
    /// docs/executables.md
    pub what: PathBuf,
    /// The competition's phase
    #[arg(long, default_value = "development")]
    pub phase: String,
    /// Who submits; per day everybody has a number of submissions [default: the submission's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The measure, where a program is several
    #[arg(long, value_name = "ID")]
    pub measure: Option<String>,
    /// The competition's rules (TOML) [default: those of 2020 on the zoos that come along]
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// The folder of leaderboard and submissions [default: one per competition in the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub board: Option<PathBuf>,
    /// Run without a sandbox, with all your rights
    #[arg(long)]
    pub no_sandbox: bool,
    /// Memory allowed in the sandbox, in MiB [default: 8192]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub sandbox_memory: Option<u64>,
    /// A further file or folder that may be read in the sandbox
    #[arg(long, value_name = "PATH")]
    pub sandbox_read: Vec<PathBuf>,
    /// A Python with TensorFlow [default: the one that scripts/interchange makes]
    #[arg(long, value_name = "PROGRAM")]
    pub python: Option<PathBuf>,
    /// Worker processes side by side [default: one per core; on a GPU, one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_WORKERS))]
    pub jobs: Option<u32>,
    #[command(flatten)]
    pub device: DeviceArguments,
    #[command(flatten)]
    pub output: OutputArguments,
}

/// Where computations run.
#[derive(Clone, Debug, Args)]
pub struct DeviceArguments {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
}

/// How results are printed.
#[derive(Debug, Args)]
pub struct OutputArguments {
    /// Format of what is printed on standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// `--format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns for people
    Table,
    /// Comma-separated values
    Csv,
    /// JSON
    Json,
    /// A Markdown table
    Markdown,
}

/// `--color`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal that has not asked for none
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// `--level`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LevelChoice {
    /// Every value and every score, byte for byte
    Strict,
    /// Values and scores within the manifest's tolerance
    Balanced,
    /// The order of the measures on the board
    Loose,
}

/// `--executor`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Executor {
    /// This machine
    Local,
    /// A SLURM cluster: a job array with one element per shard, and a job that merges
    Slurm,
}

/// `--gap`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GapChoice {
    /// Training accuracy − test accuracy
    Accuracy,
    /// Test loss − training loss
    Loss,
}

/// `--dtype`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// 32 bits, as networks are stored
    Float32,
    /// 64 bits
    Float64,
}

/// `--budget-per`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BudgetPer {
    /// Each network with all its measures
    Network,
    /// Each measure on each network
    Measure,
    /// Pooled over the zoo
    Zoo,
}

/// More processes or threads than this are a slip of the finger.
const MOST_WORKERS: i64 = 1024;

/// SLURM's own limit on the elements of an array is lower on most clusters.
const MOST_ELEMENTS: i64 = 100_000;

/// More resamples than this are a slip of the finger: their statistics alone would fill the memory.
const MOST_RESAMPLES: i64 = 10_000_000;

/// Parses an effective sample size.
fn sample_size(text: &str) -> Result<f64, String> {
    let size = text.parse::<f64>().ok().filter(|size| size.is_finite() && *size >= 0.0);
    size.ok_or_else(|| "expected a number, at least 0".to_string())
}

/// Parses `300`, `300s`, `5m`, `1.5h`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let factor = match unit {
        "m" => 60.0,
        "h" => 3600.0,
        _ => 1.0,
    };
    let seconds = number.parse::<f64>().ok().map(|value| value * factor);
    seconds
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "expected a positive time such as 300s, 5m or 1.5h".to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn effective_sample_sizes_are_finite() {
        assert_eq!(sample_size("12.5"), Ok(12.5));
        for bad in ["", "nan", "inf", "-3", "x"] {
            assert!(sample_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("300s"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        for bad in ["", "s", "-1s", "0", "1d", "1e400", "nan"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
