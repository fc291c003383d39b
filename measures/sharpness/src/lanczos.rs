//! The spectrum of the loss's Hessian, by Lanczos from random vectors with full reorthogonalization.

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    MeasureError, ParameterInfo, ParameterKind, Parameters, Perturbed, Probe, Quantity, RegistryError,
};

use crate::loss::loss_hessian_products;
use crate::open::{Open, draw_by_size};

/// The parameter `samples`.
pub(crate) const SAMPLES: ParameterInfo = ParameterInfo {
    name: "samples",
    kind: ParameterKind::Integer { default: 128, min: 1, max: i64::MAX },
    doc: "samples of each group, drawn by what their predictions leave open",
};

/// The parameter `steps`.
pub(crate) const STEPS: ParameterInfo = ParameterInfo {
    name: "steps",
    kind: ParameterKind::Integer { default: 16, min: 2, max: 500 },
    doc: "steps of Lanczos: products of the Hessian with each vector",
};

/// The parameter `groups`.
pub(crate) const GROUPS: ParameterInfo = ParameterInfo {
    name: "groups",
    kind: ParameterKind::Integer { default: 4, min: 1, max: 64 },
    doc: "groups of samples drawn independently, each with a random vector to begin with",
};

/// β below this share of the largest entry: the Krylov space is exhausted.
const BREAKDOWN: f64 = 1e-12;

/// Gauss quadratures of the spectral density of the Hessian of the mean cross-entropy, one from each group of samples and
/// its random vector. Samples are drawn by what they can add to the Hessian, and weighted by the inverse of their
/// probability, so that each group's Hessian has that of the whole sample for its expectation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spectrum {
    pub samples: usize,
    pub groups: i64,
    pub steps: usize,
}

impl Spectrum {
    /// From `samples`, `groups` and `steps`.
    pub(crate) fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self {
            samples: usize::try_from(parameters.integer("samples")?).unwrap_or(usize::MAX),
            groups: parameters.integer("groups")?,
            steps: usize::try_from(parameters.integer("steps")?).unwrap_or(2),
        })
    }
}

/// Eigenvalues of a tridiagonal matrix with their weights.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quadrature {
    /// Ritz values, ascending.
    pub nodes: Vec<f64>,
    /// Squared first components of the eigenvectors: they sum to one.
    pub weights: Vec<f64>,
    /// Residual norms ‖H x − θ x‖ of the Ritz pairs.
    pub residuals: Vec<f64>,
}

impl Quadrature {
    /// ∫ f dμ.
    pub(crate) fn integral(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.nodes.iter().zip(&self.weights).map(|(node, weight)| weight * f(*node)).sum()
    }
}

impl Quantity for Spectrum {
    type Value = Vec<Quadrature>;

    fn name(&self) -> String {
        format!("hessian_spectrum samples={} groups={} steps={}", self.samples, self.groups, self.steps)
    }

    fn compute(&self, probe: &Probe) -> Result<Vec<Quadrature>, MeasureError> {
        let moved = Perturbed::folded(probe)?;
        let sizes = sizes(probe)?;
        if sizes.iter().all(|size| *size == 0.0) {
            return MeasureError::undefined(FLAT);
        }
        let size = moved.center().numel() as i64;
        let (mut groups, mut starts) = (Vec::new(), Vec::new());
        for group in 0..self.groups {
            let mut random = probe.generator(&format!("group {group}"));
            let drawn = draw_by_size(&sizes, self.samples, &mut random);
            let index: Vec<i64> = drawn.samples.iter().map(|sample| *sample as i64).collect();
            let weights: Vec<f64> =
                drawn.weights.iter().map(|weight| weight / probe.sample_size() as f64).collect();
            groups.push((
                Tensor::f_from_slice(&index)?.f_to_device(probe.device())?,
                Tensor::f_from_slice(&weights)?.f_to_device(probe.device())?,
            ));
            let normal = random.normal_tensor(&[size])?.f_to_kind(Kind::Double)?;
            let length = normal.f_dot(&normal)?.f_double_value(&[])?.sqrt();
            starts.push(normal.f_div_scalar(length)?);
        }
        lanczos(starts, self.steps.min(size as usize), &mut |going, vectors| {
            going
                .iter()
                .zip(vectors)
                .map(|(&group, vector)| {
                    let (index, weights) = &groups[group];
                    let found =
                        loss_hessian_products(probe, &moved, index, weights, std::slice::from_ref(vector))?;
                    Ok(found.into_iter().next().unwrap_or_else(|| vector.zeros_like()))
                })
                .collect()
        })
    }
}

