//! The file system that a program in a sandbox sees.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::process::{chdir, pivot_root};

use super::{DATA, JOB, Order, SCRATCH};

/// What programs need of the system. What of it is missing is not needed.
const SYSTEM: [&str; 13] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
];
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
const LINKS: [(&str, &str); 6] = [
    (SCRATCH, "/tmp"),
    (SCRATCH, "/dev/shm"),
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];
/// What an argument of `mount` is that does not matter.
const NOTHING: Option<&str> = None;
const ACCOUNTS: &str = "root:x:0:0::/:/bin/false\nnobody:x:65534:65534::/scratch:/bin/false\n";

/// Builds it and makes it this process's own. What is outside is out of reach then.
pub(super) fn build(order: &Order) -> Result<(), String> {
    about(Path::new("/"), mount(NOTHING, "/", NOTHING, MsFlags::MS_PRIVATE | MsFlags::MS_REC, NOTHING))?;
    let world = &order.world;
    about(world, mount_tmpfs(world, "mode=0755,size=16m,nr_inodes=8192"))?;

    for place in SYSTEM {
        expose_system(world, Path::new(place))?;
    }
    expose(world, &order.job, Path::new(JOB))?;
    if let Some(data) = &order.data {
        expose(world, data, Path::new(DATA))?;
    }
    // Whole folders before what lies in them.
    let mut visible = order.visible.clone();
    visible.sort();
    for place in &visible {
        expose(world, place, place)?;
    }
    for place in &order.writable {
        expose(world, place, place)?;
    }
    hide(world, &order.policy.hidden)?;

    let mut devices: Vec<PathBuf> = DEVICES.iter().map(PathBuf::from).collect();
    if order.gpu {
        devices.extend(graphics());
    }
    for device in &devices {
        file(&within(world, device))?;
    }
    for (target, link) in LINKS {
        let link = within(world, Path::new(link));
        folder(link.parent().unwrap_or(world))?;
        // Something visible may lie there already.
        if fs::symlink_metadata(&link).is_err() {
            symlink(target, &link).map_err(|error| io_about(&link, error))?;
        }
    }
    for place in [SCRATCH, "/proc", "/etc"] {
        folder(&within(world, Path::new(place)))?;
    }
    let accounts = within(world, Path::new("/etc/passwd"));
    fs::write(&accounts, ACCOUNTS).map_err(|error| io_about(&accounts, error))?;

    // From here on nothing of it can be changed; only what is mounted now has its own rules.
    let fixed = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    about(world, set_attributes(world, fixed, true))?;
    for device in &devices {
        let place = within(world, device);
        match bind(device, &place) {
            // A container may lack one.
            Err(Errno::ENOENT) => continue,
            bound => about(device, bound)?,
        }
        let fixed = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
        about(device, set_attributes(&place, fixed, false))?;
    }
    for place in &order.writable {
        let inside = within(world, place);
        about(place, bind(place, &inside))?;
        about(place, set_attributes(&inside, libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV, false))?;
        // What was laid over what must not be seen lies beneath now.
        let within_it = |hidden: &&PathBuf| hidden.starts_with(place);
        hide(world, &order.policy.hidden.iter().filter(within_it).cloned().collect::<Vec<_>>())?;
    }
    let scratch = within(world, Path::new(SCRATCH));
    let options = format!("mode=1777,size={},nr_inodes=65536", order.policy.scratch);
    about(&scratch, mount_tmpfs(&scratch, &options))?;
    mount_proc(world)?;
    enter(world)
}

/// The folder or link at `place`, as it is.
fn expose_system(world: &Path, place: &Path) -> Result<(), String> {
    let Ok(metadata) = fs::symlink_metadata(place) else { return Ok(()) };
    if !metadata.is_symlink() {
        return expose(world, place, place);
    }
    let link = within(world, place);
    folder(link.parent().unwrap_or(world))?;
    let target = fs::read_link(place).map_err(|error| io_about(place, error))?;
    symlink(target, &link).map_err(|error| io_about(place, error))
}

/// What lies at `from` outside lies at `to` inside.
fn expose(world: &Path, from: &Path, to: &Path) -> Result<(), String> {
    let place = within(world, to);
    let metadata = fs::metadata(from).map_err(|error| io_about(from, error))?;
    // Within something that is there already, it is there already.
    if fs::symlink_metadata(&place).is_err() {
        if metadata.is_dir() {
            folder(&place)?;
        } else {
            file(&place)?;
        }
        about(from, bind(from, &place))?;
    }
    Ok(())
}

/// Lays something empty over what must not be seen.
fn hide(world: &Path, hidden: &[PathBuf]) -> Result<(), String> {
    for path in hidden {
        // Where links lead cannot differ inside: the path is canonical.
        let place = within(world, path);
        match fs::symlink_metadata(&place) {
            Ok(metadata) if metadata.is_dir() => {
                about(path, mount_tmpfs(&place, "mode=0755,size=4k,nr_inodes=8"))?
            }
            Ok(_) => about(path, bind(Path::new("/dev/null"), &place))?,
            Err(_) => {}
        }
    }
    Ok(())
}

/// The devices of NVIDIA's driver.
fn graphics() -> Vec<PathBuf> {
    let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().as_bytes().starts_with(b"nvidia"))
        .map(|entry| entry.path())
        .filter(|path| !path.is_dir())
        .collect()
}

fn mount_tmpfs(place: &Path, options: &str) -> nix::Result<()> {
    mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options))
}

/// With what is mounted below it: the kernel does not let one look under a mount.
fn bind(from: &Path, to: &Path) -> nix::Result<()> {
    mount(Some(from), to, NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING)
}

/// A view of the processes inside. Some containers do not let one be made: then there is none.
fn mount_proc(world: &Path) -> Result<(), String> {
    let place = within(world, Path::new("/proc"));
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    match mount(Some("proc"), &place, Some("proc"), flags, NOTHING) {
        Err(Errno::EPERM) => Ok(()),
        mounted => about(&place, mounted),
    }
}

/// Makes `world` the root, and lets go of everything else.
fn enter(world: &Path) -> Result<(), String> {
    about(world, chdir(world))?;
    // The old root comes to lie over the new one, and is taken off.
    about(world, pivot_root(".", "."))?;
    about(Path::new("/"), umount2(".", MntFlags::MNT_DETACH))?;
    about(Path::new("/"), chdir("/"))
}

fn set_attributes(place: &Path, attributes: u64, recursive: bool) -> nix::Result<()> {
    let path = CString::new(place.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let wanted = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: a path and a structure that live through the call, and the structure's true size.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const wanted,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(outcome).map(drop)
}

/// An absolute path of the inside, seen from outside.
fn within(world: &Path, path: &Path) -> PathBuf {
    world.join(path.strip_prefix("/").unwrap_or(path))
}

fn folder(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| io_about(path, error))
}

fn file(path: &Path) -> Result<(), String> {
    folder(path.parent().unwrap_or(path))?;
    fs::write(path, []).map_err(|error| io_about(path, error))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(|error| io_about(path, error))
}

fn about<T, E: std::fmt::Display>(path: &Path, outcome: Result<T, E>) -> Result<T, String> {
    outcome.map_err(|error| format!("its file system: {}: {error}", path.display()))
}

fn io_about(path: &Path, error: io::Error) -> String {
    format!("its file system: {}: {error}", path.display())
}
