//! Whether the folders of a zoo are those that it lists.

use super::Finding;
use crate::Zoo;
use crate::zoo::{INITIAL_WEIGHTS, LISTING};

/// Whether the zoo has the files of any network that it lists.
pub(super) fn has_networks(zoo: &Zoo) -> bool {
    zoo.networks().iter().any(|network| zoo.model_folder(network.id).is_ok())
}

/// Compares the folders with the listing. Files inside the folders are not opened.
pub(crate) fn examine(zoo: &Zoo) -> Vec<Finding> {
    let mut findings = Vec::new();
    if zoo.listing_path().is_none() {
        findings
            .push(Finding::at(zoo.root(), format!("{LISTING} not found: nothing is known of its networks")));
    }
    let listed = || zoo.networks().iter().map(|network| network.id);
    if !has_networks(zoo) {
        let problem = "no network files: the zoo only lists its networks";
        findings.push(Finding::at(zoo.root(), problem));
        return findings;
    }
    for id in listed() {
        if let Err(error) = zoo.model_folder(id) {
            findings.push(Finding::from(&error).of(id));
        }
    }
    match zoo.model_folders() {
        Ok(folders) => {
            for id in folders.into_iter().filter(|id| zoo.network(*id).is_err()) {
                findings.push(Finding::at(
                    zoo.root().join(format!("model_{id}")),
                    "a network that is not listed",
                ));
            }
        }
        Err(error) => findings.push(Finding::from(&error)),
    }
    let folders: Vec<_> = listed().filter_map(|id| Some((id, zoo.model_folder(id).ok()?))).collect();
    let (with, without): (Vec<_>, Vec<_>) =
        folders.into_iter().partition(|(_, folder)| folder.join(INITIAL_WEIGHTS).exists());
    if !with.is_empty() {
        for (id, folder) in without {
            let problem = format!("not found, though {} networks have initial weights", with.len());
            findings.push(Finding::at(folder.join(INITIAL_WEIGHTS), problem).of(id));
        }
    }
    findings
}
