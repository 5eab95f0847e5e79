"""The default seccomp profile: what a program in a container may ask of the kernel.

Equal in reach to docker's default (moby/profiles, read in November 2026), grouped here by purpose. What is not named
fails with EPERM; a system call younger than the profile fails with ENOSYS (see seccomp.py), so that programs fall back
to an older one. Left out on purpose: loading modules and kernels, the clock, swap, quotas, kernel keyrings, io_uring,
userfaultfd, NUMA policy of other processes, and all that makes namespaces or mounts, unless a capability allows it.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.oci.runtime_documents import Seccomp, SeccompArgument, SeccompRule

# Allowed for everybody, with the reason why a container needs them.
GROUPS = {
    "open, read and write files": (
        "open openat openat2 creat close close_range read readv pread64 preadv preadv2 write writev pwrite64 pwritev "
        "pwritev2 lseek _llseek sendfile sendfile64 copy_file_range splice tee vmsplice readahead fadvise64 fadvise64_64 "
        "fallocate truncate truncate64 ftruncate ftruncate64 dup dup2 dup3 fcntl fcntl64 ioctl flock pipe pipe2 "
        "name_to_handle_at cachestat"
    ),
    "keep files safe on disk": "fsync fdatasync sync syncfs sync_file_range msync",
    "look at files and file systems": (
        "stat stat64 fstat fstat64 lstat lstat64 newfstatat fstatat64 statx statfs statfs64 fstatfs fstatfs64 access "
        "faccessat faccessat2 readlink readlinkat getdents getdents64 getcwd statmount listmount"
    ),
    "change names, owners, modes and times": (
        "mkdir mkdirat mknod mknodat rmdir link linkat symlink symlinkat unlink unlinkat rename renameat renameat2 chmod "
        "fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 fchownat lchown lchown32 umask utime utimes futimesat "
        "utimensat utimensat_time64 chdir fchdir"
    ),
    "extended attributes": (
        "getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr flistxattr "
        "listxattrat removexattr lremovexattr fremovexattr removexattrat"
    ),
    "watch files": "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark",
    "wait for descriptors": (
        "poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create epoll_create1 epoll_ctl "
        "epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4"
    ),
    "asynchronous input and output (io_uring stays out: too many kernel holes)": (
        "io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64"
    ),
    "memory": (
        "brk mmap mmap2 munmap mremap mprotect mincore madvise mlock mlock2 mlockall munlock munlockall mseal "
        "remap_file_pages memfd_create memfd_secret pkey_alloc pkey_free pkey_mprotect map_shadow_stack membarrier"
    ),
    "processes and threads (clone is below, with its flags)": (
        "fork vfork execve execveat exit exit_group wait4 waitid waitpid getpid getppid gettid getpgid getpgrp setpgid "
        "getsid setsid pidfd_open pidfd_send_signal process_mrelease prctl set_tid_address set_robust_list "
        "get_robust_list rseq set_thread_area get_thread_area restart_syscall uretprobe"
    ),
    "locks between threads": "futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue",
    "signals": (
        "kill tkill tgkill pause sigaltstack sigprocmask sigreturn rt_sigaction rt_sigpending rt_sigprocmask "
        "rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo"
    ),
    "scheduling of oneself": (
        "sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam "
        "sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval "
        "sched_rr_get_interval_time64 getpriority setpriority ioprio_get ioprio_set getcpu"
    ),
    "limits and accounting": "getrlimit setrlimit ugetrlimit prlimit64 getrusage times sysinfo uname",
    "who one is (what it may become is the capabilities' matter)": (
        "getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32 "
        "getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid "
        "setresuid32 setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32 capget capset"
    ),
    "tell the time and sleep (setting it needs CAP_SYS_TIME)": (
        "time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_nanosleep "
        "clock_nanosleep_time64 nanosleep adjtimex clock_adjtime clock_adjtime64 alarm getitimer setitimer timer_create "
        "timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create "
        "timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64"
    ),
    "sockets (socket itself is below, with its families)": (
        "socketpair socketcall bind connect listen accept accept4 getsockname getpeername getsockopt setsockopt send sendto "
        "sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64 shutdown"
    ),
    "System V and POSIX communication": (
        "ipc shmget shmat shmdt shmctl semget semop semctl semtimedop semtimedop_time64 msgget msgsnd msgrcv msgctl mq_open "
        "mq_unlink mq_getsetattr mq_notify mq_timedsend mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64"
    ),
    "random numbers": "getrandom",
    "give up rights": "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
    "trace and read one's own children (safe since Linux 4.8)": "ptrace process_vm_readv process_vm_writev",
    "processor features that every libc asks for": "riscv_hwprobe",
}

# Allowed on machines of one architecture only (names of uname -m, with its 32 bit form).
ARCHITECTURE_GROUPS = {
    "x86_64": "arch_prctl modify_ldt",
    "i686": "modify_ldt",
    "aarch64": "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
    "armv7l": "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
    "ppc64le": "sync_file_range2 swapcontext",
    "s390x": "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr",
    "riscv64": "riscv_flush_icache",
}

# Making namespaces and mounts. With --security-opt seccomp=nested these are open without a capability, so that a sandbox
# inside the container (bubblewrap, a browser, another ocirun) can make a user namespace of its own.
NAMESPACES = (
    "clone clone3 unshare setns mount umount umount2 mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick "
    "sethostname setdomainname"
)
# What else a sandbox does once it is root in a namespace of its own; docker gives each only with its capability.
NESTED_EXTRA = "chroot pivot_root"

# Allowed when the container has the capability, which the kernel then checks as well.
CAPABILITY_GROUPS = {
    "CAP_SYS_ADMIN": (
        f"{NAMESPACES} bpf fanotify_init lookup_dcookie lsm_get_self_attr lsm_list_modules lsm_set_self_attr "
        "perf_event_open quotactl quotactl_fd syslog"
    ),
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module init_module finit_module",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "CAP_SYS_RAWIO": "iopl ioperm",
    "CAP_SYS_TIME": "settimeofday stime clock_settime clock_settime64",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYSLOG": "syslog",
    "CAP_BPF": "bpf",
    "CAP_PERFMON": "perf_event_open",
}

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET: none of them may be set.
NAMESPACE_FLAGS = 0x7E020000

# Personalities: plain Linux, a 32 bit uname, no address randomisation, both; and the question which one it is.
PERSONALITIES = (0x0, 0x0008, 0x20000, 0x20008, 0xFFFFFFFF)

# The second architecture that a 64 bit kernel runs, as libseccomp names them.
ARCHITECTURES = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "i686": ["SCMP_ARCH_X86"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    "armv7l": ["SCMP_ARCH_ARM"],
    "ppc64le": ["SCMP_ARCH_PPC64LE"],
    "s390x": ["SCMP_ARCH_S390X", "SCMP_ARCH_S390"],
    "riscv64": ["SCMP_ARCH_RISCV64"],
}

ENOSYS = 38


def default_profile(capabilities: "list[str]", machine: str, *, nested: bool = False) -> "Seccomp":
    """The profile for a container with these capabilities on this architecture (uname -m), as linux.seccomp of the spec.

    With `nested`, namespaces and mounts may be made without CAP_SYS_ADMIN.
    """
    allowed = [name for names in GROUPS.values() for name in names.split()]
    allowed += ARCHITECTURE_GROUPS.get(machine, "").split()
    for capability in capabilities:
        allowed += CAPABILITY_GROUPS.get(capability, "").split()
    open_namespaces = nested or "CAP_SYS_ADMIN" in capabilities
    if nested:
        allowed += f"{NAMESPACES} {NESTED_EXTRA}".split()
    rules: list[SeccompRule] = [{"names": sorted(set(allowed)), "action": "SCMP_ACT_ALLOW"}]
    # Families 38 (AF_ALG) and 40 (AF_VSOCK) reach kernel code and hypervisors that no namespace holds back.
    rules += [
        _when("socket", 0, 38, "SCMP_CMP_LT"),
        _when("socket", 0, 39, "SCMP_CMP_EQ"),
        _when("socket", 0, 40, "SCMP_CMP_GT"),
    ]
    rules += [_when("personality", 0, value, "SCMP_CMP_EQ") for value in PERSONALITIES]
    if not open_namespaces:
        # s390 has the flags in the second argument.
        rules.append(_when("clone", 1 if machine == "s390x" else 0, NAMESPACE_FLAGS, "SCMP_CMP_MASKED_EQ"))
        # Its flags lie in memory, where no filter can see them; with ENOSYS a libc goes back to clone.
        rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ARCHITECTURES.get(machine, []),
        "syscalls": rules,
    }


def _when(name: str, index: int, value: int, comparison: str) -> "SeccompRule":
    argument: SeccompArgument = {"index": index, "value": value, "op": comparison}
    if comparison == "SCMP_CMP_MASKED_EQ":
        argument["valueTwo"] = 0
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [argument]}
