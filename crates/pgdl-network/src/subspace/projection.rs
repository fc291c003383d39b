//! Random projections from a subspace into the space of all parameters.

use tch::{Device, Kind, Tensor};

use super::hadamard::hadamard_transform;
use super::stream::{Stream, sign, uniform};
use crate::error::{NetworkError, Result};

/// Numbers drawn at a time.
const AT_ONCE: i64 = 1 << 22;

/// How a projection's matrix is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProjectionKind {
    /// Independent normal entries; each column then divided by its norm. D d numbers of memory and as many products.
    Dense,
    /// Entries −1, 0, 1, of which the share 1/√D is not 0 (Li, Hastie and Church 2006, Very Sparse Random Projections);
    /// each column then divided by its norm. √D d numbers.
    Sparse,
    /// H G Π H B: signs, a Hadamard transform, a random order, normal factors, a Hadamard transform, of which as many are
    /// stacked as are needed (Le, Sarlós and Smola 2013, Fastfood). D numbers, D log d operations.
    Fastfood,
}

impl ProjectionKind {
    /// All of them.
    pub const ALL: [ProjectionKind; 3] = [Self::Dense, Self::Sparse, Self::Fastfood];

    /// Its name: `dense`, `sparse` or `fastfood`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Sparse => "sparse",
            Self::Fastfood => "fastfood",
        }
    }

    /// The kind of a name.
    pub fn named(name: &str) -> Option<ProjectionKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A random matrix P, `[D, d]`, of columns of norm 1: exactly for dense and sparse ones, and for Fastfood where D is a
/// multiple of l, the smallest power of 2 that is at least d; else the mean of its square is 1, with a standard deviation of
/// about √(2 r)/D for the r rows of the last block.
#[derive(Debug)]
pub struct Projection {
    rows: i64,
    columns: i64,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// Pᵀ, `[d, D]`.
    Dense(Tensor),
    /// Row, column and value of each entry that is not 0, `[k]`.
    Sparse { row: Tensor, column: Tensor, entry: Tensor },
    /// Of each block of l rows, `[m, l]`: B, Π and its inverse, and G with the factor that makes the columns' norm 1.
    Fastfood { signs: Tensor, order: Tensor, inverse: Tensor, gains: Tensor },
}

impl Projection {
    /// A matrix `[rows, columns]` that the seed decides: the same on every device but for rounding.
    ///
    /// # Errors
    /// There are no columns, or more than rows; libtorch has no memory for them.
    pub fn new(
        kind: ProjectionKind,
        rows: i64,
        columns: i64,
        seed: u64,
        (number, device): (Kind, Device),
    ) -> Result<Projection> {
        if !(1..=rows).contains(&columns) {
            return Err(NetworkError::Input(format!("a projection from {columns} to {rows} dimensions")));
        }
        let mut stream = Stream::new(seed, device);
        let form = match kind {
            ProjectionKind::Dense => dense(&mut stream, rows, columns, (number, device))?,
            ProjectionKind::Sparse => sparse(&mut stream, rows, columns, (number, device))?,
            ProjectionKind::Fastfood => fastfood(&mut stream, rows, columns, number)?,
        };
        Ok(Projection { rows, columns, form })
    }

    /// D.
    pub fn rows(&self) -> i64 {
        self.rows
    }

    /// d.
    pub fn columns(&self) -> i64 {
        self.columns
    }

    /// P z, `[D]`, of z, `[d]`.
    ///
    /// # Errors
    /// `z` is of another size or kind.
    pub fn project(&self, z: &Tensor) -> Result<Tensor> {
        check(z, self.columns)?;
        match &self.form {
            Form::Dense(transposed) => Ok(transposed.f_tr()?.f_mv(z)?),
            Form::Sparse { row, column, entry } => sums(self.rows, row, &z.f_index_select(0, column)?, entry),
            Form::Fastfood { signs, order, gains, .. } => {
                let block = gains.size()[1];
                let padded = z.f_constant_pad_nd([0, block - self.columns])?.f_unsqueeze(0)?;
                let mixed = hadamard_transform(&padded.f_mul(signs)?)?.f_gather(1, order, false)?;
                let whole = hadamard_transform(&mixed.f_mul(gains)?)?.f_reshape([-1])?;
                Ok(whole.f_narrow(0, 0, self.rows)?)
            }
        }
    }

