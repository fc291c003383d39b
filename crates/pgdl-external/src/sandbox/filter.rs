//! System calls that a program in a sandbox has no use for.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// Refused as not permitted: other processes, namespaces, mounts, keys, and interfaces with a history of holes.
const REFUSED: &[i64] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
    // Memory that no limit of ours counts.
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_shmget,
];

/// Unknown to this kernel, as far as the program can tell: its flags lie in memory, where a filter cannot look. The C
/// library then uses `clone`.
const UNKNOWN: &[i64] = &[libc::SYS_clone3];

/// Flags of `clone` that make namespaces.
const NAMESPACES: [i32; 8] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWTIME,
];

/// Families of sockets that stay within a network namespace. Others do not: a virtual machine's `AF_VSOCK` reaches its
/// host.
const FAMILIES: [i32; 3] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];

/// Closes the soft spots for this process and all that come from it. It needs `no_new_privs`.
pub(crate) fn apply() -> Result<(), String> {
    for program in programs().map_err(|error| format!("the filter of system calls: {error}"))? {
        apply_filter(&program).map_err(|error| format!("the filter of system calls: {error}"))?;
    }
    Ok(())
}

fn programs() -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let always = |calls: &[i64]| calls.iter().map(|&call| (call, Vec::new())).collect::<BTreeMap<_, _>>();
    let mut refused = always(REFUSED);
    let has_flag = |flag: i32| {
        let flag = u64::from(flag.unsigned_abs());
        let condition =
            SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)?;
        SeccompRule::new(vec![condition])
    };
    refused.insert(libc::SYS_clone, NAMESPACES.into_iter().map(has_flag).collect::<Result<_, _>>()?);
    let is_not = |family: i32| {
        let family = u64::from(family.unsigned_abs());
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family)
    };
    let other_family = SeccompRule::new(FAMILIES.into_iter().map(is_not).collect::<Result<_, _>>()?)?;
    let sockets = BTreeMap::from([
        (libc::SYS_socket, vec![other_family.clone()]),
        (libc::SYS_socketpair, vec![other_family]),
    ]);
    [(refused, libc::EPERM), (always(UNKNOWN), libc::ENOSYS), (sockets, libc::EAFNOSUPPORT)]
        .into_iter()
        .map(|(rules, errno)| {
            let refuse = SeccompAction::Errno(errno.unsigned_abs());
            let arch = std::env::consts::ARCH.try_into()?;
            SeccompFilter::new(also_x32(rules), SeccompAction::Allow, refuse, arch)?.try_into()
        })
        .collect()
}

/// On x86-64 the same calls have a second set of numbers.
fn also_x32(rules: BTreeMap<i64, Vec<SeccompRule>>) -> BTreeMap<i64, Vec<SeccompRule>> {
    const X32: i64 = 0x4000_0000;
    let mut all = rules.clone();
    if cfg!(target_arch = "x86_64") {
        all.extend(rules.into_iter().map(|(call, rules)| (call | X32, rules)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_compile() {
        assert_eq!(programs().unwrap().len(), 3);
    }
}