/// Why there is no spectrum.
pub(crate) const FLAT: &str = "the Hessian is exactly zero: the loss is flat in every direction";

/// 1 − ‖p‖² + ‖p − y‖ of each sample: its Hessian is Jᵀ (diag(p) − p pᵀ) J + Σ_c (p − y)_c ∇² f_c, of which the one part is as
/// large as the first, the other as the second; it is zero where both are.
fn sizes(probe: &Probe) -> Result<Vec<f64>, MeasureError> {
    let open = Open::new(probe)?;
    let rows = probe.labels().f_unsqueeze(-1)?;
    let target = open.p.f_zeros_like()?.f_scatter_value(-1, &rows, 1.0)?;
    let rest =
        open.p.f_sub(&target)?.f_square()?.f_sum_dim_intlist([-1i64].as_slice(), false, Kind::Double)?;
    let rest = Vec::<f64>::try_from(&rest.f_sqrt()?)?;
    Ok(rest.into_iter().enumerate().map(|(sample, rest)| open.of(sample) + rest).collect())
}

/// The products of symmetric matrices, those of the runs with these numbers, each with a vector.
pub(crate) type Products<'a> = dyn FnMut(&[usize], &[Tensor]) -> Result<Vec<Tensor>, MeasureError> + 'a;

/// Lanczos from several unit vectors in step, so that one call gives the products of all: `steps` calls.
///
/// # Errors
/// Those of `products`; a timeout says how far it came.
pub(crate) fn lanczos(
    starts: Vec<Tensor>,
    steps: usize,
    products: &mut Products<'_>,
) -> Result<Vec<Quadrature>, MeasureError> {
    let mut runs: Vec<Run> = starts.into_iter().map(Run::new).collect();
    for step in 0..steps {
        let going: Vec<usize> = (0..runs.len()).filter(|&run| !runs[run].done).collect();
        if going.is_empty() {
            break;
        }
        let vectors: Vec<Tensor> = going.iter().filter_map(|&run| runs[run].last()).collect();
        let found = products(&going, &vectors).map_err(|error| match error {
            MeasureError::Timeout(reason) => MeasureError::Timeout(so_far(&reason, step, &runs)),
            other => other,
        })?;
        for (&run, product) in going.iter().zip(found) {
            runs[run].advance(&product)?;
        }
    }
    runs.iter().map(Run::quadrature).collect()
}

fn so_far(reason: &str, step: usize, runs: &[Run]) -> String {
    let largest = runs
        .iter()
        .filter(|run| !run.alpha.is_empty())
        .filter_map(|run| run.quadrature().ok())
        .filter_map(|quadrature| quadrature.nodes.last().copied())
        .reduce(f64::max);
    match largest {
        Some(largest) => {
            format!("{reason}; after {step} steps of Lanczos the largest eigenvalue is {largest:.4e}")
        }
        None => reason.to_string(),
    }
}

/// One run: an orthonormal basis of the Krylov space, and the tridiagonal matrix.
struct Run {
    basis: Vec<Tensor>,
    alpha: Vec<f64>,
    beta: Vec<f64>,
    done: bool,
}

impl Run {
    fn new(start: Tensor) -> Self {
        Self { basis: vec![start], alpha: Vec::new(), beta: Vec::new(), done: false }
    }

    fn last(&self) -> Option<Tensor> {
        self.basis.last().map(Tensor::shallow_clone)
    }

    fn advance(&mut self, product: &Tensor) -> Result<(), MeasureError> {
        let Some(last) = self.last() else { return MeasureError::failed("a run of Lanczos has no vector") };
        let alpha = last.f_dot(product)?.f_double_value(&[])?;
        self.alpha.push(alpha);
        let basis = Tensor::f_stack(&self.basis, 0)?;
        let mut rest = product.shallow_clone();
        // Twice is enough (Giraud et al. 2005).
        for _ in 0..2 {
            rest = rest.f_sub(&basis.f_tr()?.f_mv(&basis.f_mv(&rest)?)?)?;
        }
        let beta = rest.f_dot(&rest)?.f_double_value(&[])?.sqrt();
        let scale = self.alpha.iter().chain(&self.beta).fold(0.0, |most: f64, entry| most.max(entry.abs()));
        self.done = beta <= BREAKDOWN * scale || self.basis.len() == product.numel();
        self.beta.push(if self.done { 0.0 } else { beta });
        if !self.done {
            self.basis.push(rest.f_div_scalar(beta)?);
        }
        Ok(())
    }

