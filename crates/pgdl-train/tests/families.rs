//! Every family learns, with all that its layers keep: also the moving statistics of batch normalizations.

use pgdl_network::Role;
use pgdl_train::Recipe;
use pgdl_train::train::{Stop, Trained, train};
use tch::Device;

fn trained(family: &str, fixed: &str, axis: &str) -> Trained {
    let recipe = Recipe::parse(&format!(
        r#"
        schema = 1
        name = "small"
        seed = 2
        family = "{family}"
        [synthetic]
        shape = [8, 8, 2]
        classes = 3
        train = 90
        test = 60
        noise = 0.4
        [fixed]
        lr = 0.01
        bs = 15
        {fixed}
        [[axis]]
        {axis}
        [training]
        optimizer = "adam"
        max_epochs = 60
        target_cross_entropy = 0.1
        "#
    ))
    .unwrap();
    let (train_data, test_data) = recipe.synthetic.as_ref().unwrap().draw(recipe.seed).unwrap();
    train(&recipe, 0, &train_data, &test_data, Device::Cpu, &mut |_| Ok(())).unwrap()
}

fn assert_learned(trained: &Trained) {
    assert_eq!(trained.stop, Stop::TargetReached);
    // Clouds this far apart are told apart on new samples, too.
    assert!(
        trained.train.accuracy > 0.95 && trained.test.accuracy > 0.8,
        "{:?} {:?}",
        trained.train,
        trained.test
    );
    for (before, after) in trained.initial.parameters().zip(trained.network.parameters()) {
        assert!(!before.tensor.equal(after.tensor), "{:?} of node {} stayed", before.spec.role, before.node);
    }
}

#[test]
fn vgg_learns() {
    let fixed = "num_conv_blocks = 2\nnum_dense_layers = 1\ndense_width = 12\ndropout_p = 0.1";
    assert_learned(&trained("vgg", fixed, "name = 'convwidth'\nvalues = [8]"));
}

#[test]
fn nin_learns() {
    assert_learned(&trained("nin", "conv = 8", "name = 'depth'\nvalues = [6]"));
}

#[test]
fn all_conv_learns_without_normalization() {
    let fixed = "depth = 3\nbatch_norm = 0";
    assert_learned(&trained("all_conv", fixed, "name = 'nparams'\nvalues = [4000]"));
}

#[test]
fn all_conv_learns_with_normalization() {
    let trained = trained("all_conv", "depth = 3", "name = 'nparams'\nvalues = [4000]");
    assert_learned(&trained);
    let statistics = trained.network.parameters().filter(|parameter| !parameter.spec.role.trainable());
    assert_eq!(statistics.filter(|parameter| parameter.spec.role == Role::MovingVariance).count(), 3);
}

#[test]
fn resnet_learns() {
    let trained = trained("resnet", "stages = 2\nblocks = 1", "name = 'width'\nvalues = [4]");
    assert_learned(&trained);
}

#[test]
fn mlp_learns() {
    assert_learned(&trained("mlp", "depth = 2", "name = 'width'\nvalues = [16]"));
}