    /// Pᵀ g, `[d]`, of g, `[D]`: of a gradient by the parameters, that by z.
    ///
    /// # Errors
    /// `g` is of another size or kind.
    pub fn pull_back(&self, g: &Tensor) -> Result<Tensor> {
        check(g, self.rows)?;
        match &self.form {
            Form::Dense(transposed) => Ok(transposed.f_mv(g)?),
            Form::Sparse { row, column, entry } => {
                sums(self.columns, column, &g.f_index_select(0, row)?, entry)
            }
            Form::Fastfood { signs, inverse, gains, .. } => {
                let padded = g.f_constant_pad_nd([0, gains.numel() as i64 - self.rows])?;
                let mixed = hadamard_transform(&padded.f_reshape(gains.size())?)?.f_mul(gains)?;
                let whole = hadamard_transform(&mixed.f_gather(1, inverse, false)?)?.f_mul(signs)?;
                Ok(whole.f_sum_dim_intlist(0, false, None::<Kind>)?.f_narrow(0, 0, self.columns)?)
            }
        }
    }
}

fn check(vector: &Tensor, length: i64) -> Result<()> {
    match vector.size()[..] {
        [found] if found == length => Ok(()),
        ref found => {
            Err(NetworkError::Input(format!("a vector of {length} numbers is needed, not {found:?}")))
        }
    }
}

/// At each place, the sum of the values · entries that belong there, `[length]`.
fn sums(length: i64, place: &Tensor, values: &Tensor, entries: &Tensor) -> Result<Tensor> {
    let zero = Tensor::f_zeros([length], (entries.f_kind()?, entries.device()))?;
    Ok(zero.f_index_add(0, place, &values.f_mul(entries)?)?)
}

fn dense(stream: &mut Stream, rows: i64, columns: i64, options: (Kind, Device)) -> Result<Form> {
    let whole = Tensor::f_empty([columns, rows], options)?;
    let at_once = (AT_ONCE / rows).max(1);
    for first in (0..columns).step_by(at_once as usize) {
        let count = at_once.min(columns - first);
        let drawn = stream.normals(count * rows)?.f_reshape([count, rows])?;
        let norms = drawn.f_square()?.f_sum_dim_intlist(1, true, Kind::Double)?.f_sqrt()?;
        whole.f_narrow(0, first, count)?.f_copy_(&drawn.f_div(&norms)?)?;
    }
    Ok(Form::Dense(whole))
}

fn sparse(stream: &mut Stream, rows: i64, columns: i64, (number, device): (Kind, Device)) -> Result<Form> {
    let density = 1.0 / (rows as f64).sqrt();
    let at_once = (AT_ONCE / rows).max(1);
    let (mut row, mut column, mut entry) = (Vec::new(), Vec::new(), Vec::new());
    for first in (0..columns).step_by(at_once as usize) {
        let count = at_once.min(columns - first);
        let words = stream.words(count * rows)?;
        let chosen = uniform(&words)?.f_lt(density)?.f_nonzero()?.f_squeeze_dim(1)?;
        entry.push(sign(&words.f_index_select(0, &chosen)?)?);
        row.push(chosen.f_remainder(rows)?);
        column.push(chosen.f_floor_divide_scalar(rows)?.f_add_scalar(first)?);
    }
    // A column without an entry, which few rows make likely, is given one.
    let filled = Tensor::f_cat(&column, 0)?.f_bincount(None::<Tensor>, columns)?;
    let empty = filled.f_eq(0)?.f_nonzero()?.f_squeeze_dim(1)?;
    let words = stream.words(empty.numel() as i64)?;
    row.push(uniform(&words)?.f_mul_scalar(rows as f64)?.f_floor()?.f_to_kind(Kind::Int64)?);
    entry.push(sign(&words)?);
    column.push(empty);
    let (row, column) = (Tensor::f_cat(&row, 0)?, Tensor::f_cat(&column, 0)?);
    let norms = column.f_bincount(None::<Tensor>, columns)?.f_to_kind(Kind::Double)?.f_sqrt()?;
    let entry = Tensor::f_cat(&entry, 0)?.f_div(&norms.f_index_select(0, &column)?)?;
    Ok(Form::Sparse { row, column, entry: entry.f_to_kind(number)?.f_to_device(device)? })
}