    fn quadrature(&self) -> Result<Quadrature, MeasureError> {
        let count = self.alpha.len();
        let mut entries = vec![0.0; count * count];
        for at in 0..count {
            entries[at * count + at] = self.alpha[at];
            if at + 1 < count {
                entries[at * count + at + 1] = self.beta[at];
                entries[(at + 1) * count + at] = self.beta[at];
            }
        }
        let matrix = Tensor::f_from_slice(&entries)?.f_reshape([count as i64, count as i64])?;
        let (nodes, vectors) = matrix.f_linalg_eigh("L")?;
        let first = Vec::<f64>::try_from(&vectors.f_get(0)?.f_square()?)?;
        let end = Vec::<f64>::try_from(&vectors.f_get(count as i64 - 1)?.f_abs()?)?;
        let beta = self.beta.last().copied().unwrap_or(0.0);
        Ok(Quadrature {
            nodes: Vec::<f64>::try_from(&nodes)?,
            weights: first,
            residuals: end.iter().map(|component| component * beta).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgdl_measure::Generator;
    use pgdl_measure::tch::Device;

    /// Quadratics with a known spectrum: H = Q diag(λ) Qᵀ with a random orthogonal Q.
    fn with_spectrum(eigenvalues: &[f64]) -> Tensor {
        let count = eigenvalues.len() as i64;
        let mut random = Generator::new(&[b"spectrum"], Device::Cpu, Kind::Double);
        let (q, _) = Tensor::linalg_qr(&random.normal_tensor(&[count, count]).unwrap(), "reduced");
        q.matmul(&Tensor::from_slice(eigenvalues).diag(0)).matmul(&q.tr())
    }

    fn run(matrix: &Tensor, probes: usize, steps: usize) -> Vec<Quadrature> {
        let count = matrix.size()[0];
        let mut random = Generator::new(&[b"starts"], Device::Cpu, Kind::Double);
        let starts =
            (0..probes).map(|_| random.sign_tensor(&[count]).unwrap() / (count as f64).sqrt()).collect();
        let mut products =
            |_: &[usize], vectors: &[Tensor]| Ok(vectors.iter().map(|vector| matrix.mv(vector)).collect());
        lanczos(starts, steps, &mut products).unwrap()
    }

    #[test]
    fn all_eigenvalues_of_a_small_matrix_are_found() {
        let eigenvalues = [-3.0, -0.5, 0.1, 0.2, 1.0, 4.0, 9.0, 50.0];
        let found = run(&with_spectrum(&eigenvalues), 1, 20);
        assert_eq!(found[0].nodes.len(), eigenvalues.len());
        for (node, eigenvalue) in found[0].nodes.iter().zip(eigenvalues) {
            assert!((node - eigenvalue).abs() < 1e-9, "{node} {eigenvalue}");
        }
        assert!((found[0].weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn moments_are_exact_up_to_twice_the_steps() {
        let eigenvalues: Vec<f64> = (0..60).map(|i| (f64::from(i) / 20.0).powi(2) - 0.5).collect();
        let matrix = with_spectrum(&eigenvalues);
        let found = run(&matrix, 3, 4);
        let mut random = Generator::new(&[b"starts"], Device::Cpu, Kind::Double);
        for quadrature in found {
            let start = random.sign_tensor(&[60]).unwrap() / 60f64.sqrt();
            let mut power = start.shallow_clone();
            for degree in 0..=7 {
                let moment = start.dot(&power).double_value(&[]);
                let integral = quadrature.integral(|node| node.powi(degree));
                assert!((moment - integral).abs() < 1e-10 * moment.abs().max(1.0), "{degree}");
                power = matrix.mv(&power);
            }
        }
    }

    #[test]
    fn a_degenerate_spectrum_ends_the_run_early() {
        let found = run(&with_spectrum(&[2.0; 30]), 1, 10);
        assert_eq!(found[0].nodes.len(), 1);
        assert!((found[0].nodes[0] - 2.0).abs() < 1e-12);
        let flat = run(&with_spectrum(&[0.0; 30]), 2, 10);
        assert_eq!(
            (flat[0].nodes.as_slice(), flat[1].residuals.as_slice()),
            ([0.0].as_slice(), [0.0].as_slice())
        );
    }

    #[test]
    fn outliers_converge_in_few_steps_and_residuals_bound_the_error() {
        let mut eigenvalues: Vec<f64> = (0..200).map(|i| f64::from(i % 17) / 17.0).collect();
        eigenvalues.extend([20.0, 12.0]);
        let found = run(&with_spectrum(&eigenvalues), 1, 12);
        let (top, residual) = (found[0].nodes[11], found[0].residuals[11]);
        assert!((top - 20.0).abs() <= residual + 1e-12 && residual < 1e-3, "{top} {residual:e}");
    }
}