fn fastfood(stream: &mut Stream, rows: i64, columns: i64, number: Kind) -> Result<Form> {
    let block = columns.unsigned_abs().next_power_of_two() as i64;
    let blocks = (rows + block - 1) / block;
    let shape = [blocks, block];
    let signs = stream.signs(blocks * block)?.f_reshape(shape)?;
    let order = stream.orders(blocks, block)?;
    let gains = stream.normals(blocks * block)?.f_reshape(shape)?;
    // A column of H G Π H B has the norm √l ‖G‖ in a whole block; of the last one's square, its share of rows on average.
    let squares = gains.f_square()?.f_sum_dim_intlist(1, false, Kind::Double)?;
    let last = rows - (blocks - 1) * block;
    let cut = squares.f_select(0, blocks - 1)?.f_mul_scalar((block - last) as f64)?;
    let norm = squares.f_sum(Kind::Double)?.f_mul_scalar(block as f64)?.f_sub(&cut)?.f_sqrt()?;
    Ok(Form::Fastfood {
        signs: signs.f_to_kind(number)?,
        inverse: order.f_argsort(1, false)?,
        order,
        gains: gains.f_div(&norm)?.f_to_kind(number)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

    fn made(kind: ProjectionKind, rows: i64, columns: i64) -> Projection {
        Projection::new(kind, rows, columns, 11, DOUBLE).unwrap()
    }

    /// `[D, d]`, from the images of the axes.
    fn matrix(projection: &Projection) -> Tensor {
        let axes = Tensor::eye(projection.columns(), DOUBLE);
        let images: Vec<Tensor> =
            (0..projection.columns()).map(|at| projection.project(&axes.get(at)).unwrap()).collect();
        Tensor::stack(&images, 1)
    }

    fn largest(tensor: &Tensor) -> f64 {
        tensor.abs().max().double_value(&[])
    }

    #[test]
    fn both_directions_are_those_of_one_matrix() {
        for kind in ProjectionKind::ALL {
            for (rows, columns) in [(64, 16), (100, 7), (33, 1), (9, 9), (1, 1)] {
                let projection = made(kind, rows, columns);
                let matrix = matrix(&projection);
                let z = Tensor::randn([columns], DOUBLE);
                let g = Tensor::randn([rows], DOUBLE);
                let (image, back) = (projection.project(&z).unwrap(), projection.pull_back(&g).unwrap());
                assert!(largest(&(&image - matrix.mv(&z))) < 1e-12, "{kind:?} {rows} {columns}");
                assert!(largest(&(&back - matrix.tr().mv(&g))) < 1e-12, "{kind:?} {rows} {columns}");
                let inner = image.dot(&g).double_value(&[]) - z.dot(&back).double_value(&[]);
                assert!(inner.abs() < 1e-12, "⟨Pz, g⟩ − ⟨z, Pᵀg⟩ = {inner}");
            }
        }
    }

    #[test]
    fn columns_have_norm_one() {
        let deviation = |kind, rows, columns| {
            let squares = matrix(&made(kind, rows, columns)).square().sum_dim_intlist(0, false, Kind::Double);
            largest(&(squares - 1.0))
        };
        for kind in [ProjectionKind::Dense, ProjectionKind::Sparse] {
            assert!(deviation(kind, 100, 30) < 1e-12, "{kind:?}");
        }
        // Whole blocks of Fastfood, and a last block of 3 of 16 rows among 19 · 16 + 3.
        assert!(deviation(ProjectionKind::Fastfood, 20 * 16, 16) < 1e-12);
        let cut = deviation(ProjectionKind::Fastfood, 19 * 16 + 3, 16);
        assert!(cut > 1e-12 && cut < 4.0 * (3.0 / 307.0), "{cut}");
    }

    /// Inner products of independent unit vectors have the variance 1/D. Those of two columns of Fastfood are the sums of
    /// G² with as many plus as minus signs, over l D: their variance is 2/D.
    #[test]
    fn columns_point_in_independent_directions() {
        for kind in ProjectionKind::ALL {
            let (rows, columns) = (4096, 32);
            let gram = matrix(&made(kind, rows, columns));
            let gram = gram.tr().matmul(&gram).triu(1);
            let pairs = (columns * (columns - 1) / 2) as f64;
            let variance = gram.square().sum(Kind::Double).double_value(&[]) / pairs * rows as f64;
            let expected = if kind == ProjectionKind::Fastfood { 2.0 } else { 1.0 };
            assert!((0.75 * expected..1.25 * expected).contains(&variance), "{kind:?}: {variance}");
        }
    }

    #[test]
    fn sparse_matrices_have_the_density_of_the_paper() {
        let matrix = matrix(&made(ProjectionKind::Sparse, 10_000, 20));
        // 20 · 10,000 entries with probability 1/100: 2,000, standard deviation 44.
        let count = matrix.ne(0.0).sum(Kind::Double).double_value(&[]);
        assert!((count - 2000.0).abs() < 180.0, "{count}");
    }

    #[test]
    fn a_seed_decides_the_matrix() {
        for kind in ProjectionKind::ALL {
            let of = |seed| matrix(&Projection::new(kind, 40, 5, seed, DOUBLE).unwrap());
            assert!(of(1).equal(&of(1)) && !of(1).equal(&of(2)));
        }
    }

    #[test]
    fn what_is_no_projection_is_refused() {
        for (rows, columns) in [(3, 4), (3, 0), (0, 0)] {
            assert!(Projection::new(ProjectionKind::Dense, rows, columns, 0, DOUBLE).is_err());
        }
        let projection = made(ProjectionKind::Fastfood, 10, 3);
        assert!(projection.project(&Tensor::zeros([4], DOUBLE)).is_err());
        assert!(projection.pull_back(&Tensor::zeros([3], DOUBLE)).is_err());
    }
}
